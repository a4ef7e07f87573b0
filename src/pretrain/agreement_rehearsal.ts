/** The part of the memory plan that is due to `agreement.ts`. */
import { specsOf } from "../config/data_source.ts";
import { batchBounds } from "../data/chosen_images.ts";
import { parseDataSpec } from "../data/spec.ts";
import type { Architecture } from "../elastic/architecture.ts";
import type { Encoder } from "../nn/encoder.ts";
import { Statistics } from "../nn/weights.ts";
import { Tape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { agreementBatches } from "./agreement.ts";
import type { PretrainState } from "./state.ts";

/** Images that nobody has. */
export interface RehearsedImages {
  /** So many images to compare. */
  readonly count: number;
  /** Images of a batch of an evaluation, at most. */
  readonly batch: number;
  /** Two augmented views of so many. */
  views(count: number): Tensor[];
  /** So many as an evaluation sees them. */
  plain(count: number): Tensor;
}

/**
 * Records what `Agreement` does.
 *
 * @param statistics of an evaluation at the largest architecture
 */
export function rehearseAgreement(
  state: PretrainState,
  statistics: Statistics,
  { count, batch, views, plain }: RehearsedImages,
): void {
  const { gpu, encoder, momentumEncoder, space, config } = state;
  const sizes = agreementBatches(batch);
  const each = (size: number, use: (images: number) => void) => {
    for (const [first, end] of batchBounds(count, size)) {
      use(end - first);
      gpu.stream.discard();
    }
  };
  const project = (one: Encoder, images: Tensor, architecture: Architecture, statistics: Statistics) => {
    using tape = new Tape(gpu, false);
    const pass = one.pass({ tape, training: true, batchnormGroups: 1, statistics });
    one.project(pass, one.features(pass, images, architecture).pooled);
  };
  if (config.augmentation !== "none" && parseDataSpec(specsOf(config.data.source)[0]).kind !== "tensor") {
    each(sizes.views, (images) => {
      for (const view of views(images)) {
        using tape = new Tape(gpu, false);
        const pass = encoder.pass({ tape, training: false, batchnormGroups: 1, statistics });
        const { pooled } = encoder.features(pass, view, space.max);
        if (config.knn.features === "projection") encoder.project(pass, pooled);
        view.release();
      }
    });
  }
  if (momentumEncoder && encoder.head && space.size > 1) {
    using own = new Statistics(gpu, encoder.shapes);
    each(sizes.projections, (images) => {
      using seen = plain(images);
      project(momentumEncoder, seen, space.max, own);
      project(encoder, seen, space.min, own);
    });
  }
}
