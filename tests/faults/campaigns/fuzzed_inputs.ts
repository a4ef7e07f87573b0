/**
 * Files with damage at random: images of every format that is read, safetensors, files of torch.save, configurations. Each is used or refused
 * with a reason of its own; nothing else may come out, no other error and no hang.
 */
import sharp from "sharp";
import { parseConfig } from "../../../src/config/load.ts";
import { parseJson } from "../../../src/config/json.ts";
import { ScionError } from "../../../src/errors.ts";
import type { Random } from "../../../src/random.ts";
import { openWeightsFile } from "../../../src/store/open_weights.ts";
import { readSafetensors, writeSafetensors } from "../../../src/store/safetensors.ts";
import { openImages } from "../../data/open.ts";
import { smallConfig } from "../../pretrain/small_run.ts";
import { archive, entriesOf, stateDict } from "../../store/pytorch/archive.ts";
import { withFolder } from "../../store/with_folder.ts";
import type { Campaign } from "../campaign.ts";
import { damaged, drawSeed } from "../damage.ts";

const imageFiles = 6000;
const imagesPerFolder = 200;
const tensorFiles = 2000;
const weightFiles = 2000;
const configurations = 2000;

async function images(random: Random): Promise<number> {
  const pixels = Uint8Array.from({ length: 24 * 20 * 3 }, () => random.integer(256));
  const drawn = () => sharp(pixels, { raw: { width: 24, height: 20, channels: 3 } });
  const originals = {
    jpg: await drawn().jpeg().toBuffer(),
    png: await drawn().png().toBuffer(),
    webp: await drawn().webp().toBuffer(),
    gif: await drawn().gif().toBuffer(),
    tif: await drawn().tiff().toBuffer(),
  };
  const endings = Object.keys(originals) as (keyof typeof originals)[];
  let survived = 0;
  for (let done = 0; done < imageFiles; done += imagesPerFolder) {
    await withFolder(async (folder) => {
      await Deno.writeFile(`${folder}/whole.png`, originals.png);
      for (let file = 0; file < imagesPerFolder; file++) {
        const ending = endings[file % endings.length];
        await Deno.writeFile(`${folder}/${file}.${ending}`, damaged(originals[ending], random));
      }
      const source = await openImages(`folder:${folder}`);
      const all = Array.from({ length: source.length }, (_, index) => index);
      const loaded = await source.load(all);
      source.release();
      const reasons = new Map(source.skipped.map(({ path, reason }) => [path, reason]));
      const broken = loaded.filter((image) => image === undefined).length;
      // What the listing already turns away is named there; the rest is an image, or skipped with a reason.
      const named = broken === reasons.size && [...reasons.values()].every((reason) => reason.length > 0);
      const sound = loaded.every((image) =>
        !image || image.width * image.height * 4 === image.pixels.byteLength
      );
      if (named && sound) survived += imagesPerFolder;
    });
  }
  return survived;
}

/** Whether work ends, or is refused by an error of ours. */
async function isRefusedOrDone(work: () => Promise<unknown> | unknown): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    return error instanceof ScionError;
  }
}

async function tensors(random: Random): Promise<number> {
  let survived = 0;
  await withFolder(async (folder) => {
    const path = `${folder}/file.safetensors`;
    const data = Float32Array.from({ length: 60 }, () => random.uniform());
    const written = new Map([["a", { dtype: "F32", shape: [3, 20], data }]] as const);
    await writeSafetensors(path, written, { step: "3", config: JSON.stringify(smallConfig) });
    const whole = await Deno.readFile(path);
    for (let file = 0; file < tensorFiles; file++) {
      await Deno.writeFile(path, damaged(whole, random));
      if (await isRefusedOrDone(() => readSafetensors(path))) survived++;
    }
  });
  return survived;
}

/** Files of torch.save: every second one whole but for its pickle, whose checksum is right. */
async function weights(random: Random): Promise<number> {
  const golden = new URL("../../golden/pth/basic.pth", import.meta.url).pathname;
  const whole = await Deno.readFile(golden);
  const pickled = stateDict();
  let survived = 0;
  await withFolder(async (folder) => {
    const path = `${folder}/file.pth`;
    const readAll = async () => {
      using file = await openWeightsFile(path);
      for (const [name, { floats }] of file.tensors) if (floats) await file.read(name);
    };
    for (let file = 0; file < weightFiles; file++) {
      const [first, ...others] = entriesOf();
      const bytes = file % 2 === 0
        ? damaged(whole, random)
        : archive([{ ...first, bytes: damaged(pickled, random) }, ...others]);
      await Deno.writeFile(path, bytes);
      if (await isRefusedOrDone(readAll)) survived++;
    }
  });
  return survived;
}

async function texts(random: Random): Promise<number> {
  const whole = new TextEncoder().encode(JSON.stringify(smallConfig, undefined, 2));
  let survived = 0;
  for (let file = 0; file < configurations; file++) {
    const text = new TextDecoder().decode(damaged(whole, random));
    if (await isRefusedOrDone(() => parseConfig(parseJson(text, "fuzzed"), "fuzzed"))) survived++;
  }
  return survived;
}

/** See the top of the file. */
export const campaign: Campaign = async () => {
  const { seed, random } = drawSeed();
  const injected = imageFiles + tensorFiles + weightFiles + configurations;
  const survived = await images(random) + await tensors(random) + await weights(random) + await texts(random);
  if (survived < injected) console.error(`fuzzed inputs: seed ${seed}`);
  return { name: "fuzzed inputs", injected, survived, lost: 0 };
};
