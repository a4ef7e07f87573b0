/**
 * Reverse-mode differentiation. Every value on a tape is a node, a loss like a feature map: an operation records its
 * result, what it read, and how to turn the result's gradient into those of its inputs. `backward` walks the nodes from
 * last to first. That is all.
 *
 * Gradients end at the leaves: parameters that keep one, and watched tensors. An operation that reads nothing on the way
 * to a leaf is not recorded, so a frozen part of a network costs what inference costs. A view has no node of its own: its
 * gradient lies in the gradient of what it is a view of, at the same place.
 *
 * The tape also owns the results: recorded, with all that their gradients read, they live until their node has run
 * backwards; others until the `scope` in which they were made ends.
 */
import { GradientError, LifetimeError, ShapeError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { addConstant, addGradient, type GradientTarget } from "./gradient_target.ts";
import type { Parameter } from "./parameter.ts";
import { expectShape, Tensor } from "./tensor.ts";
import type { Shape } from "../shape.ts";

/** What an operation tells the tape about one of its results. */
export interface Recording {
  /** The operation's name, for messages. */
  readonly operation: string;
  /** Made by {@linkcode Tape.create}. */
  readonly result: Tensor;
  /** All that the result depends on. */
  readonly inputs: readonly (Tensor | Parameter | undefined)[];
  /** Tensors that only `backward` still needs, e.g. a batchnorm's statistics; released after it. */
  readonly saved?: readonly Tensor[];
  /** Receives the gradient of `result`, and asks {@linkcode Tape.gradientOf} for where to put each input's. */
  readonly backward: (gradResult: Tensor) => void;
}

/** Where backward starts: a scalar, whose gradient is 1, or a result with its gradient. */
export type GradientStart = Tensor | readonly [result: Tensor, gradient: Tensor];

/** Which recording tape a result belongs to, while it is on it. */
const tapes = new WeakMap<Tensor, Tape>();

const shapeOf = (input: Tensor | Parameter) =>
  input instanceof Tensor ? `a tensor of shape [${input.shape.join(", ")}]` : input.name;

/** Records operations and runs them backwards. */
export class Tape {
  readonly #nodes: Recording[] = [];
  /** What gradients flow to: recorded results and watched tensors. */
  readonly #differentiable = new Set<Tensor>();
  readonly #gradients = new Map<Tensor, Tensor>();
  /** What the running backward function has asked for. */
  readonly #reached = new Set<Tensor>();
  /** Owners of memory that the tape releases at the end of a scope, the innermost scope last. */
  readonly #scopes: Set<Tensor>[] = [new Set()];
  #released = false;

  /** @param recording false for inference: nothing is kept for a backward pass */
  constructor(readonly gpu: Gpu, readonly recording: boolean) {}

  /** A new result of an operation; the tape will release it. */
  create(shape: Shape): Tensor {
    this.#expectAlive();
    const tensor = Tensor.create(this.gpu, shape);
    this.#scopes.at(-1)!.add(tensor);
    return tensor;
  }

  /**
   * Puts a result on the tape, where a gradient has to flow through it.
   *
   * @throws {GradientError} when an input needs a gradient on another tape
   */
  record(node: Recording): void {
    this.#expectAlive();
    const { operation, result, inputs, saved = [] } = node;
    const needy = inputs.filter((input) => input && this.needsGradient(input, operation));
    if (needy.length === 0) {
      for (const tensor of saved) tensor.release();
      return;
    }
    this.#unscope(result);
    // What the first of its readers in the forward pass holds is released by the last one in the backward pass.
    const held = inputs.filter((input) => input instanceof Tensor && this.#unscope(input.root)) as Tensor[];
    this.#nodes.push({ ...node, saved: [...saved, ...held.map(({ root }) => root)] });
    this.#differentiable.add(result);
    tapes.set(result, this);
  }

  /** Refuses inputs that need a gradient, which the operation has none for, with a {@linkcode GradientError}. */
  expectConstants(operation: string, ...inputs: Tensor[]): void {
    for (const input of inputs) {
      if (!this.needsGradient(input, operation)) continue;
      throw new GradientError(
        `${operation} has no gradient for ${shapeOf(input)}, which needs one; detach it where none is wanted`,
      );
    }
  }

  /** Asks for the gradient of a tensor that no operation made, e.g. the images. Read it with {@linkcode take}. */
  watch(tensor: Tensor): void {
    if (!this.recording) throw new GradientError("a tape that does not record can watch no tensor");
    for (const other of this.#differentiable) {
      if (other.root === tensor.root) {
        throw new GradientError(`${shapeOf(tensor)} shares its memory with a value on the tape already`);
      }
    }
    this.#differentiable.add(tensor);
  }

  /**
   * Whether a gradient has to flow to an operation's input: then {@linkcode gradientOf} gives a place for it.
   *
   * @param operation for the message of the {@linkcode GradientError} for a value that needs a gradient on another tape
   */
  needsGradient(input: Tensor | Parameter, operation = "an operation"): boolean {
    if (!this.recording) return false;
    if (!(input instanceof Tensor)) return input.gradient !== undefined;
    if (this.#source(input)) return true;
    for (let at: Tensor | undefined = input; at && !at.detached; at = at.base) {
      if (tapes.has(at)) {
        throw new GradientError(
          `${operation}: ${shapeOf(input)} needs a gradient on another tape; detach it where none is wanted`,
        );
      }
    }
    return false;
  }

  /**
   * Where an operation's backward pass puts the gradient of an input, or undefined when nobody needs it.
   * @returns memory of the input's shape; the stored one for a parameter
   */
  gradientOf(input: Tensor | Parameter): GradientTarget | undefined {
    if (!this.recording) return undefined;
    if (!(input instanceof Tensor)) return input.gradient && { tensor: input.gradient, accumulate: true };
    const source = this.#source(input);
    if (!source) return undefined;
    this.#reached.add(source);
    const known = this.#gradients.get(source);
    const whole = input.length === source.length;
    const gradient = known ?? (whole ? Tensor.create : Tensor.zeros)(this.gpu, source.shape);
    this.#gradients.set(source, gradient);
    const start = (input.byteOffset - source.byteOffset) / 4;
    return {
      tensor: input === source ? gradient : gradient.slice(start, input.shape),
      accumulate: known !== undefined,
    };
  }

  /** Adds a gradient of an input's shape where {@linkcode gradientOf} has a place for it; the caller keeps it. */
  addGradient(input: Tensor | Parameter, gradient: Tensor): void {
    const target = this.gradientOf(input);
    if (target) addGradient(target, gradient);
  }

  /**
   * Runs all nodes backwards and forgets them.
   *
   * @param starts where gradients begin; several for one result add up. The caller keeps the gradients.
   * @throws {GradientError} where no gradient can flow
   */
  backward(...starts: GradientStart[]): void {
    this.#expectAlive();
    if (!this.recording) throw new GradientError("backward on a tape that does not record");
    for (const start of starts) this.#start(start);
    for (let node = this.#nodes.at(-1); node; node = this.#nodes.at(-1)) {
      const gradient = this.#gradients.get(node.result);
      if (gradient) this.#runBackwards(node, gradient);
      this.#nodes.pop();
      this.#gradients.delete(node.result);
      gradient?.release();
      this.#forget(node);
    }
  }

  /** The gradient of a watched tensor after {@linkcode backward}; the caller releases it. */
  take(tensor: Tensor): Tensor | undefined {
    const gradient = this.#gradients.get(tensor);
    this.#gradients.delete(tensor);
    return gradient;
  }

  /**
   * Runs part of a network. At its end everything made in it is released but its results and what the tape has recorded,
   * so that inference needs the memory of one block, not of the network.
   */
  scope<T extends Tensor | readonly Tensor[]>(part: () => T): T {
    const made = new Set<Tensor>();
    this.#scopes.push(made);
    try {
      const results = part();
      for (const { root } of results instanceof Tensor ? [results] : results as readonly Tensor[]) {
        if (made.delete(root)) this.#scopes.at(-2)!.add(root);
      }
      return results;
    } finally {
      this.#scopes.pop();
      for (const tensor of made) tensor.release();
    }
  }

  /** Releases a result that nothing else will read, before its scope ends. What is recorded stays until backward. */
  discard(tensor: Tensor): void {
    if (this.#unscope(tensor.root)) tensor.root.release();
  }

  /** Leaves a result to the caller, who releases it. Throws {@linkcode GradientError} where the tape still needs it. */
  keep(tensor: Tensor): Tensor {
    if (!this.#unscope(tensor)) {
      throw new GradientError(`${shapeOf(tensor)} is recorded on the tape, or not one of its results`);
    }
    return tensor;
  }

  /** Releases all that is left: a recording that was not run backwards, results, gradients that nobody took. */
  release(): void {
    this.#expectAlive();
    this.#released = true;
    for (const node of this.#nodes.splice(0)) this.#forget(node);
    for (const gradient of this.#gradients.values()) gradient.release();
    this.#gradients.clear();
    this.#differentiable.clear();
    for (const scope of this.#scopes) for (const tensor of scope) tensor.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** What holds the gradient of a tensor: itself or, for a view, what it is a view of. */
  #source(tensor: Tensor): Tensor | undefined {
    for (let at: Tensor | undefined = tensor; at; at = at.detached ? undefined : at.base) {
      if (this.#differentiable.has(at)) return at;
    }
    return undefined;
  }

  #start(start: GradientStart): void {
    const [result, gradient] = start instanceof Tensor ? [start] : start;
    if (gradient) expectShape("backward", "the gradient", gradient.shape, result.shape);
    else if (result.length !== 1) {
      throw new ShapeError(
        `backward from ${shapeOf(result)} needs its gradient; without one it takes a scalar`,
      );
    }
    const target = this.needsGradient(result, "backward") && this.gradientOf(result);
    if (!target) {
      throw new GradientError(
        `backward from ${shapeOf(result)}, which depends on nothing that has a gradient`,
      );
    }
    if (gradient) addGradient(target, gradient);
    else addConstant(target, 1);
  }

  #runBackwards({ operation, inputs, backward }: Recording, gradient: Tensor): void {
    this.#reached.clear();
    backward(gradient);
    for (const input of inputs) {
      const source = input instanceof Tensor ? this.#source(input) : undefined;
      if (source && !this.#reached.has(source)) {
        throw new GradientError(`${operation} gives ${shapeOf(source)} no gradient, which needs one`);
      }
    }
  }

  /** Releases a node's memory. */
  #forget({ result, saved = [] }: Recording): void {
    this.#differentiable.delete(result);
    tapes.delete(result);
    result.release();
    for (const tensor of saved) tensor.release();
  }

  /** Takes an owner of memory out of its scope; false when it is in none. */
  #unscope(root: Tensor): boolean {
    return this.#scopes.some((scope) => scope.delete(root));
  }

  #expectAlive(): void {
    if (this.#released) throw new LifetimeError("a tape was used after its release");
  }
}
