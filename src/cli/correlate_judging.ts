/** From the flags of `deno task correlate` to what judges, and to how scores see the network. */
import { join } from "@std/path";
import { parseSet } from "../config/overrides.ts";
import type { Config } from "../config/schema.ts";
import { UsageError } from "../errors.ts";
import { linearDefaults } from "../evaluate/linear.ts";
import { type FineTuneConfig, loadFineTuneConfig } from "../finetune/config.ts";
import type { DetectionHead } from "../finetune/detection/settings.ts";
import type { SegmentationHead } from "../finetune/segmentation/network.ts";
import type { Gpu } from "../gpu/device.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { outputStrideOf, withOutputStride } from "../nn/output_stride.ts";
import type { ElasticResNet } from "../nn/resnet.ts";
import type { Task } from "../search/places.ts";
import type { DataRecord } from "../store/data_record.ts";
import { openDenseJudging } from "../studies/correlate/dense_judging.ts";
import { type Judging, openFrozenJudging } from "../studies/correlate/judging.ts";
import { type DenseProtocol, isDense } from "../studies/correlate/protocols.ts";
import type { CorrelateFlags } from "./correlate_flags.ts";
import { givenData } from "./data_flag.ts";
import { comparedNetwork } from "./search_flags.ts";
import { headOf } from "./finetune_flags.ts";

/** A head that subnets are trained with, and how. */
interface Training {
  readonly protocol: DenseProtocol;
  readonly head: SegmentationHead | DetectionHead;
  readonly config: FineTuneConfig;
  readonly data: string;
  readonly testData: string;
}

/** What decides about scores and judging. */
export interface CorrelatePlan {
  /** Undefined for protocols that train none. */
  readonly training: Training | undefined;
  readonly task: Task;
  /** The network as scores see it. */
  readonly network: ElasticResNet;
  readonly outputStride: number;
  readonly imageSize: number;
}

/**
 * Reads what flags say together. Scores see the network as the head will: at its output stride, on squares as large as the
 * shorter side of its training crops.
 *
 * @throws {UsageError} for flags that do not go together
 * @throws {ConfigurationError} for settings that cannot be used
 */
export async function planCorrelation(flags: CorrelateFlags, run: Config): Promise<CorrelatePlan> {
  const { protocol } = flags;
  const own = configuredNetwork(run);
  if (!isDense(protocol)) {
    const tuning = Object.entries({ head: flags.head, config: flags.config, set: flags.set.at(0) })
      .find(([, value]) => value !== undefined);
    if (tuning) {
      throw new UsageError(`--${tuning[0]} goes with --protocol segmentation, detection and instances only.`);
    }
    const task = flags.task ?? "classification";
    const network = comparedNetwork(own, { task, outputStride: undefined });
    return {
      training: undefined,
      task,
      network,
      outputStride: outputStrideOf(network),
      imageSize: run.data.imageSize,
    };
  }
  const config = await loadFineTuneConfig(flags.config, flags.set.map(parseSet));
  if (config.network) {
    throw new UsageError(
      `${
        flags.config ?? "The settings"
      } describe a network of their own, but the subnets are those of --run ${flags.run}. ` +
        "Leave it out with --set network=null.",
    );
  }
  const head = protocol === "segmentation" ? headOf(protocol, flags.head) : headOf(protocol, flags.head);
  const [data, testData] = [oneOf(flags.data, "--data"), oneOf(flags.testData, "--test-data")];
  const { segmentation, detection } = config;
  const network = protocol === "segmentation" ? withOutputStride(own, segmentation.outputStride) : own;
  const crop = protocol === "segmentation" ? segmentation.crop : detection.crop;
  return {
    training: { protocol, head, config, data, testData },
    task: flags.task ?? protocol,
    network,
    outputStride: outputStrideOf(network),
    imageSize: crop ? Math.min(...crop) : detection.shortSide ?? run.data.imageSize,
  };
}

function oneOf(specs: readonly string[], flag: string): string {
  if (specs.length === 1) return specs[0];
  throw new UsageError(
    `${flag} must be given once with this protocol: images with labels of pixels or objects, e.g. masks:DIR/train.`,
  );
}

/** Opens what judges. @throws {UsageError} without labelled images */
export async function openJudging(
  gpu: Gpu,
  { protocol, data, testData }: CorrelateFlags,
  { training }: CorrelatePlan,
  run: Config,
  { record, out, onWarning }: { record: DataRecord | undefined; out: string; onWarning(text: string): void },
): Promise<Judging> {
  if (training) {
    const kept = join(out, "training.safetensors");
    return await openDenseJudging(gpu, { ...training, record, kept, onWarning });
  }
  if (isDense(protocol)) throw new Error(`${protocol} has no training`);
  const { source, test } = run.data;
  const evaluation = {
    ...run,
    data: { ...run.data, source: givenData(data) ?? source, test: givenData(testData) ?? test },
    knn: { ...run.knn, every: Math.max(1, run.knn.every) },
  };
  const own = data.length === 0 ? record : undefined;
  return await openFrozenJudging(gpu, { protocol, evaluation, record: own, onWarning });
}

/** The settings of a protocol that are said with its results. */
export function protocolSettings(
  { protocol }: CorrelateFlags,
  { training }: CorrelatePlan,
  { knn }: Config,
): Record<string, string | number> {
  if (training) {
    const { optimizer, training: { seed } } = training.config;
    return { learningRate: optimizer.learningRate, schedule: optimizer.schedule, seed };
  }
  return protocol === "knn"
    ? { neighbours: knn.neighbours, temperature: knn.temperature, features: knn.features }
    : {
      regularisations: linearDefaults.regularisations.join(", "),
      validation: linearDefaults.validation,
      features: "pooled",
    };
}
