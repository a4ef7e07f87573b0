/** What `deno task finetune` starts from: a run's subnet, an extracted model, or a network that the settings describe. */
import { formatArchitecture } from "../elastic/architecture.ts";
import { nominalSize } from "../elastic/network.ts";
import { ConfigurationError, UsageError } from "../errors.ts";
import { cutBackbone } from "../extract/backbone.ts";
import type { PlainModel } from "../extract/model.ts";
import { readModel } from "../extract/model_file.ts";
import type { FineTuneConfig } from "../finetune/config.ts";
import { newModel } from "../finetune/new_model.ts";
import type { Gpu } from "../gpu/device.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import { ElasticResNet } from "../nn/resnet.ts";
import { encoderPrefix, openEncoder } from "../pretrain/encoder_file.ts";
import { readDataRecord } from "../store/data_record.ts";
import { fileFingerprint } from "../store/fingerprint.ts";
import type { FinetuneFlags } from "./finetune_flags.ts";
import { openRunCheckpoint } from "./run_checkpoint.ts";

/** A backbone before its weights are. */
export interface Backbone extends Pick<PlainModel, "network" | "input"> {
  /** Its weights, given or new, and what tells them from others. */
  open(gpu: Gpu, seed: number): Promise<{ model: PlainModel; weights: string }>;
}

/**
 * Finds the backbone that the flags and the settings name.
 * @throws {UsageError} where neither names one
 * @throws {ConfigurationError} where the settings describe another network than that of the run or the model
 */
export async function findBackbone(
  flags: FinetuneFlags,
  { network: described }: Pick<FineTuneConfig, "network">,
  warn: (text: string) => void,
): Promise<Backbone> {
  const { run, model: path, from } = flags;
  if (run === undefined && path === undefined) return describedBackbone(flags, described);
  const given = path === undefined ? await ofRun(flags, run!, warn) : await ofModel(path, warn);
  if (described) expectSame(given, described, path === undefined ? `--run ${run}` : `--model ${path}`);
  return from === "scratch" ? withNewWeights(given) : given;
}

async function ofModel(path: string, warn: (text: string) => void): Promise<Backbone> {
  const model = await readModel(path, warn);
  const { network, input } = model;
  return { network, input, open: async () => ({ model, weights: await fileFingerprint(path) }) };
}

async function ofRun(
  { checkpoint, arch, encoder: name, data }: FinetuneFlags,
  run: string,
  warn: (text: string) => void,
): Promise<Backbone> {
  const { path, config } = await openRunCheckpoint(run, checkpoint, warn);
  const supernet = configuredNetwork(config);
  const architecture = supernet.space.resolve(arch ?? "max");
  const { imageSize, mean, std } = config.data;
  const input = { imageSize, mean, std };
  return {
    network: supernet.cut(architecture),
    input,
    async open(gpu) {
      const opened = await openEncoder(gpu, path, encoderPrefix(name));
      try {
        const record = await readDataRecord(run);
        const model = await cutBackbone(gpu, opened, architecture, { source: data, record });
        return { model, weights: `${name}, ${await fileFingerprint(path)}` };
      } finally {
        opened.encoder.release();
      }
    },
  };
}

function withNewWeights({ network, input }: Pick<Backbone, "network" | "input">): Backbone {
  return {
    network,
    input,
    open: async (gpu, seed) => ({
      model: await newModel(gpu, { network, input }, seed),
      weights: `new, seed ${seed}`,
    }),
  };
}

function describedBackbone(
  { config, arch }: FinetuneFlags,
  described: FineTuneConfig["network"],
): Backbone {
  if (!described) {
    throw new UsageError(
      `--from scratch without --run and --model needs a network: ${
        config === undefined ? "give a --config" : `${config} has none; give it`
      } with a "network" section, as configs/finetune-cityscapes-fcn.json has, or give --run DIR or --model FILE, whose ` +
        "architecture is taken then.",
    );
  }
  const { mean, std } = described;
  const supernet = configuredNetwork({ space: described });
  const network = supernet.cut(supernet.space.resolve(arch ?? "max"));
  return withNewWeights({ network, input: { imageSize: nominalSize, mean, std } });
}

/** Settings that describe a network go with another one's weights only where that is one of theirs. */
function expectSame(
  { network, input }: Backbone,
  described: NonNullable<FineTuneConfig["network"]>,
  source: string,
): void {
  const differences: string[] = [];
  const compare = (what: string, own: unknown, other: unknown) => {
    const [mine, theirs] = [own, other].map((value) => JSON.stringify(value));
    if (mine !== theirs) differences.push(`${what} is ${theirs} there and ${mine} here`);
  };
  if (network instanceof ElasticResNet) {
    const { block, stem, strides } = network.space.definition;
    compare("network.block", described.block, block);
    compare("network.stem.kind", described.stem.kind, stem.kind);
    compare("network.strides", described.strides, strides);
  }
  compare("network.mean", described.mean, input.mean);
  compare("network.std", described.std, input.std);
  const arch = formatArchitecture(network.space.max);
  try {
    configuredNetwork({ space: described }).space.resolve(arch);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    differences.push(`${arch} is none of the settings' architectures`);
  }
  if (differences.length === 0) return;
  throw new ConfigurationError(
    `${source} brings a network of its own, and the settings describe another: ${differences.join("; ")}. ` +
      "Leave theirs out with --set network=null.",
  );
}
