/** What the report of an evaluation is made from. */

import type { StepMetrics } from "../store/metrics.ts";
import type { EvaluatedNetwork } from "../studies/evaluate/request.ts";

export type { EvaluatedNetwork };

/** An image whose class a network got wrong. */
export interface Mistake {
  /** Names of classes. */
  readonly actual: string;
  readonly predicted: string;
  /** Of the prediction, 0 to 1. */
  readonly confidence: number;
  /** `data:` address of a PNG, JPEG or WebP of about 64 to 96 pixels. */
  readonly image: string;
  /** The file's name, or another that tells the image from others. */
  readonly name: string;
}

/** Networks judged by one protocol on the same images. */
export interface EvaluateReport {
  /** The page's title, e.g. the folder. */
  readonly title: string;
  /** The version of Scion. */
  readonly version: string;
  /** The adapter, as it names itself. */
  readonly device: string;
  readonly protocol: "knn" | "linear" | "semi" | "finetune";
  readonly settings: readonly (readonly [label: string, value: string])[];
  /** Names, in the order of labels. */
  readonly classes: readonly string[];
  readonly images: { readonly train: number; readonly test: number };
  /** In any order; at least one. */
  readonly results: readonly EvaluatedNetwork[];
  /** Losses of the training, where one is reported. */
  readonly training?: readonly StepMetrics[];
  /** What needs no network, e.g. raw pixels. */
  readonly baselines: readonly { readonly name: string; readonly accuracy: number }[];
  /** Mistakes of the best network, surest first. */
  readonly mistakes: readonly Mistake[];
}

/** The networks by accuracy, best first; of equals the one with fewer MACs, then fewer parameters. */
export function bestFirst<T extends EvaluatedNetwork>(results: readonly T[]): T[] {
  return results.toSorted((a, b) => b.accuracy - a.accuracy || a.macs - b.macs || a.params - b.params);
}

/** Whether the network's interval reaches the best one's accuracy, so that these images cannot tell them apart. */
export function reaches({ interval: [, high] }: EvaluatedNetwork, best: EvaluatedNetwork): boolean {
  return high >= best.accuracy;
}
