/** What to do about a training that diverged. */
import { TrainingError } from "../errors.ts";
import { removeFile } from "../store/remove_file.ts";
import type { FineTuneConfig } from "./config.ts";
import type { KeptTraining } from "./kept.ts";

/**
 * Turns a loss or weights that are not finite into advice, and removes what was kept: with other settings it could not be
 * gone on with. Other errors pass.
 * @throws always
 */
export async function explainDivergence(
  error: unknown,
  step: number,
  { optimizer: { learningRate, headFactor, warmupEpochs } }: FineTuneConfig,
  { path }: KeptTraining,
): Promise<never> {
  if (!(error instanceof TrainingError)) throw error;
  await removeFile(path);
  const ofHead = headFactor === 1 ? "" : `, the head's ${headFactor} times that`;
  const lower = Number((learningRate / 5).toPrecision(2));
  throw new TrainingError(
    `Training diverged by step ${step} with the learning rate ${learningRate}${ofHead}: losses or weights are no longer ` +
      `finite. Begin anew with a lower one, e.g. --set optimizer.learningRate=${lower}` +
      `${warmupEpochs > 0 ? "" : ", or with --set optimizer.warmupEpochs=1"}.`,
    { cause: error },
  );
}
