/** A command that fails where no `try` of its own is, or talks a lot. */
import { defineCommand, runCommand } from "../../src/cli/command.ts";

const worker = `setTimeout(() => { throw new Error("in a worker"); }, 10);`;

await runCommand(defineCommand({
  name: "failing",
  summary: "Fails.",
  flags: { kind: { type: "string", required: true, description: "What fails" } },
  examples: [],
  async run({ flags: { kind }, logger }) {
    const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    if (kind === "talk") {
      for (let line = 0; line < 100; line++) {
        logger.info("x".repeat(1000));
        await pause(1);
      }
      return {};
    }
    if (kind === "timer") {
      setTimeout(() => {
        throw new Error("in a timer");
      }, 10);
    }
    if (kind === "promise") Promise.reject(new Error("in a promise"));
    if (kind === "worker") {
      new Worker(`data:application/javascript,${encodeURIComponent(worker)}`, { type: "module" });
    }
    await pause(5000);
    return {};
  },
  format: () => "done",
}));
