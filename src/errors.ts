/**
 * Every error that Scion raises on purpose. Each message says what was given, what is allowed and what to do;
 * the command line prints it without a stack trace and exits with {@linkcode ScionError.exitCode}.
 */
export abstract class ScionError extends Error {
  /** Exit status of a command that ends with this error: 2 for wrong usage or configuration, 1 for a failed run. */
  abstract readonly exitCode: 1 | 2;
  /** What the error is about, in a word, for whoever can say more about it: a command names its flags. */
  readonly about: string | undefined;

  constructor(message: string, options?: ErrorOptions & { readonly about?: string }) {
    super(message, options);
    this.about = options?.about;
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/** A wrong flag, a wrong flag value, or flags that do not go together. */
export class UsageError extends ScionError {
  readonly exitCode = 2;
}

/** A configuration field, an architecture or a data specification that cannot be used as it is written. */
export class ConfigurationError extends ScionError {
  readonly exitCode = 2;
}

/** Images, a checkpoint or a results file that cannot be read as what it should be. */
export class DataError extends ScionError {
  readonly exitCode = 1;
}

/** No adapter, a lost device, a validation error, out of memory, a kernel that does not compile. */
export class GpuError extends ScionError {
  readonly exitCode = 1;
}

/** More than the adapter binds or launches at once, or more memory than was allowed. */
export class DeviceLimitError extends GpuError {}

/** A sum that one launch cannot add up and that cannot be cut into several; see `gpu/limits.ts`. */
export class LoopLimitError extends GpuError {
  /**
   * @param kernel its name
   * @param turns what the loops of one invocation would make together
   * @param limit the most that they may make
   * @param sizes the launch's sizes, of which the large ones must shrink
   */
  constructor(
    readonly kernel: string,
    readonly turns: number,
    readonly limit: number,
    readonly sizes: Readonly<Record<string, number>>,
  ) {
    const large = Object.entries(sizes).filter(([, size]) => size > 1 && Number.isInteger(size))
      .sort(([, a], [, b]) => b - a).slice(0, 6).map(([name, size]) => `${name} ${size}`);
    super(
      `${kernel}.wgsl would loop ${turns} times in one invocation; at most ${limit}, because a software driver ends ` +
        `longer loops without a word. Make the largest of its sizes smaller: ${large.join(", ")}`,
    );
  }
}

/** Tensors whose shapes do not fit the operation; always a fault of the calling code. */
export class ShapeError extends ScionError {
  readonly exitCode = 1;
}

/** A gradient that is asked for where there is no way to it; always a fault of the calling code. */
export class GradientError extends ScionError {
  readonly exitCode = 1;
}

/** Something used after it was released, or released twice; always a fault of the calling code. */
export class LifetimeError extends ScionError {
  readonly exitCode = 1;
}

/** A loss that is not finite, or anything else that makes it pointless to go on training. */
export class TrainingError extends ScionError {
  readonly exitCode = 1;
}

/** MPI that is not there or does not work, or a rank of a distributed run that died, hangs or has other settings. */
export class DistributedError extends ScionError {
  readonly exitCode = 1;
}
