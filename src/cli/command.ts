/**
 * What all commands share: flags, help, `--json`, logging, interrupts, and the exit status.
 *
 * A command returns its result; this file prints it: as one JSON object, or formatted for people. Nothing else is
 * written to stdout. Exit status: 0 done, 1 failed while running, 2 wrong usage or configuration, 130 interrupted.
 */

import { ScionError } from "../errors.ts";
import { type Flags, type FlagValues, parseFlags } from "./flags.ts";
import { type CommandDescription, helpText } from "./help.ts";
import { Logger, writeText } from "./logger.ts";

/** What a running command works with. */
export interface Context<F extends Flags> {
  readonly flags: FlagValues<F>;
  readonly logger: Logger;
  /**
   * Takes over Ctrl-C and SIGTERM: the first aborts the returned signal, which the command polls between steps; a
   * second one ends the process at once. A command that never calls this is ended by the first. One that has nothing
   * to show when it is stopped half way ends with `signal.throwIfAborted()`.
   *
   * @param message what happens now, e.g. that the step is finished first
   */
  onInterrupt(message: string): AbortSignal;
}

/** A command: its description, its work, and how its result is shown. */
export interface Command<F extends Flags, R extends object> extends CommandDescription {
  readonly flags: F;
  /** Does the work. The result must be representable as JSON. */
  run(context: Context<F>): Promise<R> | R;
  /** The result for people, without `--json`. */
  format(result: R): string;
  /** The exit status that goes with a result; without, 0. */
  exitCode?(result: R): 0 | 1;
}

/** Where a command's output goes; the process's own streams unless in tests. */
export interface Output {
  readonly logger: Logger;
  /** Writes to stdout. */
  print(text: string): void;
}

const commonFlags = {
  json: { type: "boolean", description: "Print the result as one JSON object on stdout" },
  help: { type: "boolean", description: "Print this text" },
} as const satisfies Flags;

const interruptedStatus = 130;

/** One press of Ctrl-C arrives twice under `deno task`, from the terminal and passed on: so long it counts once. */
const samePressMilliseconds = 500;

/** Declares a command; only here so that types are inferred. */
export function defineCommand<const F extends Flags, R extends object>(
  command: Command<F, R>,
): Command<F, R> {
  return command;
}

function debugging(): boolean {
  const permission = { name: "env", variable: "SCION_DEBUG" } as const;
  return Deno.permissions.querySync(permission).state === "granted" && Boolean(Deno.env.get("SCION_DEBUG"));
}

/** Whether the operating system refused something: a missing file, a full disk, a denied access. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && typeof error.code === "string" &&
    /^E[A-Z0-9]+$/.test(error.code);
}

/** Says why a command failed. Returns the exit status. */
function reportFailure(error: unknown, name: string, logger: Logger): number {
  const debug = debugging();
  if (debug) logger.info(error instanceof Error && error.stack ? error.stack : String(error));
  if (error instanceof ScionError) {
    logger.error(error.message);
    return error.exitCode;
  }
  if (error instanceof Deno.errors.NotCapable) {
    logger.error(`${error.message}\nDeno's sandbox refused this. Run the command as "deno task ${name}".`);
    return 1;
  }
  if (isSystemError(error)) {
    logger.error(
      `${error.message}\nThe system refused this. Check that the path exists and that you may use it.`,
    );
    return 1;
  }
  logger.error(
    `${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}\n` +
      "This is a fault of Scion. Please report it with the command line" +
      (debug ? " and what is printed above." : ` and what SCION_DEBUG=1 deno task ${name} … prints.`),
  );
  return 1;
}

/** Hands the first SIGINT or SIGTERM to the command and ends the process at the second. */
class Interrupts {
  readonly #controller = new AbortController();
  #message: string | undefined;
  #first = 0;

  constructor(readonly logger: Logger) {}

  get happened(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Whether a command ended with this error because of an interrupt. */
  caused(error: unknown): boolean {
    return this.happened && error === this.#controller.signal.reason;
  }

  listen(message: string): AbortSignal {
    if (this.#message === undefined) {
      for (const signal of this.#signals) Deno.addSignalListener(signal, this.#handle);
    }
    this.#message = message;
    return this.#controller.signal;
  }

  stop(): void {
    if (this.#message === undefined) return;
    for (const signal of this.#signals) Deno.removeSignalListener(signal, this.#handle);
  }

  get #signals(): Deno.Signal[] {
    return Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  }

  readonly #handle = () => {
    if (this.happened) {
      if (performance.now() - this.#first < samePressMilliseconds) return;
      this.logger.status("");
      Deno.exit(interruptedStatus);
    }
    this.#first = performance.now();
    this.logger.info(`${this.#message} Interrupt again to stop at once.`);
    this.#controller.abort();
  };
}

/**
 * Runs a command with the given arguments.
 *
 * @returns the exit status
 */
export async function executeCommand<F extends Flags, R extends object>(
  command: Command<F, R>,
  args: readonly string[],
  { logger, print }: Output,
): Promise<number> {
  const allFlags = { ...command.flags, ...commonFlags };
  const interrupts = new Interrupts(logger);
  try {
    if (args.includes("--help") || args.includes("-h")) {
      print(helpText({ ...command, flags: allFlags }));
      return 0;
    }
    const flags = parseFlags<Flags>(allFlags, args);
    const result = await command.run({
      flags: flags as FlagValues<F>,
      logger,
      onInterrupt: (message) => interrupts.listen(message),
    });
    logger.status("");
    print(flags.json ? JSON.stringify(result) + "\n" : command.format(result) + "\n");
    return interrupts.happened ? interruptedStatus : command.exitCode?.(result) ?? 0;
  } catch (error) {
    // The reader of our output has gone, e.g. `| head`: there is no one to tell.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    logger.status("");
    if (interrupts.caused(error)) return interruptedStatus;
    return reportFailure(error, command.name, logger);
  } finally {
    interrupts.stop();
  }
}

/** Runs a command with the process's arguments and streams, and ends the process. */
export async function runCommand<F extends Flags, R extends object>(command: Command<F, R>): Promise<never> {
  const print = (text: string) => writeText(Deno.stdout, text);
  Deno.exit(await executeCommand(command, Deno.args, { logger: new Logger(), print }));
}
