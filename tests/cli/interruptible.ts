/** A command that takes a second and a half to finish after an interrupt, or hangs, or is busy. */
import { defineCommand, runCommand } from "../../src/cli/command.ts";

await runCommand(defineCommand({
  name: "interruptible",
  summary: "Waits for an interrupt.",
  flags: {
    hang: { type: "boolean", description: "Never finish" },
    busy: { type: "boolean", description: "Block the event loop" },
  },
  examples: [],
  async run({ flags: { hang, busy }, logger, onInterrupt }) {
    const signal = onInterrupt("Finishing.", hang ? "nothing to save" : undefined);
    logger.info("ready");
    while (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 10));
    if (hang) await new Promise((resolve) => setTimeout(resolve, 60_000));
    await new Promise((resolve) => setTimeout(resolve, busy ? 700 : 1500));
    if (busy) {
      logger.info("busy");
      const start = performance.now();
      while (performance.now() - start < 20_000);
    }
    return { finished: true };
  },
  format: () => "finished",
}));
