/** Disks that are full at another place of a run each time; with room again, the run must go on as if nothing had been. */
import { readSafetensors } from "../../../src/store/safetensors.ts";
import { assertSameRun } from "../../pretrain/small_run.ts";
import { withFolder } from "../../store/with_folder.ts";
import type { Campaign } from "../campaign.ts";
import { pretrainProcess } from "../process.ts";

const flags = ["--epochs=12", "--set=training.logEvery=1", "--set=training.checkpointEvery=1"];

/** Sizes of the disk in KiB; all checkpoints of the run take far more. */
const sizes = [120, 200, 296, 400, 512, 620, 724, 800];

async function system(command: string, ...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function faultOf(folder: string, disk: string, whole: string): Promise<string | undefined> {
  const run = `${disk}/run`, last = `${run}/checkpoints/last.safetensors`;
  const full = await pretrainProcess(folder, run, ...flags);
  if (full.code !== 1 || !/Cannot write .*the disk has room/.test(full.text)) {
    return `exit ${full.code} on a full disk: ${full.text}`;
  }
  // Whole where it exists: reading checks the checksum.
  if (await Deno.stat(last).then(() => true, () => false)) await readSafetensors(last);
  if (!await system("mount", "-o", "remount,size=64m", disk)) return "the disk could not be enlarged";
  const resumed = await pretrainProcess(folder, run, ...flags);
  if (resumed.code !== 0) return `exit ${resumed.code} with room again: ${resumed.text}`;
  await assertSameRun(run, whole);
}

/** See the top of the file. */
export const campaign: Campaign = async () => {
  const name = "full disks";
  let injected = 0, lost = 0;
  await withFolder(async (folder) => {
    const disk = `${folder}/disk`, whole = `${folder}/whole`;
    await Deno.mkdir(disk);
    if (!await system("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk)) {
      console.error(`${name}: left out, because this user cannot mount a tmpfs`);
      return;
    }
    await system("umount", disk);
    const undisturbed = await pretrainProcess(folder, whole, ...flags);
    if (undisturbed.code !== 0) throw new Error(undisturbed.text);
    for (const size of sizes) {
      await system("mount", "-t", "tmpfs", "-o", `size=${size}k`, "tmpfs", disk);
      try {
        injected++;
        const fault = await faultOf(folder, disk, whole).catch((error) => String(error));
        if (fault !== undefined) {
          lost++;
          console.error(`${size} KiB: ${fault}`);
        }
      } finally {
        await system("umount", disk);
      }
    }
  });
  return { name, injected, survived: injected - lost, lost };
};
