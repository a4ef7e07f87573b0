/** What `deno task pretrain` shows while a run goes on. */
import { evaluationText } from "../evaluate/verdict.ts";
import type { PretrainHooks, PretrainOutcome } from "../pretrain/pretrain.ts";
import { counted, formatCount, formatRate } from "./format.ts";
import type { Logger } from "./logger.ts";
import { describeTime } from "./plan_text.ts";
import { Progress } from "./progress.ts";

/** What the hooks of a run work with. */
export interface HookOptions {
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Whether steps were run before, so that their kernels are compiled. */
  readonly compiled: boolean;
  /** What a step took until now, for a run that goes on. */
  readonly secondsPerStep: number | undefined;
  /** Called when training begins. */
  start(): void;
  /** Called with a run that has ended, while its folder is locked. */
  finish(outcome: PretrainOutcome): Promise<void>;
}

/** Progress of decoding and of training, the lines of evaluations, warnings. */
export function hooksFor(
  { logger, signal, compiled, secondsPerStep, start, finish }: HookOptions,
): PretrainHooks {
  const began = performance.now();
  let decoding: Progress | undefined;
  let teaching: Progress | undefined;
  let training: Progress | undefined;
  let first = 0;
  let begun = false;
  return {
    signal,
    onWarning: (text) => logger.warn(text),
    onNote: (text) => logger.info(text),
    onProgress(done, total) {
      decoding ??= new Progress({ logger, label: "decode", total, unit: "images", began });
      decoding.update(done);
      if (done < total) return;
      decoding.finish();
      logger.status("preparing the network");
    },
    onTeacher(done, total) {
      teaching ??= new Progress({ logger, label: "teacher", total, unit: "images" });
      teaching.update(done);
      if (done === total) teaching.finish();
    },
    onStart({ images, labelled, step, totalSteps }) {
      start();
      const watched = labelled ? "" : "; no kNN: the images have no labels";
      const place = step > 0 ? `, from step ${formatCount(step)}` : "";
      logger.info(`${counted(images, "image")}, ${counted(totalSteps, "step")}${place}${watched}`);
      if (totalSteps === step) return;
      if (secondsPerStep !== undefined) {
        const seconds = (totalSteps - step) * secondsPerStep;
        logger.info(
          describeTime(secondsPerStep, "as until now", seconds, new Date(Date.now() + 1000 * seconds)),
        );
      }
      first = step;
      training = new Progress({ logger, label: "pretrain", total: totalSteps, unit: "steps", done: step });
      if (!compiled) training.note("first step: compiling");
    },
    onPart(done) {
      if (!begun) training?.restart();
      begun = true;
      if (done >= first + 1) training?.note("");
      training?.update(done);
    },
    onSteps({ step, loss, imagesPerSecond }) {
      training?.update(step, {
        ...(Number.isNaN(loss) ? {} : { loss: loss.toFixed(3) }),
        "images/s": formatRate(imagesPerSecond),
      });
    },
    onEvaluating: () => logger.status("evaluating"),
    onEvaluation(line) {
      logger.info(evaluationText(line));
      training?.restart();
    },
    async onEnd(outcome) {
      training?.finish();
      await finish(outcome);
    },
  };
}
