/** A word while a run goes on when its features collapse. */
import { collapseWarning, untrainedSpread } from "../evaluate/verdict.ts";
import { type EvaluationMetrics, isEvaluation, type MetricsLine } from "../store/metrics.ts";

/** Warns once for each time that features collapse, not at every evaluation for which they stay so. */
export class CollapseAlarm {
  #lines: EvaluationMetrics[];
  #collapsed: boolean;

  /** @param metrics lines of the run so far, of which whoever read them was warned */
  constructor(metrics: readonly MetricsLine[]) {
    this.#lines = metrics.filter(isEvaluation);
    const last = this.#lines.at(-1);
    this.#collapsed = last !== undefined && this.#warning(last) !== undefined;
  }

  /** What to warn of at an evaluation; undefined where it finds nothing new. */
  hear(line: EvaluationMetrics): string | undefined {
    this.#lines.push(line);
    const warning = this.#warning(line);
    const before = this.#collapsed;
    this.#collapsed = warning !== undefined;
    return before ? undefined : warning;
  }

  #warning(line: EvaluationMetrics): string | undefined {
    return collapseWarning(line, untrainedSpread(this.#lines));
  }
}
