/**
 * The decoding Worker: reads a file, decodes it, hands the pixels over without a copy. It inherits the process's
 * permissions: Deno offers narrower ones only behind an unstable flag, and the decoding library is native code that
 * they would not bind anyway.
 */
import { decodeImage, limitDecoder } from "./decode.ts";

/** A file to decode. */
export interface DecodeRequest {
  id: number;
  path: string;
  shorterSide: number;
}

/** Its pixels, or why it cannot be used. */
export type DecodeReply =
  | { id: number; width: number; height: number; pixels: Uint8Array<ArrayBuffer> }
  | { id: number; reason: string };

const scope = self as unknown as {
  onmessage: (event: MessageEvent<DecodeRequest>) => void;
  postMessage(reply: DecodeReply, transfer: Transferable[]): void;
};

limitDecoder();

scope.onmessage = async (event) => {
  const { id, path, shorterSide } = event.data;
  try {
    const { width, height, pixels } = await decodeImage(await Deno.readFile(path), shorterSide);
    // The library's buffer may be a window into a larger one, and only a whole buffer can be handed over.
    const whole = pixels.byteLength === pixels.buffer.byteLength
      ? new Uint8Array(pixels.buffer)
      : pixels.slice();
    scope.postMessage({ id, width, height, pixels: whole as Uint8Array<ArrayBuffer> }, [
      whole.buffer as ArrayBuffer,
    ]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    scope.postMessage({ id, reason: reason.trim().split("\n")[0] }, []);
  }
};
