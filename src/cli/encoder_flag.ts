/** The flag that names a run's encoder, in all commands that cut subnets out of one. */
import type { Flag } from "./flags.ts";

/** `--encoder`. */
export const encoderFlag = {
  type: "string",
  choices: ["query", "momentum"],
  default: "query",
  description: "With --run: which encoder; query, the one that was trained, or momentum, its moving average",
} as const satisfies Flag;
