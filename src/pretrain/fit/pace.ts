/**
 * How long a step takes, measured: real steps on a state that is thrown away. What a run does later is untouched by it:
 * nothing is written, and kernels that were compiled stay so.
 */
import type { Config } from "../../config/schema.ts";
import type { Gpu } from "../../gpu/device.ts";
import { purpose, Random } from "../../random.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { rehearseStep } from "../memory_plan.ts";
import { PretrainState } from "../state.ts";
import { fillWithStandIns } from "../../train/stand_in_values.ts";
import { stopwatch } from "../../train/step_times.ts";
import { averageStepMacs, stepMacs } from "./step_macs.ts";

/** A step of fewer images stands for one that would take longer than this. */
const mostSeconds = 4;
/** Quick steps are measured until so many seconds have passed. */
const fewestSeconds = 0.5;
const mostSteps = 8;
/** The first try: enough for batch statistics, little for a slow device. */
const firstBatch = 8;

/** A measured step. */
interface Measured {
  readonly batch: number;
  /** Of a step with average architectures. */
  readonly seconds: number;
}

/**
 * Measures a configuration's steps, slow ones on a part of the batch. Other work on the machine makes steps slower.
 *
 * @param onFirst told before the first step, which compiles
 * @returns seconds of one step, averaged over the architectures that steps draw
 */
export async function measureStep(gpu: Gpu, config: Config, onFirst?: () => void): Promise<number> {
  const { batch } = config.training;
  const groups = config.moco.batchnormGroups;
  const { imageSize } = config.data;
  const average = averageStepMacs(config);
  onFirst?.();
  using state = new PretrainState(gpu, config);
  fillWithStandIns(state.objective);
  using pixels = Tensor.from(gpu, randomPixels(imageSize));
  const run = async (size: number): Promise<Measured> => {
    const seconds = stopwatch();
    const architectures = await rehearseStep(
      gpu,
      state,
      { resident: pixels, bytes: 4 * pixels.length },
      size,
    );
    await gpu.finish();
    const own = stepMacs(state.encoder.network, config, architectures);
    return { batch: size, seconds: seconds() * average / own };
  };
  const upTo = (size: number) => Math.max(2 * groups, Math.floor(Math.min(size, batch) / groups) * groups);
  const small = upTo(firstBatch);
  await run(small);
  const tries = [await run(small), await run(small)];
  const first = tries[0].seconds < tries[1].seconds ? tries[0] : tries[1];
  const size = upTo(Math.floor(small * mostSeconds / first.seconds));
  if (size < 2 * small && size < batch) return scaled([first], batch);
  await run(size); // other sizes take other variants of kernels
  const total = stopwatch();
  const rounds: number[] = [];
  for (let passed = 0; rounds.length < mostSteps && (rounds.length === 0 || passed < fewestSeconds);) {
    rounds.push((await run(size)).seconds);
    passed += total();
  }
  const seconds = rounds.reduce((sum, one) => sum + one, 0) / rounds.length;
  const measured = size === small ? [{ batch: size, seconds }] : [first, { batch: size, seconds }];
  return scaled(measured, batch);
}

/** Seconds of a whole batch: along the line through two smaller ones, where it rises, else in proportion. */
function scaled(measured: readonly Measured[], batch: number): number {
  const last = measured[measured.length - 1];
  if (last.batch >= batch) return last.seconds;
  const [first] = measured;
  const slope = (last.seconds - first.seconds) / (last.batch - first.batch);
  return slope > 0 ? last.seconds + slope * (batch - last.batch) : last.seconds * batch / last.batch;
}

/** One image. */
function randomPixels(imageSize: number): Uint32Array<ArrayBuffer> {
  const random = new Random(0, purpose.tuning);
  return Uint32Array.from({ length: imageSize ** 2 }, () => random.uniform(0, 2 ** 32));
}
