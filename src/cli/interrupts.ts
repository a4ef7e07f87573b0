/** Ctrl-C, SIGTERM and SIGHUP: the first is the command's to finish, the second ends the process. */
import { type EndingSignal, exitStatus } from "./exit_status.ts";
import type { Logger } from "./logger.ts";

/** One press of Ctrl-C arrives twice under `deno task`, from the terminal and passed on: so long it counts once. */
const samePressMilliseconds = 500;
/** So long a command that has nothing to save may take to end. */
const graceMilliseconds = 1500;

/** The signal that interrupted a command. */
interface Interruption {
  readonly status: number;
  readonly message: string;
}

/** What the owner of the output does. */
export interface InterruptOptions {
  /** Called before the process ends at once. */
  onEnd(message: string, status: number): void;
  /** `onEnd` has something to tell: then every signal is listened for, from the start. */
  readonly tells: boolean;
}

/** Signals of one command. */
export class Interrupts {
  readonly #controller = new AbortController();
  readonly #handlers = new Map<EndingSignal, () => void>();
  #takenOver: { message: string; nothingToSave: boolean } | undefined;
  #first = 0;
  #muted = false;
  /** The first signal, once it came. */
  happened: Interruption | undefined;

  constructor(readonly logger: Logger, readonly options: InterruptOptions) {
    if (options.tells) this.#listen();
  }

  /** Aborted by the first signal, once the command has taken over. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether a command ended with this error because of an interrupt. */
  caused(error: unknown): boolean {
    return this.happened !== undefined && error === this.#controller.signal.reason;
  }

  /** From now on the first signal aborts the one that is returned. */
  takeOver(message: string, nothingToSave: boolean): AbortSignal {
    this.#takenOver = { message, nothingToSave };
    this.#listen();
    return this.#controller.signal;
  }

  /** Says nothing of signals any more. */
  mute(): void {
    this.#muted = true;
  }

  /** Leaves all signals to the system: they end the process at once, even while it is busy. */
  stop(): void {
    for (const [signal, handler] of this.#handlers) Deno.removeSignalListener(signal, handler);
    this.#handlers.clear();
  }

  #listen(): void {
    if (this.#handlers.size > 0) return;
    const signals: EndingSignal[] = Deno.build.os === "windows"
      ? ["SIGINT"]
      : ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) {
      const handler = () => this.#handle(signal);
      this.#handlers.set(signal, handler);
      Deno.addSignalListener(signal, handler);
    }
  }

  #handle(signal: EndingSignal): void {
    const interruption = { status: exitStatus[signal], message: `The command was interrupted by ${signal}.` };
    if (!this.#takenOver) return this.#end(interruption);
    if (this.happened) {
      if (performance.now() - this.#first >= samePressMilliseconds) this.#end(interruption);
      return;
    }
    this.#first = performance.now();
    this.happened = interruption;
    if (!this.#muted) this.logger.info(`${this.#takenOver.message} Interrupt again to stop at once.`);
    this.#controller.abort();
    if (!this.options.tells) Deno.unrefTimer(setTimeout(() => this.stop(), samePressMilliseconds));
    if (this.#takenOver.nothingToSave) {
      Deno.unrefTimer(setTimeout(() => this.#end(interruption), graceMilliseconds));
    }
  }

  #end({ status, message }: Interruption): void {
    this.logger.status("");
    this.options.onEnd(message, status);
    Deno.exit(status);
  }
}
