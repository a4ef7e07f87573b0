/** What all tasks of `deno task finetune` share: the backbone, and how settings are shown. */
import { UsageError } from "../errors.ts";
import { SearchSpace } from "../elastic/search_space.ts";
import { extractSubnet } from "../extract/extract.ts";
import type { PlainModel } from "../extract/model.ts";
import { readModel } from "../extract/model_file.ts";
import type { FineTuneConfig } from "../finetune/config.ts";
import { newModel } from "../finetune/new_model.ts";
import type { Gpu } from "../gpu/device.ts";
import { encoderPrefix, openEncoder } from "../pretrain/encoder_file.ts";
import { fileFingerprint } from "../store/fingerprint.ts";
import type { FinetuneFlags } from "./finetune_flags.ts";
import { openRunCheckpoint } from "./run_checkpoint.ts";

/** The backbone, and what tells its weights from others. */
export async function openBackbone(
  gpu: Gpu,
  { run, checkpoint, arch, encoder: name, model: path, from }: FinetuneFlags,
  seed: number,
  warn: (text: string) => void,
): Promise<{ model: PlainModel; weights: string }> {
  const chosen = async (model: PlainModel, weights: string) =>
    from === "scratch"
      ? { model: await newModel(gpu, model, seed), weights: `new, seed ${seed}` }
      : { model, weights };
  if (path !== undefined) return await chosen(await readModel(path, warn), await fileFingerprint(path));
  const { path: file, config } = await openRunCheckpoint(run!, checkpoint, warn);
  const architecture = new SearchSpace(config.space).resolve(arch ?? "max");
  const { encoder, streamOrders } = await openEncoder(gpu, file, encoderPrefix(name));
  try {
    const { imageSize, mean, std } = config.data;
    const model = await extractSubnet(
      encoder,
      architecture,
      { imageSize, mean, std },
      undefined,
      streamOrders,
    );
    return await chosen(model, `${name}, ${await fileFingerprint(file)}`);
  } finally {
    encoder.release();
  }
}

/** All that a run was given, for its report. */
export function settingsOf(about: Record<string, unknown> & { config: FineTuneConfig }): [string, string][] {
  const { config, ...others } = about;
  return [
    ...Object.entries(others).map(([name, value]): [string, string] => [name, String(value)]),
    ...Object.entries(config).flatMap(([section, fields]) =>
      Object.entries(fields).map(([name, value]): [string, string] => [
        `${section}.${name}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ])
    ),
  ];
}

/** A folder's interrupted run is gone on with only where that is asked for, and a finished one never. @throws {UsageError} */
export async function expectResumable(
  out: string,
  { kept, report }: { readonly kept: string; readonly report: string },
  resume: boolean,
): Promise<void> {
  const isThere = (path: string) => Deno.lstat(path).then(() => true, () => false);
  const interrupted = await isThere(kept);
  if (interrupted && !resume) {
    throw new UsageError(
      `${out} holds an interrupted run. Continue it with --resume, remove ${kept}, or give another --out.`,
    );
  }
  if (resume && !interrupted && await isThere(report)) {
    throw new UsageError(
      `--resume: the run in ${out} is finished. Leave --resume out to train anew, or give another --out.`,
    );
  }
}
