/** The memory plan against what runs really hold, and what it refuses. */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import sharp from "sharp";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { ConfigurationError } from "../../src/errors.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { planRun } from "../../src/pretrain/dry_run.ts";
import { checkMemory, planMemory } from "../../src/pretrain/memory_plan.ts";
import { startRun } from "../../src/pretrain/pretrain.ts";
import { runInProcess } from "../cli/run_command.ts";
import { gpuTest } from "../helpers.ts";
import { collectingHooks } from "../pretrain/small_run.ts";
import { withFolder } from "../store/with_folder.ts";

const set = (path: string, value: unknown) => ({ path, value, flag: "--set" });

const bottlenecks = {
  space: {
    block: "bottleneck",
    stem: { kind: "7x7", widths: [8, 16] },
    widths: [[8, 16], [16, 24], [24, 32], [32, 48]],
    depths: [[1, 2], [1], [1, 2], [1]],
  },
  data: { source: "synthetic:96", heldOut: 32, imageSize: 64 },
  head: { hidden: 64, dimension: 32 },
  moco: { queue: 4096, batchnormGroups: 2 },
  training: { epochs: 3, batch: 16 },
  knn: { every: 1, neighbours: 5, calibrate: 32 },
};

/** The demo with fewer images, bottlenecks, and a narrow network whose queue is most of it. */
const runs: Record<string, () => Promise<Config>> = {
  "the demo": () =>
    loadConfig("configs/demo.json", [
      set("data.source", "synthetic:1024"),
      set("training.epochs", 1),
    ]),
  "bottlenecks in groups": () => Promise.resolve(parseConfig(bottlenecks, "test")),
  "a large queue, no evaluation": () =>
    Promise.resolve(parseConfig({
      ...bottlenecks,
      moco: { queue: 65536, teacher: "same-architecture" },
      augmentation: "none",
      knn: { every: 0 },
    }, "test")),
};

for (const [name, open] of Object.entries(runs)) {
  gpuTest(
    `the plan is what a run holds at most, within five per cent: ${name}`,
    (gpu) =>
      withFolder(async (folder) => {
        const config = await open();
        const images = Number(String(config.data.source).split(":")[1]);
        const { device } = await planMemory(gpu, config, images);
        assertEquals(gpu.pool.use.peak, 0);
        await startRun(gpu, `${folder}/run`, config, collectingHooks().hooks);
        const { peak } = gpu.pool.use;
        assert(Math.abs(device.total / peak - 1) < 0.05, `${device.total} planned, ${peak} held`);
      }),
  );
}

gpuTest(
  "the plan knows how large photos are kept, within five per cent",
  (gpu) =>
    withFolder(async (folder) => {
      const photo = { width: 300, height: 220, channels: 3, background: "#336699" } as const;
      for (const name of ["a", "b"]) {
        await Deno.mkdir(`${folder}/photos/${name}`, { recursive: true });
        for (let at = 0; at < 16; at++) {
          await sharp({ create: photo }).jpeg().toFile(`${folder}/photos/${name}/${at}.jpg`);
        }
      }
      const totals = [];
      for (const storedSide of [null, "auto"]) {
        const config = parseConfig({
          ...bottlenecks,
          data: { source: `folder:${folder}/photos`, heldOut: 8, imageSize: 64, storedSide },
          training: { epochs: 1, batch: 8 },
          moco: { queue: 64 },
        }, "test");
        const { plan: { memory } } = await planRun(gpu, config);
        using run = await openGpu();
        await startRun(run, `${folder}/${storedSide}`, config, collectingHooks().hooks);
        const { peak } = run.pool.use;
        assert(
          Math.abs(memory.device.total / peak - 1) < 0.05,
          `${memory.device.total} planned, ${peak} held`,
        );
        totals.push(memory.device.images, memory.host.images);
      }
      // 32 photos of 73 x 100, or of 144 x 196 pixels, and all of them as evaluation sees them.
      const [leastOnDevice, leastOnHost, autoOnDevice, autoOnHost] = totals;
      assertEquals(
        [leastOnHost, autoOnHost],
        [73 * 100, 144 * 196].map((pixels) => 128 * (pixels + 64 ** 2)),
      );
      assert(leastOnDevice >= 128 * 73 * 100 && autoOnDevice >= 128 * 144 * 196);
    }),
);

gpuTest("a plan without room is refused with the bytes and the field that takes most", async (gpu) => {
  const base = await loadConfig("configs/demo.json");
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ training: { ...base.training, batch: 512 } }, /training\.batch \(512\) or data\.imageSize \(32\)/],
    [
      { moco: { ...base.moco, queue: 250_000 }, training: { ...base.training, batch: 4 } },
      /moco\.queue \(250000\)/,
    ],
    [{
      head: { ...base.head, kind: "mlp", hidden: 65_536, dimension: 512 },
      training: { ...base.training, batch: 4 },
    }, /space/],
  ];
  for (const [changes, field] of cases) {
    const config = { ...base, ...changes } as Config;
    const plan = await planMemory(gpu, config, 0);
    const needed = plan.device.total + plan.host.total;
    const error = assertThrows(() => checkMemory(plan, config, true, needed - 1), ConfigurationError);
    assertMatch(error.message, field);
    assert(error.message.includes(`(${needed} bytes)`) && error.message.includes(`(${needed - 1} bytes)`));
    checkMemory(plan, config, true, needed);
    // Another device has memory of its own.
    checkMemory(plan, config, false, needed - 1);
    checkMemory(plan, config, true, undefined);
  }
});

gpuTest("what no single buffer can hold is refused with the field", async (gpu) => {
  const base = await loadConfig("configs/demo.json");
  const refused = async (changes: Record<string, unknown>, message: RegExp) => {
    const config = { ...base, ...changes } as Config;
    const error: Error = await assertRejects(() => planMemory(gpu, config, 0), ConfigurationError);
    assertMatch(error.message, message);
  };
  await refused({ moco: { ...base.moco, queue: 2 ** 24 } }, /^moco\.queue is 16777216: keys of \d+ bytes/);
  await refused({ training: { ...base.training, batch: 65_536 } }, /^training\.batch is 65536: .* \d+ bytes/);
  await refused(
    { head: { ...base.head, kind: "mlp", hidden: 65_536, dimension: 8192 } },
    /^space or head: .*\d+ bytes/,
  );
});

Deno.test({
  name: "a start that needs more than there is takes nothing, leaves no folder and ends with 2",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withFolder(async (folder) => {
      // Feature maps of about 200 GB, in buffers that can be bound.
      const args = [
        ["--set", "space.depths=[[256],[256],[256],[256]]", "--set", "training.batch=1024"],
        ["--set", "moco.queue=1024", "--out", `${folder}/run`, "--json"],
      ].flat();
      for (const more of [[], ["--dry-run"]]) {
        const { status, out } = await runInProcess(pretrainCommand, [...args, ...more]);
        assertEquals(status, 2);
        assertMatch(JSON.parse(out).error.message, /This run needs \d+ MiB .* training\.batch \(1024\)/);
        assertEquals([...Deno.readDirSync(folder)], []);
      }
      using gpu = await openGpu();
      assertEquals(gpu.pool.use.held, 0);
    }),
});
