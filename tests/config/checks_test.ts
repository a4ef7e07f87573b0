import { assert, assertEquals, assertThrows } from "@std/assert";
import { checkAgainstData, configWarnings } from "../../src/config/checks.ts";
import { parseConfig } from "../../src/config/load.ts";
import { parseSet } from "../../src/config/overrides.ts";
import { ConfigurationError } from "../../src/errors.ts";

const raw = {
  space: {
    block: "basic",
    stem: { kind: "3x3", widths: [8] },
    widths: [[8], [8, 16], [16], [32]],
    depths: [[1], [1], [1], [1, 2]],
  },
  moco: { queue: 512 },
  training: { batch: 64 },
};

const configWith = (...sets: string[]) => parseConfig(raw, "demo.json", sets.map(parseSet));

Deno.test("settings that do not go together are refused with the reason", () => {
  const cases: [string[], string][] = [
    [["moco.queue=63"], "moco.queue is 63, less than training.batch, 64"],
    [["data.storedSide=32"], 'data.storedSide is 32. Give "auto", or more than data.imageSize, 32'],
    [["data.storedSide=257"], "at most 8 times that, 256"],
    [["moco.batchnormGroups=7"], "moco.batchnormGroups is 7, which does not divide training.batch, 64"],
    [["moco.batchnormGroups=64"], "moco.batchnormGroups leaves one image per batchnorm group"],
    [
      ["distillation.teacher=nonsense"],
      'distillation.teacher is "nonsense". Allowed: features:FILE.safetensors',
    ],
    [["distillation.teacher=features:x.npz"], 'distillation.teacher is "features:x.npz"'],
    [["distillation.teacher=model:x.pt"], 'distillation.teacher is "model:x.pt"'],
    [["moco.queue=63", "distillation.teacher=self", "distillation.moco=1"], "moco.queue is 63, less than"],
    [["training.batch=1"], "training.batch leaves one image per batchnorm group"],
    [["head.dimension=66"], "head.dimension is 66. It must be a multiple of 4"],
    [["sandwich.largest=false", "sandwich.smallest=false", "sandwich.random=0"], "sandwich asks for no pass"],
    [
      ["augmentation.crop.scale=[1,0.2]"],
      "augmentation.crop.scale is [1, 0.2]. Give the smaller number first",
    ],
    [["augmentation.crop.scale=[0.2,1.5]"], "augmentation.crop.scale ends at 1.5"],
    [["augmentation.blur.sigma=[2,1]"], "augmentation.blur.sigma is [2, 1]"],
    [
      ["training.epochs=3", "optimizer.warmupEpochs=4"],
      "optimizer.warmupEpochs is 4, more than training.epochs, 3",
    ],
  ];
  for (const [sets, message] of cases) assertThrows(() => configWith(...sets), ConfigurationError, message);
});

Deno.test("what is unusual but works is accepted", () => {
  configWith("moco.queue=64");
  configWith("moco.queue=100");
  for (const side of ["auto", "null", "33", "256"]) configWith(`data.storedSide=${side}`);
  configWith("moco.batchnormGroups=32");
  configWith("training.epochs=0", "optimizer.warmupEpochs=1");
  configWith("sandwich.largest=false", "sandwich.smallest=false", "sandwich.random=2");
  configWith("augmentation.crop=null", "augmentation.blur=null", "augmentation.jitter=null");
});

Deno.test("a batch must fit the data", () => {
  checkAgainstData(configWith(), 64);
  assertThrows(
    () => checkAgainstData(configWith(), 63),
    ConfigurationError,
    "training.batch is 64, but there are only 63 training images",
  );
});

Deno.test("a last, smaller batch must still make batchnorm groups", () => {
  const keep = "training.lastBatch=keep";
  checkAgainstData(configWith(keep), 66);
  checkAgainstData(configWith(keep), 128);
  assertThrows(
    () => checkAgainstData(configWith(keep), 65),
    ConfigurationError,
    "the last batch has 1 of 65 images",
  );
  const grouped = configWith(keep, "moco.batchnormGroups=4");
  checkAgainstData(grouped, 72);
  assertThrows(() => checkAgainstData(grouped, 68), ConfigurationError, "do not make 4 batchnorm groups");
  assertThrows(() => checkAgainstData(grouped, 73), ConfigurationError, 'Use "drop"');
  checkAgainstData(configWith("moco.batchnormGroups=4"), 73);
});

Deno.test("warnings", () => {
  assertEquals(configWarnings(configWith(), 2048), []);
  assert(configWarnings(configWith(), 500)[0].includes("moco.queue holds 512 keys of 500 training images"));
  assert(configWarnings(configWith("data.heldOut=0"), 2048)[0].startsWith("No kNN"));
  assertEquals(configWarnings(configWith("data.heldOut=0", "knn.every=0"), 2048), []);
  assert(configWarnings(configWith("knn.bank=100"), 2048)[0].includes("only 100 images are searched"));
});

Deno.test("without keys, the queue does not matter", () => {
  const alone = configWith("moco.queue=63", "distillation.teacher=self");
  assertEquals(
    configWarnings({ ...alone, moco: { ...alone.moco, queue: 5000 } }, 1000).join().includes("moco.queue"),
    false,
  );
  const both = configWith("distillation.teacher=self", "distillation.moco=1", "moco.queue=5000");
  assert(configWarnings(both, 1000).join().includes("moco.queue holds 5000 keys"));
});
