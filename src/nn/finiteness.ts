/** Whether all weights, statistics and what else a run consists of are finite, and which tensor is not. */
import type { Gpu } from "../gpu/device.ts";
import { findNonfinite, firstNonfinite } from "../tensor/ops/find_nonfinite.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Arena } from "./arena.ts";

/** A range of memory that is looked at in one launch, and what lies where in it. */
interface Part {
  readonly tensor: Tensor;
  nameOf(element: number): string;
}

function* partsOf(prefix: string, source: Arena | Tensor): Generator<Part> {
  if (source instanceof Tensor) {
    yield { tensor: source, nameOf: () => prefix };
    return;
  }
  for (const [chunk, tensor] of source.chunks.entries()) {
    yield {
      tensor,
      nameOf(element) {
        const [name] = [...source.layout.placements].findLast(([, place]) =>
          place.chunk === chunk && place.start <= element
        )!;
        return `${prefix}${name}`;
      },
    };
  }
}

/** Looks for values that are not finite: one read of the memory on the device, a few bytes back to the host. */
export class FinitenessCheck {
  readonly #parts: Part[];
  /** A word for each part; read it back together with whatever else is read, and give it to {@linkcode interpret}. */
  readonly found: Tensor;

  /** @param sources arenas, with a prefix for their tensors' names, and tensors under their names; not owned */
  constructor(readonly gpu: Gpu, sources: readonly (readonly [name: string, source: Arena | Tensor])[]) {
    this.#parts = sources.flatMap(([name, source]) => [...partsOf(name, source)]);
    this.found = Tensor.zeros(gpu, [this.#parts.length]);
  }

  /** Records the search over what everything recorded before leaves. */
  record(): void {
    this.gpu.stream.clear(this.found);
    this.#parts.forEach(({ tensor }, slot) => findNonfinite(this.gpu, tensor, this.found, slot));
  }

  /**
   * @param bytes contents of {@linkcode found}
   * @returns names of tensors that hold NaN or infinity, the first of each part
   */
  interpret(bytes: ArrayBuffer): string[] {
    return [...new Uint32Array(bytes)].flatMap((word, slot) => {
      const { tensor, nameOf } = this.#parts[slot];
      const element = firstNonfinite(word, tensor.length);
      return element === undefined ? [] : [nameOf(element)];
    });
  }

  /** Records, waits, and returns the names as {@linkcode interpret}. */
  async run(): Promise<string[]> {
    this.record();
    const [bytes] = await this.gpu.read(this.found);
    return this.interpret(bytes);
  }

  /** Gives the memory of the result back. */
  release(): void {
    this.found.release();
  }
}

/** Names of tensors as the subject of a message, with its verb: `queue is`, `encoder_q.conv1.weight, queue are`. */
export function tensorsAre(names: readonly string[]): string {
  if (names.length > 3) return `${names.slice(0, 3).join(", ")} and others are`;
  return `${names.join(", ")} ${names.length === 1 ? "is" : "are"}`;
}
