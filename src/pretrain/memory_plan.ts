/**
 * What a run will need of memory, before any is taken. The device's part is not estimated but rehearsed: whole steps are
 * recorded on a device that does nothing, and its pool keeps the account.
 */
import { specsOf } from "../config/data_source.ts";
import { hasQueue, needsTargets, targetDimension } from "../config/objective.ts";
import type { Config } from "../config/schema.ts";
import { plainParameters } from "../data/augmentation.ts";
import { defaultResidentBytes } from "../data/gpu_images.ts";
import { parseDataSpec } from "../data/spec.ts";
import { ConfigurationError, DeviceLimitError } from "../errors.ts";
import type { Architecture } from "../elastic/architecture.ts";
import { featureChannels } from "../elastic/network.ts";
import { evaluationBatchSize } from "../evaluate/batch_size.ts";
import { Gpu } from "../gpu/device.ts";
import { Statistics } from "../nn/weights.ts";
import { purpose, Random } from "../random.ts";
import { Tape } from "../tensor/tape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { mostAgreementImages } from "./agreement.ts";
import { rehearseAgreement } from "./agreement_rehearsal.ts";
import { drawnSamples, rehearseViews } from "./rehearsed_views.ts";
import { PretrainState } from "./state.ts";
import type { ViewBatch } from "../train/objective.ts";
import { recordStep } from "../train/step.ts";
import { pixelValues } from "../evaluate/pixels.ts";
import { sheetSizes } from "./neighbours.ts";
import { mostSpreadImages } from "./watch.ts";

/** Bytes of a run by what takes them. */
export interface MemoryPlan {
  readonly device: {
    /** Values, gradients, momentum and statistics of both encoders. */
    readonly weights: number;
    readonly queue: number;
    /** Images that stay on the device. */
    readonly images: number;
    /** What steps and evaluations take besides: batches, feature maps and their gradients. */
    readonly activations: number;
    /** All of it at once, as the pool rounds it. */
    readonly total: number;
  };
  readonly host: {
    /** Decoded images, at most. */
    readonly images: number;
    /** A teacher's features of all images. */
    readonly teacher: number;
    /** Tensors on their way into a checkpoint. */
    readonly checkpoint: number;
    /** The runtime, the driver and compiled kernels. */
    readonly runtime: number;
    readonly total: number;
  };
}

/** What Deno, Mesa's driver with its compiled kernels, and the libraries take. */
export const runtimeBytes = 400 * 2 ** 20;
/** Tensors come back in pieces of so many bytes at most; see `Gpu.read`. */
export const stagingBytes = 2 ** 28;
/** Steps after which new random architectures hardly ask for buffers of new sizes. */
const rehearsedSteps = 8;
/** Most rows that kNN compares at once, and the queries against them. */
const bankRows = 65536, queryRows = 256;

/**
 * Plans a run.
 *
 * @param gpu asked for its facts and limits; nothing is allocated on it
 * @param images number of images of the source; 0 while it is not known
 * @param imageBytes of one image as it is kept for training, on average
 * @throws {ConfigurationError} when a single buffer would be larger than the device can bind, naming the field
 */
export async function planMemory(
  gpu: Gpu,
  config: Config,
  images: number,
  imageBytes = 4 * config.data.imageSize ** 2,
): Promise<MemoryPlan> {
  const { imageSize, cacheMegabytes } = config.data;
  const rehearsal = Gpu.rehearse(gpu.facts, gpu.device.limits);
  rehearsal.tuning.use(gpu.tuning.choices);
  const { pool } = rehearsal;
  const queueBytes = hasQueue(config) ? 4 * config.moco.queue * config.head.dimension : 0;
  if (queueBytes > pool.limit) {
    throw new ConfigurationError(
      `moco.queue is ${config.moco.queue}: keys of ${queueBytes} bytes; this adapter binds at most ${pool.limit}. ` +
        "Use a smaller queue.",
    );
  }
  const state = bound("space or head", () => new PretrainState(rehearsal, config));
  const weights = pool.use.used - queueCapacity(state);
  const sizes = config.knn.every > 0 ? evaluationSizes(config, images) : undefined;
  // Of images of another size than the network's evaluation keeps its own.
  const ownImages = imageBytes === 4 * imageSize ** 2 || images === 0
    ? 0
    : sizes
    ? Math.max(sizes.bank, sizes.sheet) + sizes.queries
    : 0;
  const cache = Math.min(cacheMegabytes * 2 ** 20, images * imageBytes + ownImages * 4 * imageSize ** 2);
  const inShards = specsOf(config.data.source).some((spec) => parseDataSpec(spec).kind === "tar");
  const resident = inShards || images * imageBytes > defaultResidentBytes(gpu)
    ? undefined
    : Tensor.create(rehearsal, [Math.max(1, Math.ceil(images * imageBytes / 4))]);
  const kept = { resident, bytes: imageBytes };
  const fixed = pool.use.used;
  try {
    if (sizes) await rehearseEvaluation(rehearsal, state, kept, sizes, true);
    for (let step = 0; step < rehearsedSteps; step++) {
      await rehearseStep(rehearsal, state, kept);
      rehearsal.stream.discard();
    }
    if (sizes) {
      await rehearseEvaluation(rehearsal, state, kept, sizes, false);
      await rehearseEvaluation(rehearsal, state, kept, neighbourSizes(sizes), false);
    }
  } catch (error) {
    if (!(error instanceof DeviceLimitError)) throw error;
    throw new ConfigurationError(
      `training.batch is ${config.training.batch}: ${error.message} The fields are training.batch and data.imageSize.`,
    );
  }
  const teacher = needsTargets(config) ? 4 * images * targetDimension(config) : 0;
  const checkpoint = weights + queueBytes + Math.min(weights + queueBytes, stagingBytes);
  return {
    device: {
      weights,
      queue: queueCapacity(state),
      images: resident?.storage.capacity ?? 0,
      activations: pool.use.peak - fixed,
      total: pool.use.peak,
    },
    host: {
      images: cache,
      teacher,
      checkpoint,
      runtime: runtimeBytes,
      total: cache + teacher + checkpoint + runtimeBytes,
    },
  };
}

/** Bytes of what the objective keeps beside weights. */
function queueCapacity({ objective }: PretrainState): number {
  return objective.sources.reduce(
    (sum, [, source]) => source instanceof Tensor ? sum + source.storage.capacity : sum,
    0,
  );
}

interface EvaluationSizes {
  readonly bank: number;
  readonly queries: number;
  readonly calibration: number;
  /** Images that the sheet of neighbours searches. */
  readonly sheet: number;
  /** Whether the device compares the queries with the bank. */
  readonly compared: boolean;
  /** Images whose features are compared with others of themselves. */
  readonly agreement: number;
}

/** Images of the sheet of neighbours, which compares on the host. */
function neighbourSizes(sizes: EvaluationSizes): EvaluationSizes {
  const { sheet } = sizes;
  return {
    ...sizes,
    bank: sheet,
    queries: Math.min(sheet, sheetSizes.queries),
    compared: false,
    agreement: 0,
  };
}

/** Images of an evaluation. Without images that are held out it is the spread of features, and nothing is compared. */
function evaluationSizes({ data, knn }: Config, images: number): EvaluationSizes {
  const heldOut = data.test === null ? data.heldOut : 0;
  const queries = data.test === null ? heldOut : queryRows;
  const all = Math.min(knn.bank, images === 0 ? Infinity : Math.max(1, images - heldOut));
  return {
    bank: queries === 0 ? Math.min(all, mostSpreadImages) : all,
    queries,
    calibration: Math.min(knn.calibrate, all),
    sheet: Math.min(all, sheetSizes.bank),
    compared: queries > 0,
    agreement: Math.min(mostAgreementImages, all),
  };
}

function bound<T>(field: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof DeviceLimitError)) throw error;
    throw new ConfigurationError(`${field}: ${error.message}`);
  }
}

/** Images as they are kept for training. */
export interface KeptImages {
  /** All of them, where they stay on the device. */
  readonly resident: Tensor | undefined;
  /** Bytes of one. */
  readonly bytes: number;
}

/**
 * Records a step on images that nobody has: views of one place, and a learning rate of 0.
 *
 * @param kept one image at least, or memory is taken for those of the step
 * @param batch images of the step
 * @returns the architectures that were drawn
 */
export async function rehearseStep(
  gpu: Gpu,
  state: PretrainState,
  kept: KeptImages,
  batch = state.config.training.batch,
): Promise<Architecture[]> {
  const { config, space } = state;
  const { training: { seed }, sandwich } = config;
  const orders = state.objective.viewOrders(Uint32Array.from({ length: batch }, (_, at) => at), state.step);
  const samples = drawnSamples(state, orders.length, batch);
  const views = rehearseViews(gpu, config, kept.resident, kept.bytes, samples).map((
    images,
    view,
  ): ViewBatch => ({
    images,
    ...(orders[view].positions && { positions: Tensor.create(gpu, [batch]) }),
  }));
  const passes = space.sandwich(new Random(seed, purpose.architecture, state.step), sandwich);
  const architectures = passes.map(({ architecture }) => architecture);
  const losses = Tensor.create(gpu, [passes.length]);
  const targets = needsTargets(config) ? Tensor.create(gpu, [batch, targetDimension(config)]) : undefined;
  await recordStep(state, { views, targets, architectures, learningRate: 0, losses });
  for (const { images, positions } of views) [images, positions].forEach((tensor) => tensor?.release());
  losses.release();
  targets?.release();
  return architectures;
}

/**
 * Records what `KnnWatch` and `SpreadWatch` do.
 *
 * @param sizes images of the bank, of the queries, and for the statistics
 * @param pixels also compare raw pixels
 */
async function rehearseEvaluation(
  gpu: Gpu,
  state: PretrainState,
  kept: KeptImages,
  sizes: EvaluationSizes,
  pixels: boolean,
): Promise<void> {
  const { encoder, space, config: { data: { imageSize }, knn } } = state;
  const batch = evaluationBatchSize(gpu, encoder.network, space.max, imageSize);
  const own = 4 * imageSize ** 2;
  const resident = kept.bytes === own ? kept.resident : undefined;
  const plain = (size: number) => {
    const place = { offset: 0, width: imageSize, height: imageSize };
    const sample = { ...place, parameters: plainParameters(place) };
    return rehearseViews(gpu, state.config, resident, own, [Array(size).fill(sample)])[0];
  };
  const batches = async (count: number, use: (images: Tensor) => Promise<void> | void) => {
    for (const size of batchSizes(count, batch)) {
      const images = plain(size);
      await use(images);
      images.release();
      gpu.stream.discard();
    }
  };
  const compare = (dimension: number) => {
    const unit = (rows: number) => {
      const [given, normalised] = [0, 1].map(() => Tensor.create(gpu, [rows, dimension]));
      given.release();
      return normalised;
    };
    const rows = Math.min(bankRows, Math.floor(gpu.pool.limit / (4 * dimension)));
    const bank = batchSizes(sizes.bank, rows).map(unit);
    for (const size of batchSizes(sizes.queries, Math.min(queryRows, rows))) {
      const queries = unit(size);
      for (const part of bank) Tensor.create(gpu, [size, part.shape[0]]).release();
      queries.release();
    }
    for (const part of bank) part.release();
  };
  if (pixels && sizes.compared) {
    for (const count of [sizes.bank, sizes.queries]) await batches(count, () => {});
    compare(pixelValues(imageSize, imageSize));
  }
  const run = (images: Tensor, training: boolean, statistics: Statistics) => {
    const tape = new Tape(gpu, false);
    const pass = encoder.pass({ tape, training, batchnormGroups: 1, statistics });
    const { pooled } = encoder.features(pass, images, space.max);
    if (!training && knn.features === "projection") encoder.project(pass, pooled);
    tape.release();
  };
  const statistics = new Statistics(gpu, encoder.shapes);
  await batches(sizes.calibration, (images) => run(images, true, statistics));
  for (const count of [sizes.bank, sizes.queries]) {
    await batches(count, (images) => run(images, false, statistics));
  }
  if (sizes.compared) {
    compare(
      knn.features === "projection" ? encoder.head!.dimension : featureChannels(encoder.network, space.max),
    );
  }
  if (sizes.agreement > 1) {
    rehearseAgreement(state, statistics, {
      ...{ count: sizes.agreement, batch, plain },
      views: (images) =>
        rehearseViews(gpu, state.config, kept.resident, kept.bytes, drawnSamples(state, 2, images)),
    });
  }
  statistics.release();
}

/** Two full batches and a rest say as much as all. */
function batchSizes(count: number, batch: number): number[] {
  const sizes = Array<number>(Math.min(2, Math.floor(count / batch))).fill(batch);
  return count % batch > 0 ? [...sizes, count % batch] : sizes;
}

/** Refuses a run for which there is no room, before anything is allocated; see {@linkcode checkMemory}. */
export async function expectMemory(gpu: Gpu, config: Config): Promise<void> {
  const [spec] = specsOf(config.data.source).map(parseDataSpec);
  const plan = await planMemory(gpu, config, spec.kind === "synthetic" ? spec.length : 0);
  checkMemory(plan, config, gpu.facts.software, freeMemory());
}

/** Bytes of main memory that are free, where the permissions and the system tell. */
export function freeMemory(): number | undefined {
  const permission = { name: "sys", kind: "systemMemoryInfo" } as const;
  if (Deno.permissions.querySync(permission).state !== "granted") return undefined;
  return Deno.systemMemoryInfo().available;
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB (${bytes} bytes)`;
}

/**
 * Refuses a plan for which there is no room. A software driver's memory is the machine's; what another device has free,
 * nobody tells.
 *
 * @param available bytes of main memory that are free; undefined where nobody knows
 * @throws {ConfigurationError} naming what is needed, what there is, and the field to reduce
 */
export function checkMemory(plan: MemoryPlan, config: Config, software: boolean, available?: number): void {
  if (available === undefined) return;
  const { device, host } = plan;
  const needed = host.total + (software ? device.total : 0);
  if (needed <= available) return;
  const onDevice = software ? 1 : 0;
  const queueShare = device.queue / (device.queue + device.weights);
  const fields = [
    {
      bytes: onDevice * device.activations,
      text: `training.batch (${config.training.batch}) or data.imageSize (${config.data.imageSize})`,
    },
    {
      bytes: onDevice * device.weights + (1 - queueShare) * host.checkpoint,
      text: "space and head, whose weights are kept four times",
    },
    {
      bytes: onDevice * device.queue + queueShare * host.checkpoint,
      text: `moco.queue (${config.moco.queue})`,
    },
    { bytes: host.images, text: `data.cacheMegabytes (${config.data.cacheMegabytes})` },
    { bytes: host.teacher, text: "the teacher's features, of fewer dimensions or images" },
  ].sort((a, b) => b.bytes - a.bytes);
  throw new ConfigurationError(
    `This run needs ${megabytes(needed)} of memory, and ${megabytes(available)} are free. Most of it, ` +
      `${megabytes(Math.ceil(fields[0].bytes))}, is due to ${fields[0].text}: reduce that.`,
  );
}
