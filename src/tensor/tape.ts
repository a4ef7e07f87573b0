/**
 * Reverse-mode differentiation. A forward operation records one node: its result and how to turn the result's gradient
 * into those of its inputs. `backward` walks the nodes from last to first. That is all.
 *
 * The tape also owns the intermediate results: in a recording tape they live until their node has run backwards; in a
 * tape that does not record they live until the `scope` in which they were made ends.
 */
import type { Gpu } from "../gpu/device.ts";
import { type Shape, Tensor } from "./tensor.ts";

/** Memory for a gradient: `accumulate` says whether it already holds a contribution that must be added to. */
export interface GradientTarget {
  tensor: Tensor;
  accumulate: boolean;
}

interface Node {
  result: Tensor;
  saved: readonly Tensor[];
  backward: (gradResult: Tensor) => void;
}

/** Records operations and runs them backwards. */
export class Tape {
  readonly #nodes: Node[] = [];
  readonly #gradients = new Map<Tensor, Tensor>();
  /** Tensors that a gradient is kept for: results of recorded operations and watched inputs. */
  readonly #differentiable = new Set<Tensor>();
  #scope: Tensor[] = [];

  /** @param recording false for inference: nothing is kept for a backward pass */
  constructor(readonly gpu: Gpu, readonly recording: boolean) {}

  /** A new result of an operation; the tape will release it. */
  create(shape: Shape): Tensor {
    const tensor = Tensor.create(this.gpu, shape);
    if (!this.recording) this.#scope.push(tensor);
    return tensor;
  }

  /**
   * Declares that `result` (made by {@linkcode create}) can be differentiated.
   * @param saved tensors that only `backward` still needs, e.g. a batchnorm's statistics; released after it
   * @param backward receives the gradient of `result`; asks {@linkcode gradientOf} for where to put its own
   */
  record(result: Tensor, backward: (gradResult: Tensor) => void, saved: readonly Tensor[] = []): void {
    if (this.recording) {
      this.#nodes.push({ result, saved, backward });
      this.#differentiable.add(result);
    } else this.#scope.push(...saved);
  }

  /** Asks for the gradient of a tensor that no operation made, e.g. the images. Read it with {@linkcode take}. */
  watch(tensor: Tensor): void {
    this.#differentiable.add(tensor);
  }

  /**
   * Where an operation's backward pass puts the gradient of its input, or undefined when nobody needs it (an input
   * that no recorded operation made).
   */
  gradientOf(input: Tensor): GradientTarget | undefined {
    const known = this.#gradients.get(input);
    if (known) return { tensor: known, accumulate: true };
    if (!this.#differentiable.has(input)) return undefined;
    const tensor = Tensor.create(this.gpu, input.shape);
    this.#gradients.set(input, tensor);
    return { tensor, accumulate: false };
  }

  /**
   * Runs all nodes backwards and forgets them.
   * @param gradients the gradient of each final result; the tape takes them over
   */
  backward(...gradients: [result: Tensor, gradient: Tensor][]): void {
    for (const [result, gradient] of gradients) this.#gradients.set(result, gradient);
    for (let node = this.#nodes.at(-1); node; node = this.#nodes.at(-1)) {
      const gradient = this.#gradients.get(node.result);
      if (gradient) node.backward(gradient);
      this.#nodes.pop();
      for (const tensor of node.saved) tensor.release();
      this.#gradients.delete(node.result);
      this.#differentiable.delete(node.result);
      gradient?.release();
      node.result.release();
    }
  }

  /** The gradient of a watched tensor after {@linkcode backward}; the caller releases it. */
  take(tensor: Tensor): Tensor | undefined {
    const gradient = this.#gradients.get(tensor);
    this.#gradients.delete(tensor);
    return gradient;
  }

  /**
   * Runs part of a network. Without recording, everything made in it except its results is released at its end, so
   * that inference needs the memory of one block, not of the network.
   */
  scope<T extends Tensor | readonly Tensor[]>(part: () => T): T {
    if (this.recording) return part();
    const outer = this.#scope;
    this.#scope = [];
    const result = part();
    const kept = new Set<Tensor>(result instanceof Tensor ? [result] : result as readonly Tensor[]);
    for (const tensor of this.#scope) {
      if (kept.has(tensor)) outer.push(tensor);
      else tensor.release();
    }
    this.#scope = outer;
    return result;
  }

  /** Releases a result that inference has no further use for, before its scope ends. Recordings keep it for later. */
  discard(tensor: Tensor): void {
    const index = this.#scope.indexOf(tensor);
    if (index < 0) return;
    this.#scope.splice(index, 1);
    tensor.release();
  }

  /** Releases all that is left: a recording that was not run backwards, results of inference, watched gradients. */
  release(): void {
    for (const { result, saved } of this.#nodes.splice(0)) {
      for (const tensor of saved) tensor.release();
      result.release();
    }
    for (const gradient of this.#gradients.values()) gradient.release();
    this.#gradients.clear();
    this.#differentiable.clear();
    for (const tensor of this.#scope.splice(0)) tensor.release();
  }
}
