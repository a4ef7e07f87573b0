/** Errors of the operating system. */

/** Whether the operating system refused something: a missing file, a full disk, a denied access. */
export function isSystemError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && typeof error.code === "string" &&
    /^E[A-Z0-9]+$/.test(error.code);
}

/** Whether the reader of our output has gone, e.g. `| head`, or there never was one. */
export function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe ||
    isSystemError(error) && /^(EPIPE|EBADF|EIO)$/.test((error as Error & { code: string }).code);
}
