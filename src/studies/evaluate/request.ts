/** What is evaluated, what is told meanwhile, and what is said of a network. */
import type { PlainModel } from "../../extract/model.ts";
import type { ImagesRequest } from "./images.ts";
import type { Protocol } from "./protocols.ts";
import type { Subject } from "./subjects.ts";

/** What one network is worth, by one protocol. */
export interface EvaluatedNetwork {
  /** Run folder or model file, as given. */
  readonly network: string;
  readonly arch: string;
  /** For one image of its input's size. */
  readonly macs: number;
  readonly params: number;
  /** 0 to 1. */
  readonly accuracy: number;
  /** 95 % interval over test images (Wilson). */
  readonly interval: readonly [low: number, high: number];
  /** By class, in the order of the classes' names, 0 to 1; null where the test set has none of it. */
  readonly perClass: readonly (number | null)[];
  /** Counts, [actual][predicted]. */
  readonly confusion: readonly (readonly number[])[];
  /** What was chosen on the validation split, e.g. `{ regularisation: 0.01 }`. */
  readonly chosen: Readonly<Record<string, string | number>>;
  /** Accuracy of a network of the same architecture with new weights, where it was asked for. */
  readonly untrained?: number;
}

/** A test image whose class a network got wrong. */
export interface MistakenImage {
  /** Its number in the test set. */
  readonly index: number;
  readonly actual: number;
  readonly predicted: number;
  /** Of the prediction, 0 to 1. */
  readonly confidence: number;
}

/** A network that was judged, with what its report shows. */
export interface JudgedNetwork extends EvaluatedNetwork {
  /** The surest first. */
  readonly mistakes: readonly MistakenImage[];
}

/** What is evaluated, and how. */
export interface EvaluateRequest {
  readonly subjects: readonly Subject[];
  readonly images: ImagesRequest;
  readonly protocol: Protocol;
  /** Training images to take batchnorm statistics from, at most; 0 keeps the network's own. */
  readonly calibrate: number;
  /** Models keep the statistics that extraction gave them; without, they are calibrated like the others. */
  readonly keepCalibration: boolean;
  /** Of splits, subsets and new weights. */
  readonly seed: number;
  /** Also judges raw pixels, and networks of the same architectures with new weights; frozen features only. */
  readonly baselines: boolean;
  /** Networks that were judged before. */
  readonly known: readonly JudgedNetwork[];
}

/** What an evaluation tells while it runs. */
export interface EvaluateHooks {
  readonly signal: AbortSignal;
  onWarning(text: string): void;
  /** A network comes next. */
  onNetwork?(subject: Subject, number: number, of: number): Promise<void>;
  /** Steps of its training that are done, as a fraction. */
  onPart?(done: number, total: number): void;
  /** A network is judged. */
  onJudged(judged: JudgedNetwork): Promise<void>;
  /** Where a fine-tuning is kept while it lasts; undefined for nowhere. */
  checkpointOf?(subject: Subject): string | undefined;
  /** A network is fine-tuned. */
  onTuned?(subject: Subject, model: PlainModel): Promise<void>;
}
