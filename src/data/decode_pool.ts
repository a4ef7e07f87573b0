import { DataError } from "../errors.ts";
import type { DecodeReply, DecodeRequest } from "./decode_worker.ts";
import type { DecodedImage } from "./source.ts";

/** A decoded image, or the reason why the file cannot be used. */
export type DecodeResult = { image: DecodedImage } | { reason: string };

interface Job {
  request: DecodeRequest;
  resolve(result: DecodeResult): void;
  reject(error: Error): void;
}

/** Requests that a Worker holds at once: it reads one file while the library's thread decodes another. */
const requestsPerWorker = 2;

/** A fixed number of decoding Workers, started at the first use. */
export class DecodePool {
  readonly #size: number;
  readonly #shorterSide: number;
  readonly #workers: { worker: Worker; running: number }[] = [];
  readonly #waiting: Job[] = [];
  readonly #running = new Map<number, Job>();
  #nextId = 0;
  #failure: DataError | undefined;

  /**
   * @param size number of Workers, at least 1
   * @param shorterSide what images are shrunk to, see {@linkcode decodeImage}
   */
  constructor(size: number, shorterSide: number) {
    this.#size = size;
    this.#shorterSide = shorterSide;
  }

  /**
   * Decodes files, in any order inside, results in the order of `paths`.
   *
   * @throws DataError when a Worker itself fails or the pool is closed; a broken file is a result with a reason
   */
  decode(paths: readonly string[]): Promise<DecodeResult[]> {
    if (this.#failure) return Promise.reject(this.#failure);
    while (this.#workers.length < Math.min(this.#size, paths.length)) this.#start();
    const results = paths.map((path) =>
      new Promise<DecodeResult>((resolve, reject) => {
        const request = { id: this.#nextId++, path, shorterSide: this.#shorterSide };
        this.#waiting.push({ request, resolve, reject });
      })
    );
    this.#dispatch();
    return Promise.all(results);
  }

  /** Ends the Workers; what is still being decoded is rejected. */
  close(): void {
    this.#fail(new DataError("the image decoder was closed while images were still wanted"));
  }

  #start(): void {
    const worker = new Worker(new URL("./decode_worker.ts", import.meta.url), { type: "module" });
    const entry = { worker, running: 0 };
    worker.onmessage = (event: MessageEvent<DecodeReply>) => {
      const reply = event.data;
      if ("failure" in reply) {
        const { failure } = reply;
        return this.#fail(
          new DataError(
            `the image decoding library (sharp) does not load: ${failure.split("\n", 2).join(": ")}; run ` +
              `\`deno install\`, with its native part allowed (--allow-ffi)`,
          ),
        );
      }
      const job = this.#running.get(reply.id);
      if (!job) return; // rejected already, by a failure of the pool
      this.#running.delete(reply.id);
      entry.running--;
      if ("reason" in reply) job.resolve({ reason: reply.reason });
      else job.resolve({ image: { width: reply.width, height: reply.height, pixels: reply.pixels } });
      this.#dispatch();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new DataError(`an image decoding Worker failed: ${event.message}`));
    };
    this.#workers.push(entry);
  }

  #dispatch(): void {
    for (let round = 0; round < requestsPerWorker; round++) {
      for (const entry of this.#workers) {
        if (entry.running > round) continue;
        const job = this.#waiting.shift();
        if (!job) return;
        this.#running.set(job.request.id, job);
        entry.running++;
        entry.worker.postMessage(job.request);
      }
    }
  }

  #fail(error: DataError): void {
    this.#failure ??= error;
    for (const { worker } of this.#workers.splice(0)) worker.terminate();
    const jobs = [...this.#running.values(), ...this.#waiting.splice(0)];
    this.#running.clear();
    for (const job of jobs) job.reject(this.#failure);
  }
}
