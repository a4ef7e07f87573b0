/** Whether a run still gains, by what is measured without labels. */
import { isEvaluation, isStep, type MetricsLine } from "../store/metrics.ts";
import { formatMeasure } from "../number_format.ts";
import { hasCollapsed, untrainedSpread } from "./verdict.ts";

/** A quantity that training moves one way as long as features get better. */
interface Signal {
  readonly name: string;
  readonly better: "more" | "less";
  readonly value: (line: Measured) => number | null | undefined;
}

type Measured = Extract<MetricsLine, { spread?: unknown }>;

const signals: readonly Signal[] = [
  { name: "effective rank", better: "more", value: ({ spread }) => spread?.effectiveRank },
  { name: "uniformity", better: "less", value: ({ spread }) => spread?.uniformity },
  { name: "alignment", better: "less", value: ({ agreement }) => agreement?.alignment },
  {
    name: "the smallest subnet's likeness to the teacher",
    better: "more",
    value: ({ agreement }) => agreement?.smallest,
  },
];

/** Evaluations after the first step that a judgement takes, at least. */
const fewestEvaluations = 3;
/** The part of the run that is judged: its last quarter. */
const judgedFrom = 0.75;
/** A signal moves when it changes by more than this part of its range over the run, and of its own size. */
const movedOfRange = 0.1, movedOfSize = 0.01;
/** A learning rate below this part of its highest makes any run flat. */
const lowRate = 0.1;

/** How a signal moved over the last part of a run. */
export interface Move {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly direction: "better" | "worse" | "still";
}

/** The last part of a run, by what is measured without labels. */
export interface Progress {
  /** Epochs done at its beginning and end. */
  readonly from: number;
  readonly to: number;
  readonly moves: readonly Move[];
}

/**
 * How each signal moved over the last quarter of a run. The untrained network, from which everything moves far in the first
 * epochs, is left out of the ranges. Undefined for fewer than three evaluations of the trained network.
 */
export function measureProgress(metrics: readonly MetricsLine[]): Progress | undefined {
  const lines = trainedEvaluations(metrics);
  const last = lines.at(-1);
  if (last === undefined || lines.length < fewestEvaluations) return undefined;
  const first = lines.findLast(({ epoch }) => epoch <= judgedFrom * last.epoch) ?? lines[0];
  const moves = signals.flatMap(({ name, better, value }): Move[] => {
    const values = lines.map(value).filter((one) => typeof one === "number");
    const from = value(first), to = value(last);
    if (values.length < lines.length || typeof from !== "number" || typeof to !== "number") return [];
    const change = to - from;
    const range = Math.max(...values) - Math.min(...values);
    const moved = Math.abs(change) > movedOfRange * range && Math.abs(change) > movedOfSize * Math.abs(from);
    const direction = !moved ? "still" : change > 0 === (better === "more") ? "better" : "worse";
    return [{ name, from, to, direction }];
  });
  return moves.length === 0 ? undefined : { from: first.epoch, to: last.epoch, moves };
}

/**
 * Whether a run still gains by what was measured without labels, in plain words; undefined for a run that was not watched
 * in its training, or whose features have collapsed or are not finite, of which other sentences speak.
 */
export function progressSentence(metrics: readonly MetricsLine[]): string | undefined {
  const lines = trainedEvaluations(metrics);
  const spread = lines.at(-1)?.spread;
  if (!spread || metrics.findLast(isEvaluation)?.spread === null) return undefined;
  if (hasCollapsed(spread, untrainedSpread(metrics))) return undefined;
  const progress = measureProgress(metrics);
  if (progress === undefined) {
    return `Whether training still gains cannot be told: that takes ${fewestEvaluations} evaluations after the first ` +
      `step, and there ${
        lines.length === 1 ? "is 1" : `are ${lines.length}`
      }. A smaller knn.every gives more.`;
  }
  const { from, to, moves } = progress;
  const list = (wanted: Move["direction"]) =>
    joined(moves.filter(({ direction }) => direction === wanted).map(describeMove));
  const better = list("better"), worse = list("worse");
  const when = `Between epochs ${from} and ${to}`;
  const verdict = better === ""
    ? worse === ""
      ? `Training has flattened by these signals. ${when} none of them moved by more than a tenth of its range over the ` +
        `run and a hundredth of its size: ${joined(moves.map(({ name }) => name))}.`
      : `Training no longer gains by these signals. ${when} nothing improved, and this got worse: ${worse}.`
    : worse === ""
    ? `Training still gains by these signals. ${when} these improved: ${better}.`
    : `The signals disagree about whether training still gains. ${when} these improved: ${better}; these got worse: ${worse}.`;
  return `${verdict} They say how features lie, not what these are worth for a task.${rateNote(metrics)}`;
}

function trainedEvaluations(metrics: readonly MetricsLine[]): Measured[] {
  return metrics.filter(isEvaluation).filter(({ step, spread }) => step > 0 && spread);
}

function describeMove({ name, from, to }: Move): string {
  return `${name} (${signed(from)} to ${signed(to)})`;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : ""}${formatMeasure(Math.abs(value))}`;
}

function joined(texts: readonly string[]): string {
  return texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`;
}

/** A schedule that ends in small steps flattens every curve, whatever more training would bring. */
function rateNote(metrics: readonly MetricsLine[]): string {
  const rates = metrics.filter(isStep).map(({ lr }) => lr);
  const highest = Math.max(0, ...rates), last = rates.at(-1) ?? 0;
  if (highest === 0 || last >= lowRate * highest) return "";
  return " The learning rate was below a tenth of its highest by then, which flattens any run: what a longer one would " +
    "gain, this does not tell.";
}
