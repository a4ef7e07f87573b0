/** The rows on PyTorch, where this machine has it. */
import { GpuError } from "../../src/errors.ts";
import { type Row, sgd } from "./rows.ts";

/** PyTorch's times. */
export interface TorchTimes {
  /** Version and device, for people. */
  readonly description: string;
  /** Median milliseconds of one repetition by the row's name. */
  readonly milliseconds: Readonly<Record<string, number>>;
}

const script = new URL("torch_times.py", import.meta.url).pathname;

/** The Python of this machine that has PyTorch; undefined when there is none. */
async function findPython(): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    try {
      const command = new Deno.Command(python, { args: ["-c", "import torch"], stderr: "null" });
      if ((await command.output()).success) return python;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

/** Times rows with PyTorch; undefined where it is not installed. */
export async function torchTimes(rows: readonly Row[], rounds: number): Promise<TorchTimes | undefined> {
  const python = await findPython();
  if (!python) return undefined;
  const child = new Deno.Command(python, { args: [script], stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify({ rows, rounds, sgd })));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) {
    throw new GpuError(`bench/peers/torch_times.py failed:\n${new TextDecoder().decode(stderr)}`);
  }
  return JSON.parse(new TextDecoder().decode(stdout));
}
