/** Everything that training changes: what a checkpoint holds. */
import { LossSums } from "./loss_sums.ts";
import type { NamedSource, Objective } from "./objective.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Trained } from "./step.ts";

/** An objective, an optimiser, and how far they are. Releases both with itself. */
export class TrainingState<
  Loss extends Objective = Objective,
  Update extends Optimizer = Optimizer,
> implements Trained, Disposable {
  /** Steps done. */
  step = 0;
  /** Losses since the last metrics line. */
  readonly losses: LossSums = new LossSums();
  #stepBefore = 0;

  constructor(readonly objective: Loss, readonly optimizer: Update) {}

  /** Everything on the device that a checkpoint holds. */
  get sources(): readonly NamedSource[] {
    return [...this.objective.sources, ...this.optimizer.sources];
  }

  /** To the start of a run, except for the objective's own values: no steps, no momentum. */
  restart(): void {
    this.optimizer.clear();
    this.losses.clear();
    this.step = 0;
  }

  /** Records copies of what a step changes before its optimiser does, so that a step that was dropped can be undone. */
  beginStep(): void {
    this.#stepBefore = this.step;
    this.objective.beginStep();
  }

  /** Puts the state back to the last {@linkcode beginStep}; nothing of the step's commands may be waiting. */
  undoStep(): void {
    this.step = this.#stepBefore;
    this.objective.undoStep();
  }

  /** Releases the memory; nothing may read it afterwards. */
  release(): void {
    this.optimizer.release();
    this.objective.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
