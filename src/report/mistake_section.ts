/** Pictures of the images that the best network got wrong. */
import { formatInteger, formatPercent } from "../number_format.ts";
import type { Mistake } from "./evaluate_data.ts";
import { type Html, html } from "./page.ts";

/**
 * The section of pictures, in the order given.
 *
 * @param wrong number of test images that the network got wrong, of which those may be some
 */
export function mistakeSection(mistakes: readonly Mistake[], wrong: number): Html {
  if (mistakes.length === 0) {
    return html`
      <section>
        <h2>Mistakes</h2>
        <p class="absent">${wrong === 0
          ? "There are none on the test images."
          : "There are no pictures of them."}</p>
      </section>
    `;
  }
  return html`
    <section>
      <h2>Mistakes</h2>
      <ul class="mistakes">${mistakes.map((mistake) =>
        html`
          <li>
            <img src="${mistake.image}" alt="${mistake.name}" title="${mistake.name}" width="96" height="96">
            <p><strong><bdi class="name">${mistake.actual}</bdi></strong> → <bdi class="name">${mistake
              .predicted}</bdi>
              <span class="value">${formatPercent(mistake.confidence)}</span></p>
          </li>
        `
      )}</ul>
      <p class="caption">
        ${wrong > mistakes.length
          ? `${formatInteger(mistakes.length)} of the ${formatInteger(wrong)} test`
          : "The test"} images that the best network got wrong, the surest first: the actual class, what it was taken for, and how
        sure the network was. Some may be wrong labels.
      </p>
    </section>
  `;
}
