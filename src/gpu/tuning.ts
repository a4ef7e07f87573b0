/**
 * Which variant of a kernel a launch takes. Without measurements it is the first of its list, the default of the
 * device's class. `deno task tune` measures the others where they are used, in whole training steps, and keeps the best
 * for each bucket of similar launches.
 */
import type { Kernel } from "./kernel.ts";
import type { KernelConstants } from "./wgsl.ts";

/** One way to compute a launch. */
export interface KernelVariant {
  readonly kernel: Kernel;
  readonly constants: KernelConstants;
  /** Workgroups. */
  readonly grid: readonly [number, number, number];
}

/** A variant's name: kernel and constants, nothing of the shape. */
export function variantName({ kernel, constants }: KernelVariant): string {
  return [kernel.name, ...Object.entries(constants).map(([name, value]) => `${name}=${value}`)].join(" ");
}

/** Numbers of a launch that decide about its speed, rounded up to powers of two, e.g. `3x3/1 64>64 32768`. */
export function shapeBucket(fixed: string, sizes: readonly number[]): string {
  return `${fixed} ${sizes.map((size) => 2 ** Math.ceil(Math.log2(Math.max(1, size)))).join(" ")}`;
}

/** What the profiler counts a launch of a variant under during trials: bucket and name. */
export interface VariantTag {
  readonly bucket: string;
  readonly name: string;
}

const separator = "\n";

/** A tag as one text. */
function writeTag({ bucket, name }: VariantTag): string {
  return bucket + separator + name;
}

/** The tag that {@linkcode Tuning.choose} gave; undefined for any other text. */
export function readTag(text: string): VariantTag | undefined {
  const [bucket, name] = text.split(separator);
  return name === undefined ? undefined : { bucket, name };
}

/** The choices of one device. */
export class Tuning {
  #choices: ReadonlyMap<string, string> = new Map();
  #trial: number | undefined;
  #mostVariants = 0;
  readonly #defaults = new Map<string, string>();
  readonly #dropped = new Set<string>();

  /** Names of the chosen variants by bucket. */
  get choices(): ReadonlyMap<string, string> {
    return this.#choices;
  }

  /** Takes over measured choices. One that does not apply to a launch is passed over. */
  use(choices: ReadonlyMap<string, string>): void {
    this.#choices = choices;
  }

  /**
   * Makes every launch without a choice take variant `trial` of its list, counted round and round; undefined ends that.
   * Trial 0, the default, begins a round.
   */
  set trial(trial: number | undefined) {
    this.#trial = trial;
    if (trial === 0) this.#mostVariants = 0;
  }

  /** Length of the longest list that was chosen from in this round of trials. */
  get mostVariants(): number {
    return this.#mostVariants;
  }

  /** Names of the default variants of the buckets that were met in trials. */
  get defaults(): ReadonlyMap<string, string> {
    return this.#defaults;
  }

  /** Leaves a variant out of further trials. The default of a launch stays. */
  drop(tag: VariantTag): void {
    this.#dropped.add(writeTag(tag));
  }

  /**
   * The variant for a launch.
   *
   * @param bucket names the launch's bucket; called only when it matters
   * @param variants those that apply, the default first
   * @returns the variant, and during trials the tag under which the profiler shall count it
   */
  choose(
    bucket: () => string,
    variants: readonly KernelVariant[],
  ): { variant: KernelVariant; tag: string | undefined } {
    const [standard] = variants;
    if (this.#trial === undefined && this.#choices.size === 0) return { variant: standard, tag: undefined };
    const named = bucket();
    const chosen = this.#choices.get(named);
    if (this.#trial === undefined || chosen !== undefined) {
      const found = variants.find((variant) => variantName(variant) === chosen);
      return { variant: found ?? standard, tag: undefined };
    }
    if (!this.#defaults.has(named)) this.#defaults.set(named, variantName(standard));
    const tagOf = (variant: KernelVariant) => writeTag({ bucket: named, name: variantName(variant) });
    const open = variants.filter((variant) => variant === standard || !this.#dropped.has(tagOf(variant)));
    this.#mostVariants = Math.max(this.#mostVariants, open.length);
    const variant = open[this.#trial % open.length];
    return { variant, tag: tagOf(variant) };
  }
}
