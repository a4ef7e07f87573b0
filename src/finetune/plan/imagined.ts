/** Images that nobody has, to rehearse and to measure a training with. */
import { denseCrop } from "../../data/dense/dense_crop.ts";
import { type Size, wholePlacement } from "../../data/dense/placement.ts";
import type { DenseSource, InstanceTarget, LabelTarget } from "../../data/dense/target.ts";
import type { ModelInput } from "../../extract/model.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { Objective } from "../../train/objective.ts";
import { recordStep } from "../../train/step.ts";
import type { TrainingState } from "../../train/state.ts";
import type { DenseKind, DenseTask } from "../dense/run.ts";
import { area } from "./look.ts";

/** A batch's inputs and where they come from. */
export interface ImaginedBatch {
  readonly images: number;
  /** Of the inputs. */
  readonly size: Size;
  readonly objects: "most" | "few";
  /** The set's pixels, where they lie on the device; else so many bytes are uploaded. */
  readonly pixels: Tensor | number;
}

/** Records a whole step on images that nobody has, with a learning rate of 0. Pixels on the device must be one image's at least. */
export async function imaginedStep<Kind extends DenseKind>(
  state: TrainingState<Kind["objective"]>,
  task: DenseTask<Kind>,
  { mean, std }: ModelInput,
  { images: count, size, objects, pixels: given }: ImaginedBatch,
): Promise<void> {
  const { objective } = state;
  const { terms: names = [] }: Objective = objective;
  const { gpu } = objective;
  const said = task.imagined.given(objective, count, size, objects);
  const uploaded = typeof given === "number" ? Tensor.zeros(gpu, [Math.ceil(given / 4)]) : undefined;
  const sample = { offset: 0, ...size, placement: wholePlacement(size), colours: [] };
  const pixels = uploaded ?? given as Tensor;
  const images = denseCrop(
    gpu,
    pixels,
    new Array(count).fill(sample),
    { ...size, mean, std },
    task.antialias,
  );
  uploaded?.release();
  const losses = Tensor.create(gpu, [1]), terms = Tensor.create(gpu, [Math.max(1, names.length), 1]);
  try {
    await recordStep(state, {
      ...{ views: [{ images }], architectures: [], learningRate: 0, losses },
      ...said,
      ...names.length > 0 && { terms },
    });
  } finally {
    for (const tensor of [images, losses, terms, said.labels]) tensor?.release();
  }
}

/** A set of a single blank image. */
export function imaginedSet<Target extends LabelTarget | InstanceTarget>(
  { name, classes }: DenseSource<Target>,
  size: Size,
  target: Target,
): DenseSource<Target> {
  const image = { ...size, pixels: new Uint8Array(4 * area(size)) };
  return {
    name,
    classes,
    images: {
      ...{ kind: "images", name, length: 1, skipped: [] },
      load: (indices) => Promise.resolve(indices.map(() => image)),
      release: () => {},
    },
    target: () => Promise.resolve(target),
    release: () => {},
  };
}
