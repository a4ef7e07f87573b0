/** The folder of an output. */
import { UsageError } from "../errors.ts";
import { asWriteError } from "../store/atomic_file.ts";

/**
 * Makes the folder that a flag needs. Called before the work, so that a path that cannot be written fails at once.
 *
 * @param flag that names it
 * @throws {UsageError} when a file is in the way
 * @throws {DataError} when the file system refuses
 */
export async function makeOutputFolder(path: string, flag = "--out"): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotADirectory) {
      throw new UsageError(`${flag} needs the folder ${path}, which is a file. Give another path.`);
    }
    throw asWriteError(path, error);
  }
}
