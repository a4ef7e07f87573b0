/**
 * The report of a search: which subnets are most like the largest, what each costs, and which choices matter.
 */

import { formatDuration } from "../duration.ts";
import { cheapestOfGain, frontier, sufficientShare } from "../search/frontier.ts";
import { commandLine } from "../shell.ts";
import { choiceSection, scoresByChoice } from "./choices.ts";
import {
  formatInteger,
  formatMeasure,
  formatPercent,
  formatQuartiles,
  formatRange,
  formatShort,
} from "../number_format.ts";
import type { Latency } from "../search/latency.ts";
import {
  type Column,
  factList,
  type Html,
  html,
  type HtmlValue,
  type KeyFigure,
  keyFigures,
  renderPage,
  table,
} from "./page.ts";
import { scoreFigure } from "./score_chart.ts";
import { timeSection } from "./time_chart.ts";
import { formatEnds, type ScoreFormat, scoreFormat } from "./scores.ts";
import type { SearchCandidate, SearchReport } from "./search_data.ts";

export type { SearchCandidate, SearchGroup, SearchReport } from "./search_data.ts";

const metricNames = {
  cosine: "cosine of the features",
  affinity: "cosine of the positions' self-affinities",
  cka: "centred kernel alignment (CKA)",
} as const;

const preferredWords = {
  macs: "MACs",
  params: "parameters",
  latency: "its time for a single image",
} as const;

/**
 * Renders the report as one self-contained HTML page: no scripts, nothing loaded. A search of many candidates draws
 * fewer points where they lie on one another, and says so.
 */
export async function renderSearchReport(report: SearchReport): Promise<string> {
  const format = scoreFormat(report.candidates.map(({ score }) => score));
  const ascending = frontier(report.candidates);
  const { prefer, latencyBudget, groups } = report;
  const chosen = prefer === undefined && latencyBudget === undefined
    ? ascending
    : frontier(groups.map(({ best }) => best));
  const dimensions = scoresByChoice(report.candidates);
  const body = html`
    ${keyFigures(searchFigures(report, ascending, format))}
    ${await scoreFigure(report, ascending, format)}
    ${await timeSection(report, format)}
    <section><h2>Best of each group</h2>${bestTable(report, format)}${tieNote(report)}${timeNote(
      report,
    )}</section>
    ${extraction(report, cheapestOfGain(chosen, sufficientShare))}
    ${dimensions.length > 0 && await choiceSection(dimensions, format)}
    <section><h2>How they were compared</h2>${factList(facts(report))}</section>
    <details><summary>The frontier</summary>${frontierTable(report, ascending, format)}</details>
  `;
  return renderPage({
    title: report.title,
    kicker: "Scion search report",
    lede: lede(report),
    body,
    footer: `Written by Scion ${report.version}.`,
  });
}

function lede(report: SearchReport): string {
  const { run, evaluated, images, total: all } = report;
  const which = all === 1
    ? "The only architecture"
    : evaluated === all
    ? `All ${formatInteger(all)} architectures`
    : `${formatInteger(evaluated)} of the ${formatInteger(all)} architectures`;
  return `${which} of ${run}, ranked without labels by how closely features of ${
    formatInteger(images)
  } images match those of the largest.`;
}

function searchFigures(
  report: SearchReport,
  ascending: readonly SearchCandidate[],
  format: ScoreFormat,
): KeyFigure[] {
  const { evaluated, total, seconds, blockEvaluations: { done, saved } } = report;
  const top = ascending.at(-1)!;
  const sufficient = cheapestOfGain(ascending, sufficientShare);
  return [
    { label: "Best score", value: format(top.score), note: `at ${formatShort(top.macs)} MACs` },
    ...(ascending.length > 1
      ? [{
        label: `MACs for ${100 * sufficientShare} % of the gain`,
        value: formatShort(sufficient.macs),
        note: `score ${format(sufficient.score)}, from ${format(ascending[0].score)}`,
      }]
      : []),
    {
      label: "Architectures",
      value: formatInteger(evaluated),
      note: evaluated === total ? "the whole space" : `of ${formatInteger(total)}`,
    },
    {
      label: "Time",
      value: formatDuration(seconds),
      note: saved > 0
        ? `shared prefixes saved ${formatPercent(saved / (done + saved))}`
        : "no prefixes were shared",
    },
  ];
}

/** The columns that the two tables share, and the cells of each candidate. */
function describeCandidates(
  candidates: readonly SearchCandidate[],
  stages: readonly string[],
  format: ScoreFormat,
): { columns: Column[]; rows: HtmlValue[][] } {
  const perStage = stages.length > 1;
  const batches =
    candidates.find(({ latency }) => latency !== undefined)?.latency?.map(({ batch }) => batch) ?? [];
  return {
    columns: [
      { label: "Architecture", numeric: false },
      { label: "MACs", numeric: true },
      { label: "Parameters", numeric: true },
      { label: "Score", numeric: true },
      ...(perStage ? stages.map((label) => ({ label, numeric: true })) : []),
      ...batches.map((batch) => ({ label: `ms, batch ${formatInteger(batch)}`, numeric: true })),
    ],
    rows: candidates.map(({ arch, macs, params, score, interval, scorePerStage, latency }) => [
      html`<code>${arch}</code>`,
      formatShort(macs, "kept"),
      formatShort(params, "kept"),
      html`<strong>${format(score)}</strong>${
        interval && html`<small>${formatEnds(interval, format)}</small>`
      }`,
      ...(perStage ? scorePerStage.map(format) : []),
      ...batches.map((_, index) => latency && timeCell(latency[index], perStage)),
    ]),
  };
}

/** What intervals and ties say, and what was preferred. */
function tieNote({ groups, prefer, latencyBudget }: SearchReport): Html | false {
  const kept = latencyBudget !== undefined && html`
    <p class="caption">
      The best take ${latencyBudget} for a single image; groups of which nothing that was measured does are left out.
    </p>
  `;
  const known = groups.some(({ tied }) => tied !== undefined);
  if (!known) return kept;
  return html`
    ${kept}
    <p class="caption">
      Below a score: where 95 % of the scores lie that resampled images give. Tied are the others of the group whose
      difference to its highest score may be chance: its interval, over the same images, holds zero.
      ${prefer && `The best is the cheapest of these by ${preferredWords[prefer]}.`}
    </p>
  `;
}

/** A time with its quartiles; in a table of many columns they stand below it. */
function timeCell({ msPerImage, lowerQuartile, upperQuartile }: Latency, stacked: boolean): HtmlValue {
  if (!stacked) return formatQuartiles(msPerImage, lowerQuartile, upperQuartile);
  return html`${formatMeasure(msPerImage)}<small>${formatMeasure(lowerQuartile)}–${
    formatMeasure(upperQuartile)
  }</small>`;
}

/** What the columns of times say. */
function timeNote({ candidates }: SearchReport): Html | false {
  return candidates.some(({ latency }) => latency !== undefined) && html`
    <p class="caption">Times are milliseconds per image: the median of several rounds, with quartiles.</p>
  `;
}

function bestTable({ groups, stages }: SearchReport, format: ScoreFormat): Html {
  const { columns, rows } = describeCandidates(groups.map(({ best }) => best), stages, format);
  const outdone = groups.some(({ dominatedBy }) => dominatedBy !== null);
  const known = groups.some(({ tied }) => tied !== undefined);
  return table(
    "Best architecture of each group of MACs",
    [
      { label: "Group", numeric: true },
      ...columns,
      ...(known ? [{ label: "Tied", numeric: true }] : []),
      { label: "Evaluated", numeric: true },
      ...(outdone ? [{ label: "Outdone by a cheaper one", numeric: false }] : []),
    ],
    groups.map(({ from, to, total, evaluated, tied, dominatedBy }, index) => [
      formatRange(from, to),
      ...rows[index],
      ...(known ? [formatInteger(tied ?? 0)] : []),
      evaluated === total
        ? `all ${formatInteger(total)}`
        : `${formatInteger(evaluated)} of ${formatInteger(total)}`,
      ...(outdone ? [dominatedBy ?? ""] : []),
    ]),
  );
}

function frontierTable(
  { stages }: SearchReport,
  ascending: readonly SearchCandidate[],
  format: ScoreFormat,
): Html {
  const { columns, rows } = describeCandidates(ascending, stages, format);
  return table("Architectures that no cheaper one outdoes", columns, rows);
}

/** The commands that cut out one architecture, or all of the table. */
function extraction({ run, ranking }: SearchReport, { arch }: SearchCandidate): Html {
  const commands = [
    commandLine("extract", { run, arch, out: `${arch}.safetensors` }),
    commandLine("extract", { run, from: ranking, "best-per-group": true, out: "models" }),
  ];
  return html`
    <section>
      <h2>Cut one out</h2>
      <p class="caption">
        As plain weights with batchnorm statistics taken anew, .safetensors or .onnx: a single architecture, here the
        cheapest that makes ${100 * sufficientShare} % of the gain in score, or the best of each group.
      </p>
      <pre>${commands.join("\n")}</pre>
    </section>
  `;
}

function facts(report: SearchReport): [string, string][] {
  const { run, task, metric, stages, batchnorm, data, images, imageSize, device, settings } = report;
  const { done, saved } = report.blockEvaluations;
  return [
    ["Run", run],
    ["Task", task],
    ["Similarity", metricNames[metric]],
    ["Features", stages.join(", ")],
    ["Batchnorm", batchnorm],
    ["Data", data],
    ["Images", formatInteger(images)],
    ["Image size", `${imageSize} × ${imageSize}`],
    ["Device", device],
    ["Block passes", `${formatInteger(done)} in place of ${formatInteger(done + saved)}`],
    ...settings.map(([label, value]): [string, string] => [label, value]),
  ];
}
