import { DataError } from "../errors.ts";
import type { DecodeSizes } from "./decode.ts";
import type { DecodeReply, DecodeRequest } from "./decode_worker.ts";
import type { FileRange } from "./image_file.ts";
import type { DecodedImage, ImageUse } from "./image_set.ts";

/** A decoded image, or the reason why the file cannot be used. */
export type DecodeResult = { image: DecodedImage } | { reason: string };

/** Files that are being decoded. */
interface Job {
  readonly results: DecodeResult[];
  missing: number;
  resolve(results: DecodeResult[]): void;
  reject(error: Error): void;
}

/**
 * A fixed number of decoding Workers, started at the first use. They claim files themselves, from one shared counter:
 * this thread is blocked whenever it waits for the device, and must not be needed to keep them busy.
 */
export class DecodePool {
  readonly #size: number;
  readonly #sizes: DecodeSizes;
  readonly #workers: Worker[] = [];
  readonly #jobs = new Map<number, Job>();
  #nextId = 0;
  #failure: DataError | undefined;

  /**
   * @param size number of Workers, at least 1
   * @param sizes what images are decoded to, see {@linkcode decodeImage}
   */
  constructor(size: number, sizes: DecodeSizes) {
    this.#size = size;
    this.#sizes = sizes;
  }

  /**
   * Decodes files, in any order inside, results in the order of `files`.
   *
   * @throws DataError when a Worker itself fails or the pool is closed; a broken file is a result with a reason
   */
  decode(files: readonly FileRange[], use: ImageUse): Promise<DecodeResult[]> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (files.length === 0) return Promise.resolve([]);
    while (this.#workers.length < Math.min(this.#size, files.length)) this.#start();
    const id = this.#nextId++;
    const next = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const request: DecodeRequest = { id, files, use, sizes: this.#sizes, next };
    return new Promise((resolve, reject) => {
      this.#jobs.set(id, { results: new Array(files.length), missing: files.length, resolve, reject });
      for (const worker of this.#workers) worker.postMessage(request);
    });
  }

  /** Ends the Workers; what is still being decoded is rejected. */
  release(): void {
    this.#fail(new DataError("the image decoder was closed while images were still wanted"));
  }

  #start(): void {
    const worker = new Worker(new URL("./decode_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = (event: MessageEvent<DecodeReply>) => this.#receive(event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new DataError(`an image decoding Worker failed: ${event.message}`));
    };
    this.#workers.push(worker);
  }

  #receive(reply: DecodeReply): void {
    if ("failure" in reply) {
      const failure = reply.failure.split("\n", 2).join(": ");
      return this.#fail(
        new DataError(
          `the image decoding library (sharp) does not load: ${failure}; run \`deno install\`, with its native part ` +
            `allowed (--allow-ffi=node_modules)`,
        ),
      );
    }
    const job = this.#jobs.get(reply.id);
    if (!job) return; // rejected already, by a failure of the pool
    job.results[reply.position] = "reason" in reply ? { reason: reply.reason } : { image: reply.image };
    job.missing--;
    if (job.missing > 0) return;
    this.#jobs.delete(reply.id);
    job.resolve(job.results);
  }

  #fail(error: DataError): void {
    this.#failure ??= error;
    for (const worker of this.#workers.splice(0)) worker.terminate();
    const jobs = [...this.#jobs.values()];
    this.#jobs.clear();
    for (const job of jobs) job.reject(this.#failure);
  }
}
