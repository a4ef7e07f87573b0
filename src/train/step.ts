/** One step of training: gradients of an objective, and what an optimiser makes of them. */
import type { Arena } from "../nn/arena.ts";
import type { Objective, ObjectiveInput } from "./objective.ts";
import type { Optimizer } from "./optimizer.ts";

/** What is trained, and how. */
export interface Trained {
  readonly objective: Objective;
  readonly optimizer: Optimizer;
  /** Steps done. */
  step: number;
}

/** What one step is given. */
export interface StepInput extends ObjectiveInput {
  readonly learningRate: number;
  /**
   * Called between gradients and update, with everything recorded up to there: several processes average their gradients
   * here. What it changes, the optimiser sees.
   */
  readonly reduce?: ((recorded: RecordedStep) => Promise<void>) | undefined;
}

/** What a step has recorded before its update. */
export interface RecordedStep extends Pick<ObjectiveInput, "losses" | "terms"> {
  readonly gradients: Arena;
}

/**
 * Records a whole step into the command stream and counts it; nothing is read back. Up to the update, nothing changes but
 * gradients and what {@linkcode Objective.undoStep} restores.
 * @throws the reason of the stream's interrupt, when it is aborted meanwhile; nothing of the step is left then
 */
export async function recordStep(trained: Trained, input: StepInput): Promise<void> {
  const { objective, optimizer } = trained;
  const { weights } = objective.encoder;
  weights.gradients!.clear();
  await objective.record(input);
  const { losses, terms } = input;
  await input.reduce?.({ gradients: weights.gradients!, losses, terms });
  weights.gpu.stream.commit();
  optimizer.update(input.learningRate);
  objective.afterUpdate();
  trained.step++;
}
