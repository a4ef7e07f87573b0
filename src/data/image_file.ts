/** Reading one image's file, whatever it has become since it was listed. */

/** Longest file that is read as an image. */
const mostBytes = 2 ** 30;

/** What the system says, in the words that users see. */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "it is not there";
  if (error instanceof Deno.errors.PermissionDenied) return "permission to read it is denied";
  // Without the path, which is named beside the reason.
  if (error instanceof Error) {
    return error.message.replace(/: (open|read|stat|readdir|realpath)[a-z]* '.*$/s, "");
  }
  return String(error);
}

/**
 * Reads an image's file.
 *
 * @throws {Error} whose message is the reason: it is gone, may not be read, is no regular file (a pipe would wait for
 * ever), or is too long
 */
export async function readImageFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw new Error("it is no regular file");
    if (size > mostBytes) throw new Error(`it has ${size} bytes; at most ${mostBytes} are read`);
    return await Deno.readFile(path);
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error });
  }
}
