import { formatDuration } from "../../src/duration.ts";
import { assertEquals } from "@std/assert";
import {
  formatCount,
  formatQuantity,
  formatRate,
  formatRoundQuantity,
  formatTable,
} from "../../src/cli/format.ts";
import { Logger } from "../../src/cli/logger.ts";
import { Progress } from "../../src/cli/progress.ts";

function recorder(isTerminal: boolean, columns = 200) {
  const written: string[] = [];
  const logger = new Logger({ write: (text) => written.push(text), isTerminal, columns: () => columns });
  return { written, logger };
}

function progressAt(isTerminal: boolean, done = 0) {
  const { written, logger } = recorder(isTerminal);
  const clock = { time: 0 };
  const progress = new Progress({
    logger,
    label: "pretrain",
    total: 640,
    unit: "steps",
    done,
    now: () => clock.time,
  });
  return { written, clock, progress };
}

Deno.test("without a terminal: a line at first, then one every ten seconds, and a last one", () => {
  const { written, clock, progress } = progressAt(false);
  for (let step = 1; step <= 400; step++) {
    clock.time += 50;
    progress.update(step, { loss: (400 / step).toFixed(2) });
  }
  progress.finish();
  assertEquals(written, [
    "pretrain 0 % (1/640 steps), 20.0 steps/s, 32 s left, loss 400.00\n",
    "pretrain 31 % (201/640 steps), 20.0 steps/s, 22 s left, loss 1.99\n",
    "pretrain 62 % (400/640 steps), 20.0 steps/s, 12 s left, loss 1.00\n",
  ]);
});

Deno.test("on a terminal: a bar in place, redrawn ten times a second at most", () => {
  const { written, clock, progress } = progressAt(true);
  for (let step = 1; step <= 40; step++) {
    clock.time += 10;
    progress.update(step * 8);
  }
  assertEquals(written.length, 4);
  assertEquals(
    written[3],
    "\r\x1b[K████████░░░░░░░░░░░░ pretrain 38 % (248/640 steps), 800 steps/s, 0 s left",
  );
  progress.finish();
  assertEquals(written.slice(4), ["\r\x1b[K", "pretrain 50 % (320/640 steps), 800 steps/s, 0 s left\n"]);
});

Deno.test("the rate ignores what a resumed run had done, and forgets a slow start", () => {
  const { written, clock, progress } = progressAt(false, 320);
  clock.time = 60_000;
  progress.update(321);
  for (let step = 322; step <= 420; step++) {
    clock.time += 400;
    progress.update(step);
  }
  assertEquals(written[0], "pretrain 50 % (321/640 steps), 0.0167 steps/s, 5:19 h left\n");
  assertEquals(written.at(-1), "pretrain 61 % (396/640 steps), 2.50 steps/s, 1:38 min left\n");
});

Deno.test("a long step shows its part, and what goes on", () => {
  const { written, clock, progress } = progressAt(true);
  progress.note("first step: compiling");
  clock.time = 2000;
  progress.update(0.25);
  clock.time = 4000;
  progress.note("");
  progress.update(1.5);
  assertEquals(written.map((line) => line.replace(/^.*░ /s, "")), [
    "pretrain 0 % (0/640 steps), first step: compiling",
    "pretrain 0 % (0/640 steps), 25 % of the next, first step: compiling",
    "pretrain 0 % (1/640 steps), 50 % of the next, 0.375 steps/s, 28:23 min left",
  ]);
});

Deno.test("what other work takes is no part of the rate", () => {
  const { written, clock, progress } = progressAt(false);
  clock.time = 60_000;
  progress.restart();
  clock.time = 62_000;
  progress.update(4);
  assertEquals(written, ["pretrain 0 % (4/640 steps), 2.00 steps/s, 5:18 min left\n"]);
});

Deno.test("the rate of steps that take longer than its window is that of two steps", () => {
  const { written, clock, progress } = progressAt(false);
  for (let part = 1; part <= 16; part++) {
    clock.time += part % 4 === 0 ? 37_000 : 1000; // each step's last quarter takes most of its 40 seconds
    progress.update(part / 4);
  }
  assertEquals(written.at(-1), "pretrain 0 % (4/640 steps), 0.0250 steps/s, 7:04 h left\n");
});

Deno.test("work that began before there was anything to show has its rate from then on", () => {
  const { written, logger } = recorder(false);
  const now = () => 2000;
  new Progress({ logger, label: "decode", total: 300, unit: "images", began: 0, now }).update(64);
  assertEquals(written, ["decode 21 % (64/300 images), 32.0 images/s, 7 s left\n"]);
});

Deno.test("lines go above the status line, which is cut to the terminal's width", () => {
  const { written, logger } = recorder(true, 10);
  logger.status("0123456789abc");
  logger.warn("careful");
  logger.status("");
  logger.info("done");
  assertEquals(written, ["\r\x1b[K012345678", "\r\x1b[Kwarning: careful\n012345678", "\r\x1b[K", "done\n"]);
});

Deno.test("no status line without a terminal", () => {
  const { written, logger } = recorder(false);
  logger.status("half way");
  logger.error("broken");
  assertEquals(written, ["error: broken\n"]);
});

Deno.test("numbers for people", () => {
  assertEquals([4_087_136_256, 27_000, 512].map((value) => formatQuantity(value)), [
    "4.09 G",
    "27.0 k",
    "512",
  ]);
  assertEquals(formatQuantity(4_087_136_256, 5), "4.0871 G");
  assertEquals([1e9, 1_500_000, 200].map(formatRoundQuantity), ["1 G", "1.5 M", "200"]);
  assertEquals(formatCount(85_293), "85 293");
  assertEquals([0.3412, 12.46, 1451.8].map(formatRate), ["0.341", "12.5", "1 452"]);
  assertEquals([7.6, 245, 7_380].map(formatDuration), ["8 s", "4:05 min", "2:03 h"]);
  assertEquals(formatTable([["a", "1"], ["bcd", "23"]], "lr"), "a     1\nbcd  23");
});
