/**
 * How long a step takes, measured: real steps on a network that is thrown away, on small inputs first, then on larger ones
 * while they are quick. What is larger still follows from the arithmetic that both record.
 */
import type { Size } from "../../data/dense/placement.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { fillWithStandIns } from "../../train/stand_in_values.ts";
import { TrainingState } from "../../train/state.ts";
import { stopwatch } from "../../train/step_times.ts";
import { type DenseDefinition, type DenseKind, type DenseTask, optimizerOf } from "../dense/run.ts";
import { imaginedStep } from "./imagined.ts";
import { area } from "./look.ts";

/** The input of the first step, at most: little for a slow device. */
const firstInput = { side: 64, images: 2 };
/** A step that is expected to take longer than this is not measured. */
const mostSeconds = 6;
/** A larger step has at most so many times the pixels of the one before. */
const growth = 4;

/** A step's input. */
export interface StepInputSize {
  readonly images: number;
  readonly size: Size;
}

/** A measured step. */
export interface MeasuredStep extends StepInputSize {
  readonly seconds: number;
  readonly flops: number;
}

/** The pace of a device at some steps. */
export interface Pace {
  /** The largest step that was measured. */
  readonly largest: MeasuredStep;
  /** Whether it was a whole one. */
  readonly whole: boolean;
  /** Seconds of work of so many floating-point operations: along the line through the last two steps, where it rises. */
  seconds(flops: number): number;
  /** Floating-point operations a second, beside what every step takes whatever its size. */
  readonly rate: number;
}

/**
 * Measures steps. Other work on the machine makes them slower.
 *
 * @param whole the input of the training's steps
 * @param possible whether the device can hold such a step
 * @param onStep told before each step
 */
export async function measurePace<Kind extends DenseKind>(
  gpu: Gpu,
  definition: DenseDefinition<Kind>,
  task: DenseTask<Kind>,
  whole: StepInputSize,
  possible: boolean,
  onStep: (input: StepInputSize) => void,
): Promise<Pace> {
  const objective = task.build(gpu);
  using state = new TrainingState<Kind["objective"]>(
    objective,
    optimizerOf<Kind>(gpu, objective, definition.config, task),
  );
  fillWithStandIns(objective);
  state.restart();
  const run = async ({ images, size }: StepInputSize): Promise<MeasuredStep> => {
    using pixels = Tensor.zeros(gpu, [area(size)]);
    onStep({ images, size });
    await gpu.finish();
    const [seconds, before] = [stopwatch(), gpu.stream.flops];
    await imaginedStep(state, task, definition.model.input, { images, size, objects: "few", pixels });
    await gpu.finish();
    return { images, size, seconds: seconds(), flops: gpu.stream.flops - before };
  };
  const measured: MeasuredStep[] = [];
  for (let input: StepInputSize | undefined = smallest(whole); input; input = larger(input, whole)) {
    if (expectedSeconds(measured, input) > mostSeconds || !possible && isWhole(input, whole)) break;
    // The first of a size compiles.
    await run(input);
    measured.push(await run(input));
  }
  return paceOf(measured, whole);
}

/**
 * By the line through the last two steps. Two are measured at any rate: of a small step most may be the weights' sums and
 * updates, which take the same at any size.
 */
function expectedSeconds(measured: readonly MeasuredStep[], input: StepInputSize): number {
  const [last, before] = [measured.at(-1), measured.at(-2)];
  if (!last || !before) return 0;
  const each = Math.max(0, last.seconds - before.seconds) / (pixelsOf(last) - pixelsOf(before));
  return last.seconds + each * (pixelsOf(input) - pixelsOf(last));
}

function paceOf(measured: readonly MeasuredStep[], whole: StepInputSize): Pace {
  const largest = measured.at(-1)!, before = measured.at(-2);
  const slope = before && (largest.seconds - before.seconds) / (largest.flops - before.flops);
  // Two steps of one length, or noise: then all of it is arithmetic.
  const each = slope !== undefined && slope > 0 ? slope : largest.seconds / largest.flops;
  return {
    largest,
    whole: isWhole(largest, whole),
    rate: 1 / each,
    seconds: (flops) => largest.seconds + (flops - largest.flops) * each,
  };
}

function pixelsOf({ images, size }: StepInputSize): number {
  return images * area(size);
}

function isWhole({ images, size }: StepInputSize, whole: StepInputSize): boolean {
  return images === whole.images && area(size) === area(whole.size);
}

function smallest({ images, size }: StepInputSize): StepInputSize {
  const side = (length: number) => Math.min(length, firstInput.side);
  return {
    images: Math.min(images, firstInput.images),
    size: { height: side(size.height), width: side(size.width) },
  };
}

/** Larger images first, then more of them; undefined beyond a whole step. */
function larger({ images, size }: StepInputSize, whole: StepInputSize): StepInputSize | undefined {
  if (area(size) < area(whole.size)) {
    const side = (length: number, most: number) => Math.min(Math.sqrt(growth) * length, most);
    return {
      images,
      size: { height: side(size.height, whole.size.height), width: side(size.width, whole.size.width) },
    };
  }
  return images < whole.images ? { images: Math.min(growth * images, whole.images), size } : undefined;
}
