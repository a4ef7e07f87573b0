/** Waiting that an interrupt ends, and long work that lets it come. */

/** Lets the event loop have its turn: timers, signals, finished reads. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/**
 * The promise's outcome, or the signal's reason as an error as soon as it is aborted. The work behind the promise goes on;
 * what it comes to is then of no interest.
 */
export async function unlessAborted<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return await promise;
  const aborted = Promise.withResolvers<never>();
  const reject = () => aborted.reject(signal.reason);
  if (signal.aborted) reject();
  signal.addEventListener("abort", reject);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", reject);
  }
}
