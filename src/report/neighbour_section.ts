/** The sheet of images with their nearest: quality that needs no labels to be seen. */
import type { NeighbourSheet } from "../pretrain/neighbours.ts";
import { formatInteger } from "../number_format.ts";
import { type Html, html } from "./page.ts";

/** Renders the sheet; where the images have labels, neighbours of the same and of other classes are marked. */
export function neighbourSection({ bank, heldOut, rows }: NeighbourSheet): Html {
  const all = rows.flatMap(({ neighbours }) => neighbours);
  const labelled = all.some(({ sameClass }) => sameClass !== undefined);
  const same = all.filter(({ sameClass }) => sameClass === true).length;
  const mark = (sameClass: boolean | undefined) =>
    sameClass === undefined ? undefined : html`<span class="mark">${sameClass ? "same" : "other"}</span>`;
  const figures = rows.map(({ picture, name, neighbours }) =>
    html`
      <li>
        <img src="${picture}" alt="${name}" title="${name}" width="72" height="72">
        <ol>${neighbours.map(({ picture, name, cosine, sameClass }) =>
          html`
            <li class="${sameClass === undefined ? "unknown" : sameClass ? "same" : "other"}">
              <img src="${picture}" alt="${name}" title="${name}" width="72" height="72">
              <span>${cosine.toFixed(2)} ${mark(sameClass)}</span>
            </li>
          `
        )}</ol>
      </li>
    `
  );
  const marks = labelled
    ? ` Of these neighbours ${formatInteger(same)} of ${
      formatInteger(all.length)
    } are of the image's class (marked ` +
      "same or other); labels are used for the marks only."
    : "";
  return html`
    <section>
      <h2>Nearest images</h2>
      <ul class="neighbours">${figures}</ul>
      <p class="caption">
        Left: ${heldOut ? "held-out images" : "training images"}, chosen at random. Beside each, the
        ${rows[0]?.neighbours.length ?? 0} most alike of ${formatInteger(
          bank,
        )} training images by the features of the
        largest architecture, with their cosine. Where rows show what belongs together for you, the features are of use;
        where they share only colour or brightness, train longer.${marks}
      </p>
    </section>
  `;
}
