/** What `deno task finetune` starts from. */
import { SearchSpace } from "../elastic/search_space.ts";
import { cutBackbone } from "../extract/backbone.ts";
import type { PlainModel } from "../extract/model.ts";
import { readModel } from "../extract/model_file.ts";
import { newModel } from "../finetune/new_model.ts";
import type { Gpu } from "../gpu/device.ts";
import { encoderPrefix, openEncoder } from "../pretrain/encoder_file.ts";
import { readDataRecord } from "../store/data_record.ts";
import { fileFingerprint } from "../store/fingerprint.ts";
import type { FinetuneFlags } from "./finetune_flags.ts";
import { openRunCheckpoint } from "./run_checkpoint.ts";

/** The backbone, and what tells its weights from others. */
export async function openBackbone(
  gpu: Gpu,
  { run, checkpoint, arch, encoder: name, model: path, from, data }: FinetuneFlags,
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
  const opened = await openEncoder(gpu, file, encoderPrefix(name));
  try {
    const record = await readDataRecord(run!);
    const model = await cutBackbone(gpu, opened, architecture, { source: data, record });
    return await chosen(model, `${name}, ${await fileFingerprint(file)}`);
  } finally {
    opened.encoder.release();
  }
}
