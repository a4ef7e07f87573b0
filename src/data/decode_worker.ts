/**
 * The decoding Worker: reads a file, decodes it, hands the pixels over without a copy. It inherits the process's
 * permissions: Deno offers narrower ones only behind an unstable flag, and the decoding library is native code that
 * they would not bind anyway.
 */

/** A file to decode. */
export interface DecodeRequest {
  id: number;
  path: string;
  shorterSide: number;
}

/** Its pixels, or why it cannot be used, or why no file can be decoded at all. */
export type DecodeReply =
  | { id: number; width: number; height: number; pixels: Uint8Array<ArrayBuffer> }
  | { id: number; reason: string }
  | { failure: string };

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
  const { id, path, shorterSide } = event.data;
  try {
    const { width, height, pixels } = await loaded.decodeImage(await Deno.readFile(path), shorterSide);
    scope.postMessage({ id, width, height, pixels }, [pixels.buffer]);
  } catch (error) {
    scope.postMessage({ id, reason: messageOf(error).split("\n")[0] }, []);
  }
};
