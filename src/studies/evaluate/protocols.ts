/** The ways in which a network is judged by labels. */
import { balancedSubset, leastLabels } from "../../evaluate/class_split.ts";
import type { FeatureKind } from "../../evaluate/features.ts";
import { type KnnSettings, knnVotes, type LabelledFeatures } from "../../evaluate/knn.ts";
import { accuracyOf, expectFiniteFeatures, linearProbe, type LinearSettings } from "../../evaluate/linear.ts";
import { sgdProbe, type SgdProbeSettings } from "../../evaluate/sgd_probe.ts";
import { entriesOf, type FineTuneSettings } from "../../finetune/settings.ts";
import type { Gpu } from "../../gpu/device.ts";

/** Names of the protocols. */
export const protocols = ["knn", "linear", "semi", "finetune"] as const;

/** Judges frozen features. */
export type FrozenProtocol =
  | { readonly kind: "knn"; readonly settings: KnnSettings; readonly features: FeatureKind }
  | { readonly kind: "linear"; readonly solver: "lbfgs"; readonly settings: LinearSettings }
  | { readonly kind: "linear"; readonly solver: "sgd"; readonly settings: SgdProbeSettings };

/** Trains the network with a classifier, on a part of the labels or all. */
export class TuningProtocol {
  /**
   * @param fraction part of the labels, above 0, at most 1; the same number of every class
   */
  constructor(
    readonly kind: "semi" | "finetune",
    readonly fraction: number,
    readonly settings: FineTuneSettings,
  ) {}

  /** The images whose labels are used. */
  subset(labels: Int32Array, indices: Uint32Array): Uint32Array {
    return balancedSubset(labels, indices, this.fraction, this.settings.seed);
  }

  /** Says where the part is less than can be used. */
  warnOfFew(images: number, classes: number, warn: (text: string) => void): void {
    const each = this.fraction * images / classes;
    if (Math.round(each) >= leastLabels || this.fraction === 1) return;
    warn(
      `${this.fraction} of ${images} labels are ${
        Number(each.toPrecision(2))
      } of each class; ${leastLabels} of each ` +
        "are used, or all where there are fewer.",
    );
  }
}

/** How networks are judged. */
export type Protocol = FrozenProtocol | TuningProtocol;

/** Images of each class that a protocol needs: two where it chooses settings on one of them. */
export function leastOfClass(protocol: Protocol): 1 | 2 {
  if (protocol.kind === "knn") return 1;
  if (protocol.kind === "linear") return protocol.solver === "sgd" ? 1 : 2;
  return entriesOf(protocol.settings).length > 1 ? 2 : 1;
}

/** What a classifier says of test images. */
export interface JudgedImages {
  readonly predictions: Int32Array;
  /** Of each prediction, 0 to 1. */
  readonly confidences: Float64Array;
  readonly labels: Int32Array;
  /** Number of each image in the test set. */
  readonly indices: readonly number[];
  /** What was chosen on a validation split. */
  readonly chosen: Readonly<Record<string, string | number>>;
  /** Accuracy of the same architecture with new weights. */
  readonly untrained?: number;
}

/** Features to train a classifier on, and to test it on. */
export interface FeatureSets {
  readonly train: LabelledFeatures;
  readonly test: LabelledFeatures;
}

/** Trains a classifier on frozen features and tests it. @throws as `linearProbe`, and the signal's reason */
export async function vote(
  gpu: Gpu,
  protocol: FrozenProtocol,
  { train, test }: FeatureSets,
  signal: AbortSignal,
): Promise<Pick<JudgedImages, "predictions" | "confidences" | "chosen"> & { accuracy: number }> {
  signal.throwIfAborted();
  if (protocol.kind === "knn") {
    expectFiniteFeatures(train, test);
    const votes = await knnVotes(gpu, train, test, protocol.settings);
    return { ...votes, chosen: {}, accuracy: accuracyOf(votes.predictions, test.labels) };
  }
  if (protocol.solver === "sgd") {
    const { predictions, confidences, accuracy } = await sgdProbe(train, test, protocol.settings, signal);
    return { predictions, confidences, accuracy, chosen: {} };
  }
  const probe = await linearProbe(train, test, protocol.settings, signal);
  const { predictions, confidences, accuracy, regularisation } = probe;
  return { predictions, confidences, accuracy, chosen: { regularisation } };
}
