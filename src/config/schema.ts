/**
 * Every field of a configuration, with its default and its meaning. `configs/schema.json` is generated from this
 * file (`deno task schema`); rules that span several fields are in `checks.ts`.
 */

import { z } from "zod";

// Every number has a bound: far above what is of use, and low enough for whatever is computed from it before the memory
// plan is.
const count = z.int().min(1).max(1e8);
const countOrZero = z.int().min(0).max(1e8);
const epochs = z.int().min(0).max(1e6);
/** A number that the images and the device decide about where it is not given; see `pretrain/fit`. */
const automatic = <T extends z.ZodNumber>(number: T) => z.union([number, z.literal("auto")]).default("auto");
const seed = z.int().min(0).max(0xffff_ffff);
const probability = z.number().min(0).max(1);
const widths = z.array(z.int().min(1).max(16_384)).min(1).max(64);
const depths = z.array(z.int().min(1).max(256)).min(1).max(64);
const positive = z.number().gt(0).max(1e4);
/** A range from low to high. */
const range = z.tuple([positive, positive]);
const deviation = z.number().min(1e-6).max(1e4);
const mean = z.number().min(-1e3).max(1e3);
const channels = z.tuple([mean, mean, mean]);

/** The `space` section. */
export const spaceSchema = z.strictObject({
  block: z.enum(["bottleneck", "basic"]).describe(
    "Residual block: bottleneck (1x1, 3x3, 1x1; output four times as wide) or basic (3x3, 3x3).",
  ),
  stem: z.strictObject({
    kind: z.enum(["7x7", "3x3"]).describe(
      "First convolution: 7x7 with stride 2 and a 3x3 max-pool of stride 2, or 3x3 with stride 1 for small images.",
    ),
    widths: widths.describe("Choices for the stem's output channels, ascending."),
  }).describe("The layers before the first stage."),
  widths: z.array(widths).min(1).max(8).describe(
    "Per stage, the choices for its width in channels, ascending.",
  ),
  depths: z.array(depths).min(1).max(8).describe(
    "Per stage, the choices for its number of blocks, ascending.",
  ),
  strides: z.array(z.int().min(1).max(2)).max(8).default([1, 2, 2, 2]).describe(
    "Stride of each stage's first block.",
  ),
  named: z.record(z.string(), z.string()).default({}).describe(
    "Names for single architectures, as ids STEM-W.W.W.W-D.D.D.D. Depths may lie between two choices.",
  ),
}).describe("The search space: the architectures that can be cut out of the network.");

const specification = z.string().min(1);
/** One specification, or several whose images make one set. */
const images = z.union([specification, z.array(specification).min(1).max(1000)]);

/** How images become a network's input. */
export const normalisation = {
  mean: channels.default([0.5, 0.5, 0.5]).describe("Subtracted from red, green and blue in 0..1."),
  std: z.tuple([deviation, deviation, deviation]).default([0.25, 0.25, 0.25]).describe(
    "Divides red, green and blue after the mean is subtracted.",
  ),
};

const data = z.strictObject({
  source: images.default("synthetic:2560").describe(
    "Training images: DIR, LIST.txt (a path a line), synthetic[:N], cifar10:DIR, tensor:FILE.safetensors or " +
      "tar:DIR/train-{000..127}.tar; or a list of folders and list files, which make one set.",
  ),
  test: images.nullable().default(null).describe(
    "Labelled images for kNN, in the same form; null holds images of the source back.",
  ),
  heldOut: automatic(countOrZero).describe(
    "Images of the source held back for kNN when there is no test source; auto: a fifth of labelled images, at most 1000.",
  ),
  imageSize: z.int().min(8).max(1024).default(32).describe("Side of the square network input, in pixels."),
  storedSide: z.union([z.literal("auto"), z.int().min(8).max(8192)]).nullable().default(null).describe(
    'Longest shorter side, in pixels, that photos are kept at for training\'s crops; "auto" keeps the detail of the ' +
      "smallest crops (the image size over the root of augmentation.crop.scale[0], at most 4 image sizes), null only " +
      "256/224 of the image size. None is enlarged.",
  ),
  ...normalisation,
  cacheMegabytes: z.int().min(0).max(2 ** 20).default(2048).describe(
    "Main memory for decoded images, in MiB.",
  ),
  workers: automatic(z.int().min(1).max(256)).describe(
    "Threads that decode images; auto: one a core, at most 16, or 4 beside a driver that computes on the same cores.",
  ),
  seed: seed.nullable().default(null).describe(
    "Seed of synthetic images and of which images are held out; null for training.seed.",
  ),
  strict: z.boolean().default(false).describe(
    "Stop at an image that cannot be read, instead of skipping it.",
  ),
}).prefault({}).describe("Where images come from.");

const crop = z.strictObject({
  scale: range.default([0.2, 1]).describe("Smallest and largest part of the image's area."),
  ratio: range.default([0.75, 1.3333333333333333]).describe("Smallest and largest ratio of width to height."),
});

const jitter = z.strictObject({
  brightness: probability.default(0.4).describe("Factor drawn from 1 - this to 1 + this."),
  contrast: probability.default(0.4).describe("Factor drawn from 1 - this to 1 + this."),
  saturation: probability.default(0.4).describe("Factor drawn from 1 - this to 1 + this."),
  hue: z.number().min(0).max(0.5).default(0.1).describe("Shift drawn from -this to this, in turns."),
  probability: probability.default(0.8).describe("Probability of any jitter."),
});

const blur = z.strictObject({
  probability: probability.default(0.5).describe("Probability of a blur."),
  sigma: range.default([0.1, 2]).describe("Smallest and largest standard deviation, in pixels."),
});

const augmentation = z.union([
  z.literal("none"),
  z.strictObject({
    crop: crop.nullable().prefault({}).describe("Random resized crop; null keeps the whole image."),
    flip: probability.default(0.5).describe("Probability of a horizontal flip."),
    jitter: jitter.nullable().prefault({}).describe(
      "Colour jitter, its four parts in random order; null for none.",
    ),
    grayscale: probability.default(0.2).describe("Probability of turning gray."),
    blur: blur.nullable().prefault({}).describe("Gaussian blur; null for none."),
  }),
]).prefault({}).describe(
  'How the two views of an image are drawn (by default as MoCo v2 does); "none" uses images as they are.',
);

/** How training views are drawn where nothing else is said: as MoCo v2 does. */
export const defaultAugmentation: z.output<typeof augmentation> = augmentation.parse(undefined);

const head = z.strictObject({
  kind: z.enum(["mlp", "linear"]).default("mlp").describe(
    "Projection: linear-ReLU-linear, or one linear layer.",
  ),
  hidden: z.int().min(1).max(65_536).default(2048).describe("Width of the mlp's hidden layer."),
  dimension: z.int().min(1).max(8192).default(128).describe("Dimension of the projection, a multiple of 4."),
}).prefault({}).describe("The projection head on the pooled features; it is left out of extracted models.");

const initialisation = z.strictObject({
  head: z.enum(["kaiming", "uniform"]).default("kaiming").describe(
    "Linear layers of the head: kaiming (normal with variance 2 / inputs, bias 0) or uniform (within 1 / sqrt(inputs), " +
      "PyTorch's default).",
  ),
  lastBatchnorm: z.number().min(0).max(1).default(0).describe(
    "Weight that the last batchnorm of each residual branch starts with: 0 makes every block start as its shortcut.",
  ),
  weights: z.string().min(1).max(4096).nullable().default(null).describe(
    "A ResNet's weights for the backbone to start from: a .safetensors, .pth or .pt file with torchvision's names, as " +
      "--init names it; null draws new ones.",
  ),
  weightsSha256: z.string().regex(/^[0-9a-f]{64}$/).nullable().default(null).describe(
    "That file's SHA-256, which a run's config.json has; another file is refused. null takes any.",
  ),
}).prefault({}).describe(
  "Weights before the first step. Convolutions are always normal with variance 2 / (outputs kernel²).",
);

const moco = z.strictObject({
  queue: automatic(z.int().min(1).max(2 ** 24)).describe(
    "Keys in the queue of negatives; auto: a quarter of the training images, at most 65536.",
  ),
  momentum: z.number().min(0).max(1).default(0.999).describe("Momentum of the key encoder's moving average."),
  temperature: positive.default(0.2).describe("Temperature of the contrastive loss."),
  teacher: z.enum(["largest", "same-architecture"]).default("largest").describe(
    "Architecture of the key encoder: always the largest, or the query's own (the naive variant, to compare).",
  ),
  batchnormGroups: z.int().min(1).max(4096).default(1).describe(
    "Groups of the batch with batchnorm statistics of their own, as on that many devices.",
  ),
  shuffle: z.boolean().default(true).describe(
    "Shuffle the keys' batch, so that groups differ from the queries'.",
  ),
  selfDistillation: z.number().min(0).max(1000).default(0).describe(
    "Weight of a term (POA, 2024) by which every pass but the first matches the first one's similarities to the queue; 0 " +
      "for none.",
  ),
}).prefault({}).describe("Momentum contrast.");

const distillation = z.strictObject({
  teacher: z.string().min(1).nullable().default(null).describe(
    "Whose features the network learns: features:FILE.safetensors (a row an image), model:FILE.onnx (run once over all " +
      "images), or self (the network that the run begins with, frozen); null for no teacher.",
  ),
  weight: z.number().gt(0).max(1000).default(1).describe(
    "Weight of the distance to the teacher's features, 1 - cosine.",
  ),
  moco: z.number().min(0).max(1000).default(0).describe(
    "Weight of momentum contrast beside a teacher; 0 learns from the teacher alone, without keys and queue.",
  ),
  output: z.string().min(1).nullable().default(null).describe(
    "For model: the output that is learned; null for the one called features, or the only one of shape [N, D].",
  ),
  dimension: z.int().min(1).max(65_536).nullable().default(null).describe(
    "Dimension of the teacher's features; filled in when the run begins.",
  ),
  digest: z.string().nullable().default(null).describe(
    "Digest of the teacher's features; filled in when the run begins, and other features are refused from then on.",
  ),
}).prefault({}).describe("Learning from the features of a teacher that exists.");

const sandwich = z.strictObject({
  largest: z.boolean().default(true).describe("A pass with the largest architecture."),
  smallest: z.boolean().default(true).describe("A pass with the smallest architecture."),
  random: z.int().min(0).max(64).default(1).describe("Passes with random architectures."),
  aloneEpochs: z.number().min(0).max(1e6).default(0).describe(
    "Epochs of the largest architecture alone, before the others join it.",
  ),
}).prefault({}).describe(
  "The passes of a training step; their gradients are summed. An architecture that comes up twice counts once.",
);

const parameterGroup = z.strictObject({
  match: z.string().min(1).max(1000).describe(
    "A regular expression that names are searched with, e.g. ^fc\\.",
  ),
  learningRateFactor: z.number().min(0).max(1e6).default(1).describe("Factor of the learning rate."),
  weightDecay: z.number().min(0).max(1).optional().describe("In place of optimizer.weightDecay."),
  frozen: z.boolean().default(false).describe("Leave them as they are."),
});

const optimizer = z.strictObject({
  learningRate: automatic(z.number().gt(0).max(1e38)).describe(
    "Learning rate of SGD, after warm-up; auto: 0.06 at batches of 64, times the square root of their growth.",
  ),
  momentum: z.number().min(0).lt(1).default(0.9).describe("Momentum of SGD."),
  weightDecay: z.number().min(0).max(1).default(0.0001).describe("Weight decay, on all parameters."),
  schedule: z.enum(["cosine", "constant", "steps", "poly"]).default("cosine").describe(
    "Learning rate over time; cosine and poly end at the floor.",
  ),
  warmupEpochs: z.number().min(0).max(1e6).default(0).describe("Epochs of linear warm-up."),
  milestones: z.array(epochs).max(1000).default([]).describe(
    "For steps: epochs after which the rate is multiplied by stepFactor.",
  ),
  stepFactor: z.number().gt(0).max(1).default(0.1).describe("For steps: what the rate is multiplied by."),
  power: z.number().gt(0).max(100).default(0.9).describe("For poly: exponent of what is left of the run."),
  floor: z.number().min(0).max(1e38).default(0).describe("For cosine and poly: the least learning rate."),
  clipNorm: z.number().min(0).max(1e38).default(0).describe(
    "Most that the norm of all gradients together may be; 0 for any.",
  ),
  groups: z.array(parameterGroup).max(1000).default([]).describe(
    "Parameters that differ from the rest; the first group that names one has it.",
  ),
}).prefault({}).describe("Stochastic gradient descent.");

const training = z.strictObject({
  epochs: automatic(epochs).describe(
    "Passes over the images; 0 writes the initial checkpoint only; auto: what fits an hour, within bounds.",
  ),
  batch: automatic(z.int().min(1).max(65_536)).describe(
    "Images per step; auto: 256, or 64 without a GPU, less for few images or little memory.",
  ),
  lastBatch: z.enum(["drop", "keep"]).default("drop").describe(
    "What becomes of an epoch's last, smaller batch.",
  ),
  logEvery: z.int().min(1).max(1e6).default(10).describe("Steps between two lines of metrics."),
  checkpointEvery: epochs.default(10).describe(
    "Epochs between two checkpoints that are kept (the last one always is); 0 keeps none.",
  ),
  seed: seed.default(1).describe("Seed of all randomness."),
}).prefault({}).describe("The run.");

const knn = z.strictObject({
  every: epochs.default(10).describe("Epochs between two evaluations, with or without labels; 0 for none."),
  neighbours: automatic(z.int().min(1).max(1e6)).describe(
    "Nearest neighbours that vote; auto: half of what a class has in the bank, at most 200.",
  ),
  temperature: positive.default(0.1).describe("A neighbour votes with exp(cosine similarity / temperature)."),
  features: z.enum(["pooled", "projection"]).default("pooled").describe("Features before or after the head."),
  bank: automatic(count).describe(
    "Training images to search, at most; auto: 50000, or 4096 without a GPU.",
  ),
  calibrate: countOrZero.default(2048).describe(
    "Training images from which batchnorm statistics are taken anew; 0 uses the running ones.",
  ),
}).prefault({}).describe(
  "The evaluations that watch a run: spread and agreement of features, and with labels, their only use, kNN.",
);

/** A configuration file; `Config` is what it becomes with all defaults filled in. */
export const configSchema = z.strictObject({
  $schema: z.string().optional().describe("Lets editors complete and check this file."),
  version: z.string().optional().describe("The version of Scion that wrote this file, in a run folder."),
  space: spaceSchema,
  data,
  augmentation,
  head,
  initialisation,
  moco,
  distillation,
  sandwich,
  optimizer,
  training,
  knn,
});

export type { Config, Settings } from "./config.ts";
