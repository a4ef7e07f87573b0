/** What an evaluation judges: architectures of a run, or models that were cut out. */
import type { Config } from "../../config/schema.ts";
import { type Architecture, formatArchitecture } from "../../elastic/architecture.ts";
import { extractSubnet } from "../../extract/extract.ts";
import type { ModelInput, PlainModel } from "../../extract/model.ts";
import { openModel, readModel } from "../../extract/model_file.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Encoder, type Initialisation } from "../../nn/encoder.ts";
import { type EncoderName, encoderPrefix, openEncoder } from "../../pretrain/encoder_file.ts";

/** One network to judge. */
export interface Subject {
  /** Run folder or model file, as given. */
  readonly network: string;
  readonly arch: string;
  readonly encoder: Encoder;
  readonly architecture: Architecture;
  readonly input: ModelInput;
  /** Its batchnorm statistics are its own; those of a run are a mixture over architectures. */
  readonly calibrated: boolean;
  /** How a new network of its kind starts. */
  readonly initialisation: Initialisation;
  /** Its weights on the host. */
  plain(): Promise<PlainModel>;
}

/** Opened subjects; close them when done. */
export interface Subjects {
  readonly subjects: readonly Subject[];
  release(): void;
}

/** Opens architectures of a checkpoint. @throws {DataError} as `openEncoder` */
export async function openRunSubjects(
  gpu: Gpu,
  run: string,
  checkpoint: string,
  { data: { imageSize, mean, std }, initialisation }: Config,
  architectures: readonly Architecture[],
  name: EncoderName,
): Promise<Subjects> {
  const { encoder, streamOrders } = await openEncoder(gpu, checkpoint, encoderPrefix(name));
  const input = { imageSize, mean, std };
  return {
    subjects: architectures.map((architecture) => ({
      network: run,
      arch: formatArchitecture(architecture),
      encoder,
      architecture,
      input,
      calibrated: false,
      initialisation,
      plain: () => extractSubnet(encoder, architecture, input, undefined, streamOrders),
    })),
    release: () => encoder.release(),
  };
}

/** Opens extracted models. @throws {DataError} as `openModel` */
export async function openModelSubjects(
  gpu: Gpu,
  paths: readonly string[],
  onWarning: (text: string) => void,
): Promise<Subjects> {
  const subjects: Subject[] = [];
  const release = () => subjects.forEach(({ encoder }) => encoder.release());
  try {
    for (const path of paths) {
      const { encoder, network: { space: { max } }, input } = await openModel(gpu, path, onWarning);
      subjects.push({
        network: path,
        arch: formatArchitecture(max),
        encoder,
        architecture: max,
        input,
        calibrated: true,
        initialisation: { head: "uniform", lastBatchnorm: 1 },
        plain: () => readModel(path),
      });
    }
  } catch (error) {
    release();
    throw error;
  }
  return { subjects, release };
}

/** A network of the same architecture with new weights. The caller releases it. */
export async function untrained(
  { encoder: { weights: { gpu }, network, head }, initialisation }: Subject,
  seed: number,
): Promise<Encoder> {
  const encoder = new Encoder(gpu, network, head, false);
  await encoder.initialise(seed, initialisation);
  return encoder;
}
