/** What a command adds to errors that know nothing of its flags. */
import { ScionError, UsageError } from "../errors.ts";

/** Runs work; where it fails, the message says which flags to change, by what the error is about. */
export async function withAdvice<T>(
  advice: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const more = error instanceof ScionError && error.about !== undefined ? advice[error.about] : undefined;
    if (more === undefined || !(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message} ${more}`, { cause: error });
  }
}
