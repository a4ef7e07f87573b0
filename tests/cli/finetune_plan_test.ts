/** `deno task finetune --dry-run`, and training from what the settings describe: the full-size configurations, narrowed. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { finetuneCommand } from "../../src/cli/finetune.ts";
import { isStep, readMetrics } from "../../src/store/metrics.ts";
import { argumentsOf, fullSize, narrow, oneStep } from "./full_size_configs.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

const finetune = (...args: string[]) => runInProcess(finetuneCommand, args);

for (const one of fullSize) {
  cliTest(
    `${one.file}: a dry run counts steps, memory and time at full image size, and writes nothing`,
    async (folder) => {
      const out = `${folder}/out`;
      const batch = ["training.batch=2"];
      const args = argumentsOf(one, 5, [...narrow, ...batch]);
      const { status, out: printed, err } = await finetune(...args, "--dry-run", "--out", out);
      assertEquals(status, 0, err + printed);
      assertEquals([...Deno.readDirSync(folder)], []);
      const { epochs, steps, input, memory: { device, host }, images, ...plan } = JSON.parse(printed);
      assertEquals([steps, images], [2 * epochs, { training: 5, test: 1 }]);
      const size = one.flags.includes("instances")
        ? { height: 800, width: 800 }
        : { height: 512, width: 1024 };
      assertEquals(input, { images: 2, size });
      // The images alone.
      assert(device.activations > 4 * 3 * 2 * size.height * size.width);
      assertEquals(device.total >= device.weights + device.activations, true);
      assert(host.total > host.runtime && plan.seconds > 0 && plan.measured.flopsPerSecond > 0);
      assertEquals(plan.arch, "4-3.4.5.6-3.4.6.3");
    },
  );

  cliTest(`${one.file}: a step on small images, from new weights`, async (folder) => {
    const out = `${folder}/out`;
    const args = argumentsOf(one, 2, [...narrow, ...one.small, ...oneStep]);
    const { status, out: printed, err } = await finetune(...args, "--out", out);
    assertEquals(status, 0, err + printed);
    const { arch, steps } = JSON.parse(printed);
    assertEquals([arch, steps], ["4-3.4.5.6-3.4.6.3", 1]);
    const [line] = (await readMetrics(`${out}/metrics.jsonl`)).filter(isStep);
    assert(Number.isFinite(line.loss) && line.loss > 0, `${line.loss}`);
    const { weights, from, config } = JSON.parse(await Deno.readTextFile(`${out}/finetune.json`));
    assertEquals([weights, from], ["new, seed 1", "scratch"]);
    assertEquals(config.network.std, [0.229, 0.224, 0.225]);
    assertStringIncludes(await Deno.readTextFile(`${out}/report.html`), "Network.widths");
  });
}

cliTest("a dry run for people names the task, the time, the memory and the measured step", async () => {
  const args = argumentsOf(fullSize[0], 4, [...narrow, ...fullSize[0].small, "training.batch=2"]);
  const { status, out } = await finetune(...args.filter((argument) => argument !== "--json"), "--dry-run");
  assertEquals(status, 0, out);
  for (
    const part of [
      ...[
        "segmentation, fcn over 4-3.4.5.6-3.4.6.3: 432 steps in 216 epochs on 4 images",
        "a step, as measured",
      ],
      ...["device: all", "device: what one binding holds", "host: free", "2 images of 64 x 64 pixels"],
    ]
  ) assertStringIncludes(out, part);
});

cliTest("what is missing or contradicts itself is said", async (folder) => {
  const data = ["--data", "synthetic:4", "--test-data", "synthetic:2"];
  const says = async (text: string, ...args: string[]) => {
    const { status, err, out } = await finetune(...args, ...data);
    assertEquals(status, 2, err + out);
    assertStringIncludes(err, text);
  };
  const out = ["--out", `${folder}/out`];
  await says("--from scratch with a --config that describes a network", ...out);
  await says('give a --config with a "network" section', "--from", "scratch", ...out);
  const settings = `${folder}/settings.json`;
  await Deno.writeTextFile(settings, '{"training": {"epochs": 1}}');
  await says(`${settings} has none`, "--from", "scratch", "--config", settings, ...out);
  await says("--out DIR is missing", ...argumentsOf(fullSize[0], 4, narrow).slice(0, 4));

  const run = `${folder}/run`;
  await createRun(run);
  const [, , , config] = argumentsOf(fullSize[0], 4, []);
  const both = [
    "--run",
    run,
    "--config",
    config,
    "--set",
    "segmentation.crop=[16,16]",
    "--set",
    "segmentation.channels=8",
  ];
  await says("the settings describe another", ...both, "--dry-run");
  await says("--set network=null", ...both, ...out);
  const alone = await finetune(
    ...both,
    ...data,
    "--set",
    "network=null",
    "--set",
    "segmentation.outputStride=4",
    "--dry-run",
  );
  assertEquals(alone.status, 0, alone.err);
  await says("network.depths: describes 1 stages", ...both, "--set", "network.depths=[[1]]", ...out);
  const otherHead = argumentsOf({ ...fullSize[0], flags: ["--head", "psp"] }, 4, narrow);
  const { status, out: refused } = await finetune(...otherHead, ...out);
  assertEquals(status, 2);
  assertStringIncludes(refused, "segmentation.convolutions is 2");
});
