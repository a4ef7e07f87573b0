/** Processes killed at random moments of a run; resumed, the run must end with the bytes of one that was left alone. */
import { readSafetensors } from "../../../src/store/safetensors.ts";
import { assertSameRun } from "../../pretrain/small_run.ts";
import { withFolder } from "../../store/with_folder.ts";
import type { Campaign } from "../campaign.ts";
import { pretrainProcess, startPretraining } from "../process.ts";

const wanted = 20;
const flags = [
  "--epochs=60",
  "--set=training.logEvery=2",
  "--set=training.checkpointEvery=7",
  "--set=knn.every=5",
];

/** Steps of the last checkpoint; -1 where there is none. */
async function savedStep(run: string): Promise<number> {
  const path = `${run}/checkpoints/last.safetensors`;
  if (!await Deno.stat(path).then(() => true, () => false)) return -1;
  return Number((await readSafetensors(path)).metadata.step);
}

/** Kills one run until it is through or enough kills were made, then lets it end. */
async function killOften(
  folder: string,
  run: string,
  most: number,
): Promise<{ kills: number; faults: string[] }> {
  const faults: string[] = [];
  let kills = 0;
  for (let reached = -1; kills < most;) {
    const child = await startPretraining(folder, run, ...flags);
    const timer = setTimeout(() => child.kill("SIGKILL"), 300 + 2500 * Math.random());
    const { code, signal, stderr } = await child.output();
    clearTimeout(timer);
    if (signal === null) {
      if (code !== 0) faults.push(new TextDecoder().decode(stderr));
      break;
    }
    kills++;
    const step = await savedStep(run);
    if (step < reached) {
      faults.push(`after a kill the last checkpoint is of step ${step}, before of ${reached}`);
    }
    reached = step;
  }
  const end = await pretrainProcess(folder, run, ...flags);
  if (end.code !== 0) faults.push(end.text);
  return { kills, faults };
}

/** See the top of the file. */
export const campaign: Campaign = async () => {
  let injected = 0, lost = 0;
  await withFolder(async (folder) => {
    const whole = `${folder}/whole`;
    const undisturbed = await pretrainProcess(folder, whole, ...flags);
    if (undisturbed.code !== 0) throw new Error(undisturbed.text);
    for (let number = 1; injected < wanted; number++) {
      const run = `${folder}/killed-${number}`;
      const { kills, faults } = await killOften(folder, run, wanted - injected);
      await assertSameRun(run, whole).catch((error) => faults.push(String(error)));
      injected += kills;
      if (faults.length > 0) {
        lost += Math.max(kills, 1);
        console.error(faults.join("\n"));
      }
    }
  });
  return { name: "kills at random moments of a run", injected, survived: injected - lost, lost };
};
