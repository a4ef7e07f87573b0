/** The exit status of every command. */

/** Statuses by what happened. Those of signals are 128 and the signal's number, as shells have it. */
export const exitStatus = {
  done: 0,
  /** Something failed while running; the message says what to do. */
  failed: 1,
  /** Wrong flags, a wrong configuration, or one that needs more than there is. */
  usage: 2,
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

/** The signals that a command takes over. */
export type EndingSignal = "SIGHUP" | "SIGINT" | "SIGTERM";

/** For `--help`. */
export const exitStatusText =
  "0 done; 1 failed while running; 2 wrong flags or configuration; 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by " +
  'SIGHUP. With --json a failure, too, is one object on stdout: {"error": {"message", "code"}}, the code being the ' +
  "exit status.";
