/** How well each class is recognised, the hardest first. */
import { classCounts, wilsonInterval } from "../evaluate/classification.ts";
import { formatInteger, formatPercent, formatPercentRange } from "../number_format.ts";
import type { EvaluatedNetwork } from "./evaluate_data.ts";
import { type Html, html } from "./page.ts";

/** More classes than this show only their two ends. */
const allLimit = 40;
/** How many classes each of the two ends shows, and how many without images are named. */
const endLength = 20;

/** A class of which there are test images. */
export interface TestedClass {
  readonly name: string;
  /** 0 to 1. */
  readonly accuracy: number;
  readonly images: number;
  readonly interval: readonly [low: number, high: number];
}

/** The classes that were tested, hardest first; among equals that with more images, of which more is known. */
export function testedClasses(
  classes: readonly string[],
  { perClass, confusion }: EvaluatedNetwork,
): TestedClass[] {
  const counts = classCounts(confusion);
  return classes.flatMap((name, at) => {
    const accuracy = perClass[at];
    if (accuracy === null) return [];
    return [{ name, accuracy, images: counts[at], interval: wilsonInterval(confusion[at][at], counts[at]) }];
  }).sort((a, b) => a.accuracy - b.accuracy || b.images - a.images);
}

/** The section of bars, one for each class, or for the hardest and the easiest of many. */
export function classSection(classes: readonly string[], best: EvaluatedNetwork): Html {
  const tested = testedClasses(classes, best);
  const absent = classes.filter((_, at) => best.perClass[at] === null);
  const all = tested.length <= allLimit;
  const bars = all
    ? html`<ol class="rates ${tested.length > 4 && "two"}">${tested.map(classBar)}</ol>`
    : html`
      <div class="pair">
        <div>
          <h3>The ${endLength} hardest</h3>
          <ol class="rates">${tested.slice(0, endLength).map(classBar)}</ol>
        </div>
        <div>
          <h3>The ${endLength} easiest</h3>
          <ol class="rates">${tested.slice(-endLength).map(classBar)}</ol>
        </div>
      </div>
    `;
  const shown = all
    ? "Hardest first."
    : `Of ${formatInteger(tested.length)} classes, the ${endLength} hardest and the ${endLength} easiest.`;
  return html`
    <section>
      <h2>Accuracy by class</h2>
      ${bars}
      <p class="caption">
        Of <code>${best.arch}</code>, ${formatPercent(
          best.accuracy,
        )} on all. ${shown} Thin lines: 95 % intervals over the
        class's images. ${absent.length > 0 && absentSentence(absent)}
      </p>
    </section>
  `;
}

function absentSentence(absent: readonly string[]): Html {
  const named = absent.slice(0, endLength).map((name, at) =>
    html`${at > 0 && ", "}<bdi class="name">${name}</bdi>`
  );
  const more = absent.length - named.length;
  return html`Without test images: ${named}${more > 0 && ` and ${formatInteger(more)} more`}.`;
}

function classBar({ name, accuracy, images, interval }: TestedClass): Html {
  const percent = (share: number) => `${(100 * share).toFixed(2)}%`;
  const [low, high] = interval;
  return html`
    <li title="95 %: ${formatPercentRange(interval)}">
      <bdi class="name">${name}</bdi>
      <span class="value"><strong>${formatPercent(accuracy)}</strong> of ${formatInteger(images)}</span>
      <span class="meter"><span class="fill" style="width:${percent(accuracy)}"></span><span
        class="whisker" style="left:${percent(low)};width:${percent(high - low)}"></span></span>
    </li>
  `;
}
