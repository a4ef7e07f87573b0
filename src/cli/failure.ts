/** What a command says about the error that ended it. */
import { ScionError } from "../errors.ts";
import { exitStatus } from "./exit_status.ts";
import { isGone, isSystemError } from "./system_error.ts";
import type { Logger } from "./logger.ts";

function debugging(): boolean {
  const permission = { name: "env", variable: "SCION_DEBUG" } as const;
  return Deno.permissions.querySync(permission).state === "granted" && Boolean(Deno.env.get("SCION_DEBUG"));
}

/** Why a command failed, for people, and its exit status. */
export function whyItFailed(
  error: unknown,
  name: string,
  logger: Logger,
): { message: string; status: 1 | 2 } {
  const debug = debugging();
  if (debug) logger.info(error instanceof Error && error.stack ? error.stack : String(error));
  const failed = (message: string) => ({ message, status: exitStatus.failed });
  if (error instanceof ScionError) return { message: error.message, status: error.exitCode };
  if (error instanceof Deno.errors.NotCapable) {
    return failed(
      `${error.message}\nDeno's sandbox refused this. Run the command as "deno task ${name}".`,
    );
  }
  if (isGone(error)) {
    return failed(
      "The output was not read to its end: whatever reads stdout was closed. Files that were written are complete.",
    );
  }
  if (isSystemError(error)) {
    return failed(
      `${error.message}\nThe system refused this. Check that the path exists and that you may use it.`,
    );
  }
  return failed(
    `${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}\n` +
      "This is a fault of Scion. Please report it with the command line" +
      (debug ? " and what is printed above." : ` and what SCION_DEBUG=1 deno task ${name} … prints.`),
  );
}
