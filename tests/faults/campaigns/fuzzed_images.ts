/**
 * Whole pretraining runs over folders in which half of the images are damaged at random. A run ends, with every file
 * named that it left out; or it is refused with a reason. What shows its damage (files cut short, emptied, or with wrong
 * bytes under a format's own checksum) must be named: otherwise the network was trained on garbage without a word.
 */
import sharp from "sharp";
import { readSafetensors } from "../../../src/store/safetensors.ts";
import type { Random } from "../../../src/random.ts";
import { withFolder } from "../../store/with_folder.ts";
import type { Campaign } from "../campaign.ts";
import { damaged, drawSeed } from "../damage.ts";
import { startPretraining } from "../process.ts";

const folders = 25;
const damagedFiles = 40;
const wholeFiles = 48;
/** A run takes a few seconds; longer than this it hangs. */
const mostSeconds = 120;

const [width, height] = [24, 20];

/** A damaged file: whether its damage shows, so that it has to be named. */
interface Victim {
  readonly name: string;
  readonly shows: boolean;
}

async function drawImages(random: Random): Promise<Record<string, Uint8Array>> {
  const pixels = Uint8Array.from({ length: width * height * 3 }, () => random.integer(256));
  const drawn = () => sharp(pixels, { raw: { width, height, channels: 3 } });
  return {
    jpg: await drawn().jpeg().toBuffer(),
    png: await drawn().png().toBuffer(),
    webp: await drawn().webp().toBuffer(),
    gif: await drawn().gif().toBuffer(),
    tif: await drawn().tiff().toBuffer(),
    avif: await drawn().avif().toBuffer(),
  };
}

/** Damage whose traces no format hides. */
function visiblyDamaged(bytes: Uint8Array, ending: string, random: Random): Uint8Array<ArrayBuffer> {
  const part = random.uniform();
  if (part < 0.1) return new Uint8Array(0);
  if (part < 0.5 && ending === "png") {
    // In the middle of the compressed pixels, each chunk of which has a checksum.
    const result = Uint8Array.from(bytes);
    result[Math.floor(bytes.length * (0.3 + 0.4 * random.uniform()))] ^= 1 << random.integer(8);
    return result;
  }
  return Uint8Array.from(bytes.subarray(0, Math.floor(bytes.length * (0.1 + 0.7 * random.uniform()))));
}

async function writeImages(folder: string, random: Random): Promise<Victim[]> {
  const victims: Victim[] = [];
  for (let file = 0; file < wholeFiles; file++) {
    const { png } = await drawImages(random);
    await Deno.writeFile(`${folder}/whole-${file}.png`, png);
  }
  const originals = Object.entries(await drawImages(random));
  for (let file = 0; file < damagedFiles; file++) {
    const [ending, bytes] = originals[file % originals.length];
    const shows = random.uniform() < 0.5;
    const name = `victim-${file}.${ending}`;
    await Deno.writeFile(
      `${folder}/${name}`,
      shows ? visiblyDamaged(bytes, ending, random) : damaged(bytes, random),
    );
    victims.push({ name, shows });
  }
  return victims;
}

/** Trains on one folder. @returns what went wrong, a line each */
async function faultsOf(folder: string, images: string, victims: readonly Victim[]): Promise<string[]> {
  const run = `${folder}/run`;
  const flags = ["--epochs=1", "--data", `folder:${images}`, "--set=knn.every=0"];
  const child = await startPretraining(folder, run, ...flags);
  let hangs = false;
  const timer = setTimeout(() => {
    hangs = true;
    child.kill("SIGKILL");
  }, 1000 * mostSeconds);
  const { code, stderr } = await child.output();
  clearTimeout(timer);
  if (hangs) return [`no end within ${mostSeconds} s`];
  const text = new TextDecoder().decode(stderr);
  if (code !== 0) {
    // Refusing is fine where the reason is given, and names a file.
    return code <= 2 && /^error: .*victim-/m.test(text) ? [] : [`exit ${code}: ${text}`];
  }
  const faults = victims.filter(({ name, shows }) => shows && !text.includes(`${name}": `))
    .map(({ name }) => `${name} is damaged and was used without a word`);
  const accused = text.match(/whole-\d+\.png": .*/g) ?? [];
  faults.push(...accused.map((line) => `a whole image was left out: ${line}`));
  // Reading checks the checksum; that all is finite was checked when it was written.
  await readSafetensors(`${run}/checkpoints/last.safetensors`).catch((error) => faults.push(String(error)));
  return faults;
}

/** See the top of the file. */
export const campaign: Campaign = async () => {
  const { seed, random } = drawSeed();
  let lost = 0;
  for (let number = 0; number < folders; number++) {
    await withFolder(async (folder) => {
      const images = `${folder}/images`;
      await Deno.mkdir(images);
      const victims = await writeImages(images, random);
      const faults = await faultsOf(folder, images, victims);
      lost += Math.min(faults.length, damagedFiles);
      if (faults.length > 0) console.error(`seed ${seed}, folder ${number}:\n${faults.join("\n")}`);
    });
  }
  const injected = folders * damagedFiles;
  return { name: "damaged images in whole runs", injected, survived: injected - lost, lost };
};
