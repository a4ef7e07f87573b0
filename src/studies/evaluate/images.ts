/** The labelled images of an evaluation: given by two specifications, or a run's own with those that it held out. */
import type { DataSource } from "../../config/data_source.ts";
import { dataSeed } from "../../config/data_seed.ts";
import type { Config } from "../../config/schema.ts";
import { UsageError } from "../../errors.ts";
import { openLabelledImages } from "../../extract/labelled_images.ts";
import type { ModelInput } from "../../extract/model.ts";
import type { Gpu } from "../../gpu/device.ts";
import { type KnnImages, openRunData } from "../../pretrain/run_data.ts";
import { digest } from "../../store/digest.ts";
import { expectDisjoint } from "./sound_images.ts";
import type { DataRecord } from "../../store/data_record.ts";

/** Where labelled images come from. */
export type ImagesRequest =
  | {
    readonly kind: "given";
    /** Labelled images to train on, and others to test on. */
    readonly data: DataSource;
    readonly testData: DataSource;
    /** Of synthetic images. */
    readonly seed: number;
  }
  | {
    /** All labelled images that the run was trained on, and those that it held out. */
    readonly kind: "run";
    readonly run: string;
    readonly config: Config;
    readonly record: DataRecord | undefined;
  };

/** Opened images, and what training views of them are opened by. */
export interface EvaluationImages extends KnnImages {
  readonly data: DataSource;
  /** Of synthetic images. */
  readonly dataSeed: number;
  /** Names in the order of labels. */
  readonly classes: readonly string[];
  /** Tells these images from others, by their contents. */
  readonly identity: string;
  release(): void;
}

/**
 * Opens them as a network of this input sees them.
 *
 * @throws {UsageError} for a run without labels, or that held nothing out
 * @throws {ConfigurationError} for images that are in both sets, and {@linkcode DataError} as `openLabelledImages` and `openRunData`
 */
export async function openEvaluationImages(
  gpu: Gpu,
  request: ImagesRequest,
  input: ModelInput,
  onWarning: (text: string) => void,
): Promise<EvaluationImages> {
  if (request.kind === "given") {
    const { data, testData, seed } = request;
    const opened = await openLabelledImages(gpu, { data, testData, input, seed, onWarning });
    try {
      const identity = await expectDisjoint(opened, onWarning);
      return { ...opened, data, dataSeed: seed, classes: classNames(opened), identity };
    } catch (error) {
      opened.release();
      throw error;
    }
  }
  const { config, run, record } = request;
  const all = {
    ...config,
    data: { ...config.data, imageSize: input.imageSize },
    knn: { ...config.knn, every: Math.max(1, config.knn.every), bank: 0xffff_ffff },
  };
  const opened = await openRunData(gpu, all, { onWarning }, {
    record,
    acceptChanges: false,
    remedy: "give others with --data and --test-data",
  });
  const { knn, release, record: { list, test } } = opened;
  if (knn) {
    return {
      ...knn,
      data: config.data.source,
      dataSeed: dataSeed(config),
      classes: classNames(knn),
      identity: await digest([list, ...test ? [test.list] : []].map((one) => one.digest).join(" ")),
      release,
    };
  }
  release();
  throw new UsageError(`${run} has no labelled images, or held none out.`, { about: "labels" });
}

function classNames({ bank: { source, labels } }: KnnImages): readonly string[] {
  if (source.classes) return source.classes;
  const count = labels.reduce((most, label) => Math.max(most, label + 1), 0);
  return Array.from({ length: count }, (_, label) => String(label));
}
