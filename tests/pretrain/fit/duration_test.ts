import { assert, assertEquals } from "@std/assert";
import { runSeconds, shorterWays, type TimedRun } from "../../../src/pretrain/fit/duration.ts";
import { smallRun } from "../small_run.ts";

const look = { images: 1000, classes: 10, secondsPerImage: 0.01, bytesPerImage: 1000, shorterSide: 64 };

function timed(changes: Partial<TimedRun> = {}, epochs = 10): TimedRun {
  const config = smallRun({ data: { imageSize: 64 }, training: { epochs }, knn: { every: 0 } });
  return {
    config,
    look,
    training: 800,
    heldOut: 0,
    stepsPerEpoch: 50,
    done: 0,
    secondsPerStep: 1,
    automaticEpochs: false,
    ...changes,
  };
}

Deno.test("a run takes its decoding, its steps, its evaluations", () => {
  assertEquals(runSeconds(timed()), 10 + 500);
  assertEquals(runSeconds(timed({ done: 400 })), 10 + 100);
  assertEquals(runSeconds(timed({ done: 500 })), 10);
  const watched = smallRun({ training: { epochs: 10 }, knn: { every: 5 } });
  const seconds = runSeconds(timed({ config: watched, heldOut: 200 }));
  assert(seconds > 510 && seconds < 700, String(seconds));
});

Deno.test("images that do not stay in memory are decoded in each epoch, beside the steps", () => {
  const config = smallRun({ data: { cacheMegabytes: 0 }, training: { epochs: 10 }, knn: { every: 0 } });
  const slow = { ...look, secondsPerImage: 0.5 };
  assertEquals(runSeconds(timed({ config, look: slow })), 10 * 50 * 16 * 0.5);
  assertEquals(runSeconds(timed({ config })), 500);
});

Deno.test("a run of more than an hour has shorter ways; a shorter one has none", () => {
  assertEquals(shorterWays(timed({}, 70)), []);
  const smaller = { flags: "--config small.json", ratio: 0.1, epochs: 200 };
  const ways = shorterWays(timed({}, 200), smaller);
  assertEquals(ways.map(({ flags }) => flags), [
    "--epochs 65",
    "--set data.imageSize=32",
    "--config small.json",
  ]);
  assertEquals(ways[0].seconds, Math.round(10_010 * 65 / 200));
  assert(ways.every(({ seconds }) => seconds < 3600));
  assertEquals(shorterWays(timed({ done: 2500 }, 200)).map(({ flags }) => flags), ["--epochs 115"]);
});

Deno.test("a smaller run has as many epochs as fit an hour, where they are not given", () => {
  const run = timed({ secondsPerStep: 40 }, 20);
  const last = (epochs: number | "auto") =>
    shorterWays(run, { flags: "--config small.json", ratio: 0.01, epochs }).at(-1)!;
  const [given, open] = [last(20), last("auto")];
  assertEquals([given.flags, open.flags], Array(2).fill("--config small.json"));
  const perEpoch = given.seconds / 20;
  assert(open.seconds > given.seconds && open.seconds <= 3600, `${open.seconds}`);
  assert(open.seconds > 3600 - 100 * perEpoch, `${open.seconds} of ${perEpoch}`);
  const larger = { flags: "--config large.json", ratio: 1.2, epochs: 2 };
  assert(shorterWays(run, larger).every(({ flags }) => !flags.includes("large")));
});

Deno.test("a run that nothing alone shortens enough has ways of several flags, or the nearest there are", () => {
  const slow = shorterWays(timed({ secondsPerStep: 10 }, 10));
  assertEquals(slow.map(({ flags }) => flags), ["--epochs 6", "--set data.imageSize=32"]);
  const slower = shorterWays(timed({ secondsPerStep: 200 }, 30));
  assertEquals(slower.map(({ flags }) => flags), ["--set data.imageSize=32"]);
  const between = shorterWays(timed({ secondsPerStep: 50 }, 40));
  assertEquals(between.map(({ flags }) => flags), ["--set data.imageSize=32 --epochs 5"]);
});
