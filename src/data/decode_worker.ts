/**
 * The decoding Worker: reads files, decodes them, hands the pixels over without a copy. It inherits the process's
 * permissions: Deno offers narrower ones only behind an unstable flag, and the decoding library is native code that
 * they would not bind anyway.
 */

import type { DecodeSizes } from "./decode.ts";
import { type FileRange, readImageFile } from "./image_file.ts";
import type { DecodedImage, ImageUse } from "./image_set.ts";

/** Files to decode, shared by all Workers. */
export interface DecodeRequest {
  id: number;
  files: readonly FileRange[];
  use: ImageUse;
  sizes: DecodeSizes;
  /** One Int32: number of the next file that nobody has claimed. */
  next: SharedArrayBuffer;
}

/** A file's pixels, or why it cannot be used, or why no file can be decoded at all. */
export type DecodeReply =
  | { id: number; position: number; image: DecodedImage & { pixels: Uint8Array<ArrayBuffer> } }
  | { id: number; position: number; reason: string }
  | { failure: string };

/** Files that a Worker works on at once: it reads one while the library's thread decodes another. */
const filesAtOnce = 2;

const scope = self as unknown as {
  onmessage: (event: MessageEvent<DecodeRequest>) => void;
  postMessage(reply: DecodeReply, transfer: Transferable[]): void;
};

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).trim();

// Loaded here and not by a plain import, so that a library that does not load is reported and not just a dead Worker.
const decoder = import("./decode.ts").then((module) => {
  module.limitDecoder();
  return module;
});
decoder.catch((error) => scope.postMessage({ failure: messageOf(error) }, []));

scope.onmessage = async (event) => {
  const loaded = await decoder.catch(() => undefined);
  if (!loaded) return; // reported above
  const { id, files, use, sizes } = event.data;
  const next = new Int32Array(event.data.next);
  const claimAll = async () => {
    for (
      let position = Atomics.add(next, 0, 1);
      position < files.length;
      position = Atomics.add(next, 0, 1)
    ) {
      try {
        const file = await readImageFile(files[position]);
        const image = await loaded.decodeImage(file, use, sizes);
        scope.postMessage({ id, position, image }, [image.pixels.buffer]);
      } catch (error) {
        scope.postMessage({ id, position, reason: messageOf(error).split("\n")[0] }, []);
      }
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, claimAll));
};
