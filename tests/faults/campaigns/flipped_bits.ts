/** Single bits of checkpoints turned around, in header and data: each must be refused, or another checkpoint taken. */
import { parseConfig } from "../../../src/config/load.ts";
import { DataError } from "../../../src/errors.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { openGpu } from "../../../src/host/adapter.ts";
import { openEncoder } from "../../../src/pretrain/encoder_file.ts";
import { restoreState } from "../../../src/pretrain/resume.ts";
import { PretrainState } from "../../../src/pretrain/state.ts";
import { RunFolder } from "../../../src/store/run_folder.ts";
import { run as pretrain, smallRun } from "../../pretrain/small_run.ts";
import { withFolder } from "../../store/with_folder.ts";
import type { Campaign } from "../campaign.ts";

const flips = 500;

/** What came of one damaged file; undefined when all is as it must be. */
async function faultOf(gpu: Gpu, folder: RunFolder, state: PretrainState): Promise<string | undefined> {
  const refused = async (work: () => Promise<unknown>) => {
    try {
      await work();
      return false;
    } catch (error) {
      if (error instanceof DataError) return true;
      throw error;
    }
  };
  const metrics = await folder.readMetrics();
  const warnings: string[] = [];
  const point = await restoreState(folder, state, metrics, undefined, (text) => warnings.push(text));
  if (point?.chosen.name !== "epoch-2" || warnings.length !== 1) {
    return "resume did not fall back with a word";
  }
  if (!await refused(() => restoreState(folder, state, metrics, "last", () => {}))) return "resume took it";
  if (!await refused(() => openEncoder(gpu, folder.lastCheckpointPath, "encoder_q"))) {
    return "a command took it";
  }
}

/** See the top of the file. */
export const campaign: Campaign = async () => {
  let lost = 0;
  using gpu = await openGpu();
  await withFolder(async (path) => {
    await pretrain(gpu, `${path}/run`, smallRun());
    const folder = await RunFolder.open(`${path}/run`);
    const config = parseConfig((await folder.readConfig()).config, "test");
    const state = new PretrainState(gpu, config);
    const whole = await Deno.readFile(folder.lastCheckpointPath);
    const header = 8 + Number(new DataView(whole.buffer).getBigUint64(0, true));
    for (let number = 0; number < flips; number++) {
      // Half of them in the header, which is short.
      const [first, end] = number % 2 ? [header, whole.length] : [0, header];
      const byte = first + Math.floor(Math.random() * (end - first)), bit = Math.floor(8 * Math.random());
      const damaged = whole.slice();
      damaged[byte] ^= 1 << bit;
      await Deno.writeFile(folder.lastCheckpointPath, damaged);
      const fault = await faultOf(gpu, folder, state).catch((error) => String(error));
      if (fault === undefined) continue;
      lost++;
      console.error(`byte ${byte}, bit ${bit}: ${fault}`);
    }
    state.release();
  });
  return { name: "flipped bits of a checkpoint", injected: flips, survived: flips - lost, lost };
};
