/**
 * What all commands share: flags, help, `--json`, logging, interrupts, and the exit status.
 *
 * A command returns its result; this file prints it: as one JSON object, or formatted for people. Nothing else is
 * written to stdout. With `--json` that one object tells of a failure, too. The exit status is one of `exit_status.ts`.
 */

import { whyItFailed } from "./failure.ts";
import { isGone } from "./system_error.ts";
import { exitStatus } from "./exit_status.ts";
import { type Flags, type FlagValues, parseFlags } from "./flags.ts";
import { type CommandDescription, helpText, helpWidth, wrap } from "./help.ts";
import { asInvoked } from "./invocation.ts";
import { Interrupts } from "./interrupts.ts";
import { Logger, writeText } from "./logger.ts";

/** What a running command works with. */
export interface Context<F extends Flags> {
  readonly flags: FlagValues<F>;
  readonly logger: Logger;
  /** The signal of {@linkcode Context.onInterrupt}; not aborted before that was called. */
  readonly signal: AbortSignal;
  /**
   * Takes over Ctrl-C, SIGTERM and SIGHUP: the first aborts the returned signal; a second one ends the process at once.
   * A command that never calls this is ended by the first. One that has nothing to show when it is stopped half way ends
   * with `signal.throwIfAborted()`.
   *
   * @param message what happens now, e.g. that the last complete step is saved
   * @param nothingToSave the process may be ended when the command does not end by itself within two seconds
   */
  onInterrupt(message: string, nothingToSave?: "nothing to save"): AbortSignal;
  /** From now on this process prints nothing but errors: another one speaks for it. */
  mute(): void;
  /** Says what can be done next: printed below the result of a command that is done, for people only. */
  next(what: string, ...commands: readonly string[]): void;
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
  /** Whether a result stands although a signal of this status interrupted the command: it is shown as any other then. */
  standsInterrupted?(result: R, status: number): boolean;
  /** What to do about a result that is not complete, because the command was interrupted. */
  afterInterrupt?(result: R): string;
}

/** Where a command's output goes; the process's own streams unless in tests. */
export interface Output {
  readonly logger: Logger;
  /** Writes to stdout. */
  print(text: string): void;
  /** Characters of a line of help; without, as the terminal is. */
  readonly width?: number;
}

const commonFlags = {
  json: { type: "boolean", description: "Print the result as one JSON object on stdout" },
  help: { type: "boolean", description: "Print this text" },
} as const satisfies Flags;

/** Declares a command; only here so that types are inferred. */
export function defineCommand<const F extends Flags, R extends object>(
  command: Command<F, R>,
): Command<F, R> {
  return command;
}

/** A failure as `--json` prints it. */
function failure(message: string, code: number) {
  return { error: { message: asInvoked(message), code } };
}

/**
 * Runs a command with the given arguments.
 *
 * @returns the exit status
 */
export async function executeCommand<F extends Flags, R extends object>(
  command: Command<F, R>,
  args: readonly string[],
  { logger, print, width }: Output,
): Promise<number> {
  const allFlags = { ...command.flags, ...commonFlags };
  const json = args.includes("--json");
  let muted = false;
  const say = (text: string) => {
    if (!muted) print(text);
  };
  const printObject = (object: object) => say(JSON.stringify(object) + "\n");
  const fail = (error: unknown): number => {
    logger.status("");
    const { message, status } = whyItFailed(error, command.name, logger);
    logger.error(message);
    if (json && !isGone(error)) printObject(failure(message, status));
    return status;
  };
  const nextSteps: string[] = [];
  const interrupts = new Interrupts(logger, {
    onEnd: (message, status) => {
      if (json) printObject(failure(message, status));
    },
    tells: json,
  });
  const uncaught = (event: ErrorEvent | PromiseRejectionEvent) => {
    event.preventDefault();
    // What a worker throws has a message only.
    Deno.exit(fail("reason" in event ? event.reason : event.error ?? new Error(event.message)));
  };
  addEventListener("unhandledrejection", uncaught);
  addEventListener("error", uncaught);
  try {
    if (args.includes("--help") || args.includes("-h")) {
      say(helpText({ ...command, flags: allFlags }, width ?? helpWidth()));
      return exitStatus.done;
    }
    const flags = parseFlags<Flags>(allFlags, args);
    const result = await command.run({
      flags: flags as FlagValues<F>,
      logger,
      signal: interrupts.signal,
      mute() {
        muted = true;
        interrupts.mute();
      },
      onInterrupt: (message, nothingToSave) => interrupts.takeOver(message, nothingToSave !== undefined),
      next: (what, ...commands) => {
        nextSteps.push(
          [...wrap(what, width ?? helpWidth()), ...commands.map((command) => `  ${command}`)].join("\n"),
        );
      },
    });
    logger.status("");
    const { happened } = interrupts;
    if (!happened || command.standsInterrupted?.(result, happened.status)) {
      if (json) printObject(result);
      else say(asInvoked([command.format(result), ...nextSteps].join("\n\n")) + "\n");
      return command.exitCode?.(result) ?? exitStatus.done;
    }
    const advice = command.afterInterrupt?.(result);
    if (advice !== undefined) logger.info(advice);
    const message = advice === undefined ? happened.message : `${happened.message} ${advice}`;
    if (json) printObject({ ...result, ...failure(message, happened.status) });
    else say(asInvoked(command.format(result)) + "\n");
    return happened.status;
  } catch (error) {
    const { happened } = interrupts;
    if (!interrupts.caused(error)) return fail(error);
    logger.status("");
    if (json) printObject(failure(happened!.message, happened!.status));
    return happened!.status;
  } finally {
    interrupts.stop();
    removeEventListener("unhandledrejection", uncaught);
    removeEventListener("error", uncaught);
  }
}

/** Runs a command with the process's arguments and streams, and ends the process. */
export async function runCommand<F extends Flags, R extends object>(command: Command<F, R>): Promise<never> {
  const print = (text: string) => writeText(Deno.stdout, text);
  Deno.exit(await executeCommand(command, Deno.args, { logger: new Logger(), print }));
}
