/** The configuration of a fine-tuning: what `--config` holds, and what a run's folder keeps. */
import { z } from "zod";
import { explainIssues } from "../config/explain.ts";
import { checkStructure, parseJson } from "../config/json.ts";
import type { SchemaNode } from "../config/json_schema.ts";
import { applyOverride, type Override } from "../config/overrides.ts";
import { normalisation, spaceSchema } from "../config/schema.ts";
import { SearchSpace, type SpaceDefinition } from "../elastic/search_space.ts";
import { ConfigurationError } from "../errors.ts";

const positive = z.number().gt(0).max(1e6);
const share = z.number().min(0).max(1);
const side = z.int().min(8).max(4096);

const network = spaceSchema.extend(normalisation).describe(
  "A network of its own, for new weights without --run and --model: the fields of a pretraining's space, of which --arch " +
    "is taken, with the mean and std of its input. A run and a model bring theirs.",
).nullable().default(null);

const optimizer = z.strictObject({
  learningRate: z.number().gt(0).max(1e3).default(0.01).describe("Learning rate of SGD, after warm-up."),
  headFactor: positive.default(1).describe("Factor of the head's learning rate."),
  momentum: z.number().min(0).lt(1).default(0.9).describe("Momentum of SGD."),
  weightDecay: share.default(0.0005).describe("Weight decay, on all parameters."),
  schedule: z.enum(["poly", "steps", "cosine", "constant"]).default("poly").describe(
    "Learning rate over time.",
  ),
  power: positive.default(0.9).describe("For poly: exponent of what is left of the run."),
  floor: z.number().min(0).max(1e3).default(0).describe("For poly and cosine: the least learning rate."),
  milestones: z.array(share).max(100).default([0.6, 0.8]).describe(
    "For steps: parts of the run after which the rate is multiplied by stepFactor.",
  ),
  stepFactor: z.number().gt(0).max(1).default(0.1).describe("For steps: what the rate is multiplied by."),
  warmupEpochs: z.number().min(0).max(1e6).default(0).describe("Epochs of linear warm-up."),
  clipNorm: z.number().min(0).max(1e38).default(0).describe(
    "Most that the gradients' norm may be; 0 for any.",
  ),
}).prefault({}).describe("Stochastic gradient descent.");

const training = z.strictObject({
  epochs: z.int().min(1).max(1_000_000).default(20).describe("Passes over the images."),
  batch: z.int().min(2).max(65_536).default(8).describe("Images per step."),
  logEvery: z.int().min(1).max(1e6).default(10).describe("Steps between two lines of metrics."),
  evaluateEvery: z.int().min(0).max(1_000_000).default(5).describe(
    "Epochs between two evaluations on the test images; 0 only at the end.",
  ),
  seed: z.int().min(0).max(0xffff_ffff).default(1).describe("Seed of all randomness."),
}).prefault({}).describe("The run.");

const segmentation = z.strictObject({
  outputStride: z.literal([4, 8, 16, 32]).default(16).describe(
    "Pixels of the image to one of the last map: the strides of later stages are replaced by dilation.",
  ),
  auxiliaryWeight: z.number().min(0).max(100).default(0.5).describe(
    "Weight of the auxiliary classifier's loss (torchvision's reference: 0.5, mmsegmentation: 0.4); 0 for none.",
  ),
  channels: z.int().min(1).max(65_536).nullable().default(null).describe(
    "Channels that the head computes with; null for a quarter of the last map's, as torchvision.",
  ),
  convolutions: z.int().min(1).max(16).default(1).describe(
    "For fcn: 3x3 convolutions before the classifying one (torchvision: 1, mmsegmentation: 2).",
  ),
  joinInput: z.boolean().default(false).describe(
    "For fcn: whether their result is joined with the last map and convolved once more, as in mmsegmentation.",
  ),
  dropout: z.number().min(0).lt(1).default(0.1).describe(
    "Part of the values that training drops before the last convolution.",
  ),
  dropoutOf: z.enum(["elements", "channels"]).default("elements").describe(
    "What is dropped: single values, as in torchvision, or whole channels, as in mmsegmentation.",
  ),
  mean: z.enum(["valid", "all"]).default("valid").describe(
    "Divide the loss by the pixels that count, or by all, as mmsegmentation long did.",
  ),
  scale: positive.default(1).describe(
    "Images are resized by this before all else; also those that are tested.",
  ),
  augmentScale: z.tuple([positive, positive]).default([0.5, 2]).describe(
    "Smallest and largest factor that training images are resized by beside it.",
  ),
  crop: z.tuple([side, side]).default([256, 256]).describe("Rows and columns of a training crop."),
  flip: share.default(0.5).describe("Probability of a horizontal flip."),
}).prefault({}).describe("Semantic segmentation.");

const count = z.int().min(1).max(65_536);

const detection = z.strictObject({
  shortSide: side.nullable().default(800).describe(
    "Images are resized so that their shorter side has so many pixels; null leaves them as large as they are.",
  ),
  longSide: side.default(1333).describe(
    "Most pixels of the longer side, for which the shorter one stays shorter.",
  ),
  crop: z.tuple([side, side]).nullable().default(null).describe(
    "Rows and columns of a training crop; null trains on whole images.",
  ),
  augmentScale: z.tuple([positive, positive]).default([1, 1]).describe(
    "Smallest and largest factor that images are resized by before a crop.",
  ),
  flip: share.default(0.5).describe("Probability of a horizontal flip."),
  antialias: z.boolean().default(false).describe(
    "Whether what shrinks is averaged; torchvision's detectors do not.",
  ),
  channels: count.default(256).describe("Channels of the feature pyramid."),
  anchorSizes: z.tuple([positive, positive, positive, positive, positive]).default([32, 64, 128, 256, 512])
    .describe(
      "Sides of the anchors on each map of the pyramid, in pixels of the resized image.",
    ),
  canonicalScale: positive.default(224).describe(
    "Side of the regions that are taken from the pyramid's third map.",
  ),
  trainingProposals: count.default(2000).describe(
    "Most proposals of a map before, and of an image after suppression.",
  ),
  testingProposals: count.default(1000).describe("The same where objects are detected."),
  proposalSamples: count.default(256).describe("Anchors of an image that are trained on."),
  regionSamples: count.default(512).describe("Regions of an image that are trained on."),
  regionShare: share.default(0.25).describe(
    "Most of them that are of objects; these have their masks trained, too.",
  ),
  hidden: count.default(1024).describe("Width of the box head's two hidden layers."),
  agnostic: z.boolean().default(false).describe("Whether a region has one box, whatever its class."),
  beta: z.number().min(0).max(100).default(1 / 9).describe(
    "Width of the parabola of boxes' smooth L1; 0 for L1.",
  ),
  maskConvolutions: z.int().min(0).max(16).default(4).describe("3x3 convolutions of the mask head."),
  maskChannels: count.default(256).describe("Their channels."),
  frozenBatchnorm: z.boolean().default(true).describe(
    "Whether the backbone's batchnorm keeps its statistics, factors and summands, as torchvision's detectors do.",
  ),
}).prefault({}).describe("Detection and instance segmentation; torchvision's settings where none are given.");

const schema = z.strictObject({
  $schema: z.string().optional().describe("Lets editors complete and check this file."),
  network,
  optimizer,
  training,
  segmentation,
  detection,
});

/** Settings of a fine-tuning. */
export type FineTuneConfig = Omit<z.output<typeof schema>, "$schema">;

/**
 * Completes and checks a configuration.
 *
 * @param raw the parsed file
 * @param name what it is, for messages
 * @param overrides fields that replace those of the file
 * @throws {ConfigurationError} naming each wrong field, what was given and what is allowed
 */
export function parseFineTuneConfig(
  raw: unknown,
  name: string,
  overrides: readonly Override[] = [],
): FineTuneConfig {
  checkStructure(raw, name);
  const changed = structuredClone(raw);
  const node = z.toJSONSchema(schema, { io: "input" }) as SchemaNode;
  for (const override of overrides) applyOverride(changed, override, node);
  const result = schema.safeParse(changed);
  if (!result.success) {
    const faults = explainIssues(result.error.issues, changed, node, "configuration");
    throw new ConfigurationError(faults.map(({ text }) => `${name}: ${text}`).join("\n"));
  }
  const { $schema: _, ...config } = result.data;
  if (config.network) expectNetwork(config.network, name);
  for (const section of ["segmentation", "detection"] as const) {
    const [low, high] = config[section].augmentScale;
    if (low <= high) continue;
    throw new ConfigurationError(
      `${name}: ${section}.augmentScale is [${low}, ${high}]. Give the smaller number first.`,
    );
  }
  return config;
}

/** A network that its parts do not make is refused. */
function expectNetwork(network: SpaceDefinition, name: string): void {
  try {
    new SearchSpace(network);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw new ConfigurationError(`${name}: ${error.message.replaceAll("space.", "network.")}`, {
      cause: error,
    });
  }
}

/** Reads a configuration file. @throws {ConfigurationError} as {@linkcode parseFineTuneConfig}, and for no such file */
export async function loadFineTuneConfig(
  path: string | undefined,
  overrides: readonly Override[],
): Promise<FineTuneConfig> {
  if (path === undefined) return parseFineTuneConfig({}, "the settings", overrides);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    throw new ConfigurationError(`${path} cannot be read as a configuration: ${error.message}.`, {
      cause: error,
    });
  }
  return parseFineTuneConfig(parseJson(text, path), path, overrides);
}
