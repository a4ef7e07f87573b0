/**
 * Which variant of a kernel a launch takes. Without measurements it is the first of its list, the default of the
 * device's class. `deno task tune` measures the others where they are used, in whole training steps, and keeps the best
 * for each bucket of similar launches.
 */
import type { KernelConstants } from "./wgsl.ts";

/** One way to compute a launch. */
export interface KernelVariant {
  readonly kernel: string;
  readonly constants: KernelConstants;
  /** Workgroups. */
  readonly grid: readonly [number, number, number];
}

/** A variant's name: kernel and constants, nothing of the shape. */
export function variantName({ kernel, constants }: KernelVariant): string {
  return [kernel, ...Object.entries(constants).map(([name, value]) => `${name}=${value}`)].join(" ");
}

/** Numbers of a launch that decide about its speed, rounded up to powers of two, e.g. `3x3/1 64>64 32768`. */
export function shapeBucket(fixed: string, sizes: readonly number[]): string {
  return `${fixed} ${sizes.map((size) => 2 ** Math.ceil(Math.log2(Math.max(1, size)))).join(" ")}`;
}

/** The choices of one device. */
export class Tuning {
  #choices: ReadonlyMap<string, string> = new Map();
  /** While measuring: every launch takes this variant of its list, counted round and round. */
  #trial: number | undefined;
  #mostVariants = 0;

  /** Names of the chosen variants by bucket. */
  get choices(): ReadonlyMap<string, string> {
    return this.#choices;
  }

  /** Takes over measured choices. One that does not apply to a launch is passed over. */
  use(choices: ReadonlyMap<string, string>): void {
    this.#choices = choices;
  }

  /** Makes all launches take variant `trial` of their lists; undefined ends that. */
  set trial(trial: number | undefined) {
    this.#trial = trial;
  }

  /** Length of the longest list that was chosen from during trials. */
  get mostVariants(): number {
    return this.#mostVariants;
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
    if (this.#trial !== undefined) {
      this.#mostVariants = Math.max(this.#mostVariants, variants.length);
      const variant = variants[this.#trial % variants.length];
      return { variant, tag: `${bucket()}\n${variantName(variant)}` };
    }
    if (this.#choices.size === 0) return { variant: variants[0], tag: undefined };
    const chosen = this.#choices.get(bucket());
    const found = chosen === undefined
      ? undefined
      : variants.find((variant) => variantName(variant) === chosen);
    return { variant: found ?? variants[0], tag: undefined };
  }
}

/** Speed of a tagged variant: operations a second over all its launches. */
export interface TrialTime {
  readonly tag: string;
  readonly flops: number;
  readonly seconds: number;
}

/** For each bucket the variant with the most operations a second, and how much it gains over the slowest tried. */
export function bestVariants(times: readonly TrialTime[]): Map<string, { name: string; gain: number }> {
  const best = new Map<string, { name: string; rate: number; least: number }>();
  for (const { tag, flops, seconds } of times) {
    const [bucket, name] = tag.split("\n");
    const rate = flops / seconds;
    const known = best.get(bucket);
    if (!known) best.set(bucket, { name, rate, least: rate });
    else {
      known.least = Math.min(known.least, rate);
      if (rate > known.rate) Object.assign(known, { name, rate });
    }
  }
  return new Map([...best].map(([bucket, { name, rate, least }]) => [bucket, { name, gain: rate / least }]));
}
