/** What tests of damaged runs share: a run of two epochs, its files, and rewritten checkpoints. */
import { readSafetensors, type TensorData, writeSafetensors } from "../../src/store/safetensors.ts";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { runInProcess } from "../cli/run_command.ts";
import { smallConfig } from "../pretrain/small_run.ts";

/** `deno task pretrain` in this process, with the small configuration where a run starts. */
export async function pretrain(folder: string, ...args: string[]) {
  const config = `${folder}/small.json`;
  await Deno.writeTextFile(config, JSON.stringify(smallConfig));
  return await runInProcess(pretrainCommand, [
    ...(args.includes("--resume") ? [] : ["--config", config]),
    ...args,
  ]);
}

/** Every file of a folder and its folders with its bytes in hexadecimal, and every link with its target. */
export async function snapshot(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) {
      for (const [inner, bytes] of Object.entries(await snapshot(path))) files[`${name}/${inner}`] = bytes;
    } else files[name] = isSymlink ? await Deno.readLink(path) : (await Deno.readFile(path)).toHex();
  }
  return files;
}

/** Writes a checkpoint again, whole and with a checksum of its own, with changes. */
export async function rewrite(
  path: string,
  change: (metadata: Record<string, string | undefined>, tensors: Map<string, TensorData>) => void,
): Promise<void> {
  const { tensors, metadata } = await readSafetensors(path);
  const changed: Record<string, string | undefined> = { ...metadata };
  change(changed, tensors);
  const kept = Object.entries(changed).filter((entry): entry is [string, string] => entry[1] !== undefined);
  await writeSafetensors(path, tensors, Object.fromEntries(kept));
}

/** Copies a folder with all that is in it. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Turns one bit of a file around. @param byte its number; from the end where it is negative */
export async function flipBit(path: string, byte: number, bit: number): Promise<void> {
  const bytes = await Deno.readFile(path);
  bytes[byte < 0 ? bytes.length + byte : byte] ^= 1 << bit;
  await Deno.writeFile(path, bytes);
}
