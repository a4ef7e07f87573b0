/** What tests of commands share: an untrained run, and a command's status, result and messages. */
import { type Command, executeCommand } from "../../src/cli/command.ts";
import type { Flags } from "../../src/cli/flags.ts";
import { Logger } from "../../src/cli/logger.ts";
import { parseConfig } from "../../src/config/load.ts";
import { parseSet } from "../../src/config/overrides.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { saveCheckpoint } from "../../src/pretrain/checkpoint.ts";
import { PretrainState } from "../../src/pretrain/state.ts";
import { RunFolder } from "../../src/store/run_folder.ts";
import { basicSpace } from "../extract/encoders.ts";
import { withFolder } from "../store/with_folder.ts";

const definition = {
  space: { ...basicSpace, named: { inner: "8-8.6.16-1.2.1" } },
  data: { source: "synthetic:40", heldOut: 8, imageSize: 16 },
  head: { hidden: 8, dimension: 8 },
  moco: { queue: 16 },
  training: { batch: 8, seed: 3 },
};

/** Makes a run with an untrained checkpoint of a small network for images of 16 x 16; seed 3, batch 8, but for `PATH=VALUE` overrides. */
export async function createRun(path: string, overrides: readonly string[] = []): Promise<RunFolder> {
  const config = parseConfig(definition, "test", overrides.map(parseSet));
  const run = await RunFolder.create(path, config, "0.0.0");
  using gpu = await openGpu();
  const state = new PretrainState(gpu, config);
  await state.initialise();
  await saveCheckpoint(state, 0, run.lastCheckpointPath);
  return run;
}

/** Runs a command in this process. */
export async function runInProcess<F extends Flags, R extends object>(
  command: Command<F, R>,
  args: string[],
) {
  let out = "", err = "";
  const logger = new Logger({ write: (text) => void (err += text), isTerminal: false, columns: () => 80 });
  const status = await executeCommand(command, args, { logger, print: (text) => void (out += text) });
  return { status, out, err };
}

/** A test with a folder of its own. */
export function cliTest(name: string, body: (folder: string) => Promise<void>): void {
  // The device's timers and callbacks outlive a test by a moment.
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn: () => withFolder(body) });
}
