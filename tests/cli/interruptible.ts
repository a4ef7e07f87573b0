/** A command that takes a second and a half to finish after an interrupt. */
import { defineCommand, runCommand } from "../../src/cli/command.ts";

await runCommand(defineCommand({
  name: "interruptible",
  summary: "Waits for an interrupt.",
  flags: {},
  examples: [],
  async run({ logger, onInterrupt }) {
    const signal = onInterrupt("Finishing.");
    logger.info("ready");
    while (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    return { finished: true };
  },
  format: () => "finished",
}));
