/** What a study's own pretraining shows: its progress and its warnings. */
import type { PretrainHooks } from "../pretrain/pretrain.ts";
import type { Logger } from "./logger.ts";
import { Progress } from "./progress.ts";

/** @param label of the bar */
export function studyHooks(logger: Logger, signal: AbortSignal, label: string): PretrainHooks {
  let progress: Progress | undefined;
  return {
    signal,
    onWarning: (text) => logger.warn(text),
    onProgress() {},
    onStart({ step, totalSteps }) {
      if (totalSteps > step) {
        progress = new Progress({ logger, label, total: totalSteps, unit: "steps", done: step });
      }
    },
    onSteps: ({ step }) => progress?.update(step),
    onEvaluation() {},
    onEnd() {
      progress?.finish();
      return Promise.resolve();
    },
  };
}
