/** What subnets are worth, measured on a run's held-out images, on folders, and on an extracted model. */
import { assert, assertAlmostEquals, assertEquals, assertMatch } from "@std/assert";
import sharp from "sharp";
import { worthCommand } from "../../bench/worth.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { openCheckpoint } from "../../src/pretrain/checkpoint.ts";
import { openRunData } from "../../src/pretrain/run_data.ts";
import { KnnWatch, share } from "../../src/pretrain/watch.ts";
import { cliTest, createRun, runInProcess } from "../cli/run_command.ts";

async function worth(...args: string[]) {
  const { status, out, err } = await runInProcess(worthCommand, ["--json", ...args]);
  return { status, result: JSON.parse(out), err };
}

/** Folders of a class each; the shade tells the class but for noise, and only to who looks at the pixels. */
async function writeShades(folder: string, images: number): Promise<void> {
  for (const [at, name] of ["dark", "light", "middle"].entries()) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    for (let image = 0; image < images; image++) {
      const shade = [40, 210, 120][at] + 7 * (image % 5);
      const picture = sharp({
        create: { width: 20, height: 16, channels: 3, background: { r: shade, g: 90, b: 60 } },
      });
      await Deno.writeFile(`${folder}/${name}/${image}.png`, await picture.png().toBuffer());
    }
  }
}

cliTest(
  "a run's three sizes on the images that it held out, as the run's own kNN sees them",
  async (folder) => {
    const run = await createRun(`${folder}/run`);
    const settings = ["--neighbours", "200", "--temperature", "0.1", "--calibrate", "16"];
    const { status, result, err } = await worth("--run", run.path, ...settings, "--seed", "3");
    assertEquals(status, 0, err);
    assertEquals(result.images, { train: 32, test: 8 });
    assertEquals(result.results.map(({ arch }: { arch: string }) => arch).length, 3);
    const costs = result.results.map(({ macs }: { macs: number }) => macs);
    assertEquals(costs, costs.toSorted((a: number, b: number) => a - b));
    assertEquals(result.settings.linear.seed, 3);

    using gpu = await openGpu();
    using state = await openCheckpoint(gpu, run.lastCheckpointPath);
    const config = { ...state.config, knn: { ...state.config.knn, calibrate: 16 } };
    const data = await openRunData(gpu, config, {});
    const expected = share(await new KnnWatch(state, config, data.knn!).rightOf(state.space.max));
    data.release();
    assertAlmostEquals(result.results[2].knn, expected, 1e-12);
    // The run is untrained, and its seed 3: the network beside it is the same.
    assertEquals(result.results[2].untrained.knn, result.results[2].knn);
    assertEquals(result.results[2].untrained.linear, result.results[2].linear);
  },
);

cliTest("an extracted model on folders, whose classes are matched by name", async (folder) => {
  const run = await createRun(`${folder}/run`);
  await writeShades(`${folder}/train`, 10);
  await writeShades(`${folder}/test`, 4);
  // Now the folders' classes have other numbers.
  await Deno.remove(`${folder}/test/dark`, { recursive: true });
  const model = `${folder}/min.safetensors`;
  const cut = await runInProcess(extractCommand, [
    ...["--run", run.path, "--arch", "min", "--out", model, "--data", `folder:${folder}/train`],
  ]);
  assertEquals(cut.status, 0, cut.err);
  const data = ["--data", `folder:${folder}/train`, "--test-data", `folder:${folder}/test`];
  const { status, result, err } = await worth("--model", model, ...data, "--neighbours", "3");
  assertEquals(status, 0, err);
  assertEquals(result.images, { train: 30, test: 8 });
  assertEquals([result.pixels.knn, result.pixels.linear, result.pixels.imageSize], [1, 1, 16]);
  const [{ arch, network, linear }] = result.results;
  assertEquals([arch, network], ["4-4.6.16-1.1.1", model]);
  assert(linear >= 0.5, `${linear}`);

  const people = await runInProcess(worthCommand, ["--model", model, ...data, "--neighbours", "3"]);
  assertMatch(people.out, /^raw pixels, 16 x 16 +100\.0 % +100\.0 %$/m);
  assertMatch(people.out, /^30 images of folder:.*, tested on 8 of folder:/m);
});

cliTest("what it cannot measure is refused", async (folder) => {
  const run = await createRun(`${folder}/run`);
  for (
    const [args, message] of [
      [[], /either --run or --model/],
      [["--model", "a.safetensors"], /--model needs --data and --test-data/],
      [["--run", run.path, "--data", "synthetic:10"], /both --data and --test-data/],
      [["--model", "a.safetensors", "--arch", "max"], /--arch goes with --run/],
    ] as const
  ) {
    const { status, result } = await worth(...args);
    assertEquals(status, 2);
    assertMatch(result.error.message, message);
  }
});
