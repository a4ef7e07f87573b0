/** The report of an evaluation: what networks are worth, by labels, and what they get wrong. */
import { counted } from "../count.ts";
import { wrongCount } from "../evaluate/classification.ts";
import {
  formatInteger,
  formatPercent,
  formatPercentRange,
  formatPoints,
  formatShort,
} from "../number_format.ts";
import { accuracyFigure } from "./accuracy_chart.ts";
import { classSection, testedClasses } from "./class_section.ts";
import { lossFigure } from "./dense_parts.ts";
import { confusionSection } from "./confusion_section.ts";
import { bestFirst, type EvaluatedNetwork, type EvaluateReport, reaches } from "./evaluate_data.ts";
import { mistakeSection } from "./mistake_section.ts";
import {
  factList,
  type Html,
  html,
  type HtmlValue,
  type KeyFigure,
  keyFigures,
  renderPage,
  table,
} from "./page.ts";

export type { EvaluatedNetwork, EvaluateReport, Mistake } from "./evaluate_data.ts";

/** More networks than this are folded up. */
const tableLimit = 20;

const protocols = {
  knn: { name: "kNN", judged: "by a vote of the nearest training images (kNN)" },
  linear: { name: "linear classifier", judged: "by a linear classifier on their frozen features" },
  semi: { name: "fine-tuning with few labels", judged: "after fine-tuning with few labels" },
  finetune: { name: "fine-tuning with all labels", judged: "after fine-tuning with all labels" },
} as const;

/**
 * Renders the report as one self-contained HTML page: no scripts, nothing loaded. What is shown by class is the best
 * network's: the most accurate, of equals the one with fewest MACs.
 */
export async function renderEvaluateReport(report: EvaluateReport): Promise<string> {
  const { title, version, classes, images, mistakes } = report;
  const ordered = bestFirst(report.results);
  const [best] = ordered;
  return renderPage({
    title,
    kicker: "Scion evaluation report",
    lede: lede(report, ordered),
    body: html`
      ${keyFigures(mainFigures(report, ordered))}
      ${ordered.length > 1 && await accuracyFigure(ordered, report.baselines)}
      ${networkSection(report, ordered)}
      ${report.training && await lossFigure(report.training, "Cross-entropy of the training images.")}
      ${classSection(classes, best)}
      ${confusionSection(classes, best.confusion)}
      ${mistakeSection(mistakes, wrongCount(best.confusion))}
      <section><h2>How it was measured</h2>${factList([
        ["Protocol", protocols[report.protocol].name],
        ["Device", report.device],
        ["Training images", formatInteger(images.train)],
        ["Test images", formatInteger(images.test)],
        ["Classes", formatInteger(classes.length)],
        ["Intervals", "95 % over test images (Wilson); not over seeds or training images"],
        ...report.settings,
      ])}</section>
    `,
    footer: `Written by Scion ${version}.`,
  });
}

function lede({ protocol, images }: EvaluateReport, ordered: readonly EvaluatedNetwork[]): string {
  const { judged } = protocols[protocol];
  const what = ordered.length === 1
    ? `${ordered[0].arch} of ${ordered[0].network}, judged ${judged.replace("their", "its")}`
    : `${formatInteger(ordered.length)} networks, judged ${judged}`;
  return `${what}: ${formatInteger(images.train)} labelled images to learn from, ${
    formatInteger(images.test)
  } others to be tested on.`;
}

function mainFigures(
  { classes, baselines }: EvaluateReport,
  ordered: readonly EvaluatedNetwork[],
): KeyFigure[] {
  const [best] = ordered;
  const cheapest = ordered.filter((one) => reaches(one, best)).reduce((a, b) => b.macs < a.macs ? b : a);
  const rival = baselines.toSorted((a, b) => b.accuracy - a.accuracy)[0];
  const tested = testedClasses(classes, best);
  const hardest = tested[0];
  return [
    {
      label: ordered.length > 1 ? "Best accuracy" : "Accuracy",
      value: formatPercent(best.accuracy),
      note: `95 %: ${formatPercentRange(best.interval)}; ${formatShort(best.macs)} MACs`,
    },
    ...(ordered.length > 1
      ? [{
        label: "Cheapest indistinguishable",
        value: formatShort(cheapest.macs),
        note: cheapest === best
          ? "MACs, the best itself"
          : `MACs; ${formatPercent(cheapest.accuracy)}: ${cheapest.arch}`,
      }]
      : []),
    ...(rival
      ? [{
        label: "Points over the best baseline",
        value: formatPoints(best.accuracy - rival.accuracy),
        note: `${rival.name}: ${formatPercent(rival.accuracy)}`,
      }]
      : []),
    ...(tested.length > 1 && hardest.accuracy < 1
      ? [{ label: "Hardest class", value: formatPercent(hardest.accuracy), note: hardest.name }]
      : []),
  ];
}

function networkSection(report: EvaluateReport, ordered: readonly EvaluatedNetwork[]): Html {
  const [best, ...others] = ordered;
  const close = others.filter((one) => reaches(one, best)).length;
  const shown = ordered.slice(0, tableLimit);
  const rest = ordered.slice(shown.length);
  return html`
    <section>
      <h2>${ordered.length > 1 ? "Networks, best first" : "The network"}</h2>
      ${networkTable(report, ordered, shown, report.baselines)}
      ${others.length > 0 && html`<p class="caption">${closeSentence(close, report.images.test)}</p>`}
    </section>
    ${rest.length > 0 && html`
      <details>
        <summary>${counted(rest.length, "more network")}</summary>${networkTable(
          report,
          ordered,
          rest,
          [],
        )}
      </details>
    `}
  `;
}

function closeSentence(close: number, test: number): string {
  const images = `${formatInteger(test)} test images`;
  if (close === 0) {
    return `No other network's interval reaches the best accuracy: ${images} tell it from them all.`;
  }
  return `${
    close === 1
      ? "One other network has an interval that reaches"
      : `${formatInteger(close)} other networks have intervals that reach`
  } the best accuracy: indistinguishable from the best at this number of images, ${formatInteger(test)}.`;
}

/** A table of some of the networks, and of what needs none. */
function networkTable(
  { results }: EvaluateReport,
  [best, ...others]: readonly EvaluatedNetwork[],
  shown: readonly EvaluatedNetwork[],
  baselines: EvaluateReport["baselines"],
): Html {
  const many = others.length > 0;
  const chosen = results.some((one) => Object.keys(one.chosen).length > 0);
  const untrained = results.some((one) => one.untrained !== undefined);
  const mark = (one: EvaluatedNetwork): HtmlValue =>
    one === best ? html`<strong>best</strong>` : reaches(one, best) && "indistinguishable";
  return table(
    "Networks, by accuracy",
    [
      { label: "Network", numeric: false },
      { label: "Accuracy", numeric: true },
      { label: "95 %", numeric: true },
      ...(untrained ? [{ label: "Untrained", numeric: true }] : []),
      ...(many ? [{ label: "Standing", numeric: false }] : []),
      { label: "MACs", numeric: true },
      { label: "Parameters", numeric: true },
      ...(chosen ? [{ label: "Chosen in validation", numeric: false }] : []),
    ],
    [
      ...shown.map((one) => [
        html`<code>${one.arch}</code><small class="name">${one.network}</small>`,
        html`<strong>${formatPercent(one.accuracy)}</strong>`,
        formatPercentRange(one.interval),
        ...(untrained ? [one.untrained === undefined ? "" : formatPercent(one.untrained)] : []),
        ...(many ? [mark(one)] : []),
        formatShort(one.macs, "kept"),
        formatShort(one.params, "kept"),
        ...(chosen
          ? [Object.entries(one.chosen).map(([name, value]) => `${name}\u00a0${value}`).join(", ")]
          : []),
      ]),
      ...baselines.map(({ name, accuracy }) => [
        html`<span class="name">${name}</span><small>baseline, no network</small>`,
        formatPercent(accuracy),
        ...Array.from({ length: 3 + Number(many) + Number(chosen) + Number(untrained) }, () => ""),
      ]),
    ],
  );
}
