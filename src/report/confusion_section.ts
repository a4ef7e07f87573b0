/** What is taken for what: the matrix of few classes, and the most frequent confusions of any number. */
import { classCounts, type Confusion, frequentConfusions } from "../evaluate/classification.ts";
import { formatInteger, formatPercent } from "../number_format.ts";
import { type Html, html, table } from "./page.ts";

type Counts = readonly (readonly number[])[];

/** More classes than this have no matrix that could be read. */
const matrixLimit = 40;
/** Up to this many classes there is room for shares beside the counts; up to the second, for large cells. */
const sharesLimit = 12;
const largeLimit = 24;
/** Confusions that are listed beside a matrix, and without one. */
const listedBeside = 10;
const listedAlone = 30;

/** The matrix, where there are few classes, and the list of the most frequent confusions. */
export function confusionSection(classes: readonly string[], confusion: Counts): Html {
  const frequent = frequentConfusions(confusion);
  const small = classes.length <= matrixLimit;
  return html`
    ${small && html`
      <section>
        <h2>Confusion matrix</h2>
        ${matrix(classes, confusion, frequent)}
        <p class="caption">${matrixCaption(classes.length, frequent)}</p>
      </section>
    `}
    <section>
      <h2>Most frequent confusions</h2>
      ${frequent.length > 0
        ? confusionTable(classes, confusion, frequent.slice(0, small ? listedBeside : listedAlone))
        : html`<p class="absent">There are none: every test image was recognised.</p>`}
      ${!small && html`
        <p class="caption">
          ${formatInteger(
            classes.length,
          )} classes are too many for a matrix that can be read. Of ${formatInteger(
            frequent.length,
          )} pairs of classes that were confused, the most frequent are listed.
        </p>
      `}
    </section>
  `;
}

function matrixCaption(classes: number, frequent: readonly Confusion[]): string {
  return "Number of images by their class (rows) and by the class they were taken for (columns)" +
    (classes <= sharesLimit ? ", with the share of the row" : "") +
    ". Green: recognised, stronger with the share of the row. " +
    (frequent.length > 0
      ? `Orange: confused, strongest at ${formatPercent(largestShare(frequent))} of the row. Empty: none.`
      : "Nothing was confused.") +
    " On a wide screen, hover over a cell to read it in words.";
}

function largestShare(frequent: readonly Confusion[]): number {
  return frequent.reduce((most, { share }) => Math.max(most, share), 0);
}

function matrix(classes: readonly string[], confusion: Counts, frequent: readonly Confusion[]): Html {
  const totals = classCounts(confusion);
  const strongest = largestShare(frequent);
  const shares = classes.length <= sharesLimit;
  const cell = (count: number, actual: number, predicted: number) => {
    if (count === 0) return html`<td></td>`;
    const share = count / totals[actual];
    const right = actual === predicted;
    const words = `${classes[actual]}: ${formatInteger(count)} of ${formatInteger(totals[actual])}, ${
      formatPercent(share)
    }, ${right ? "recognised" : `taken for ${classes[predicted]}`}`;
    return html`<td class="${right ? "right" : "wrong"}" style="--share:${
      (right ? share : share / strongest).toFixed(3)
    }" title="${words}">${formatInteger(count)}${
      shares && html`<small>${(100 * share).toFixed(0)}&nbsp;%</small>`
    }</td>`;
  };
  const size = shares ? "large" : classes.length <= largeLimit ? "middle" : "small";
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix">
      <table class="matrix ${size}">
        <caption>Images by actual class, in rows, and predicted class, in columns</caption>
        <thead>
          <tr><th class="corner">actual&nbsp;↓ taken&nbsp;for&nbsp;→</th>${classes.map((name) =>
            html`<th scope="col" title="${name}"><span>${name}</span></th>`
          )}</tr>
        </thead>
        <tbody>
          ${confusion.map((row, actual) =>
            html`
              <tr><th scope="row" title="${classes[actual]}">${classes[actual]}</th>${row.map((
                count,
                predicted,
              ) => cell(count, actual, predicted))}</tr>
            `
          )}
        </tbody>
      </table>
    </div>
  `;
}

function confusionTable(classes: readonly string[], confusion: Counts, listed: readonly Confusion[]): Html {
  const name = (at: number) => html`<bdi class="name">${classes[at]}</bdi>`;
  return table(
    "Most frequent confusions",
    [
      { label: "Class", numeric: false },
      { label: "Taken for", numeric: false },
      { label: "Images", numeric: true },
      { label: "Of the class", numeric: true },
      { label: "The other way", numeric: true },
    ],
    listed.map(({ actual, predicted, count, share }) => [
      name(actual),
      name(predicted),
      html`<strong>${formatInteger(count)}</strong>`,
      formatPercent(share),
      formatInteger(confusion[predicted][actual]),
    ]),
  );
}
