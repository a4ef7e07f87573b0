/** Intervals of all candidates, and which of them cannot be told from the best of their group. */
import { formatArchitecture } from "../elastic/architecture.ts";
import { indistinguishable, type Interval, intervalOf, type ResampledScores } from "./intervals.ts";
import { membersOf, type Ranking } from "./ranking.ts";
import type { PrefixTree } from "./tree.ts";

/** Candidates between two looks at whether to go on. */
const comparedAtOnce = 512;

/** What resampled images say about the candidates of a ranking. */
export class Ties {
  /** By architecture. */
  readonly intervals: ReadonlyMap<string, Interval>;
  readonly #intervals = new Map<string, Interval>();
  readonly #scores: ResampledScores;
  /** Place in the tree, by architecture. */
  readonly #places: ReadonlyMap<string, number>;
  /** Highest of its group, by architecture. */
  readonly #highest = new Map<string, string>();
  /** Those that cannot be told from their group's highest. */
  readonly #tied = new Set<string>();
  /** Resampled scores of those that others are compared with. */
  readonly #compared = new Map<string, Float64Array>();

  private constructor(ranking: Ranking, architectures: readonly string[], scores: ResampledScores) {
    this.intervals = this.#intervals;
    this.#scores = scores;
    this.#places = new Map(architectures.map((arch, place) => [arch, place]));
    for (const group of ranking.groups) {
      for (const { arch } of membersOf(ranking, group)) this.#highest.set(arch, group.highest);
    }
  }

  /**
   * Compares all candidates, half a millisecond each.
   *
   * @param ranking best scores first within each group
   * @param signal ends the work, now and then
   * @returns undefined when it was ended
   */
  static async of(
    ranking: Ranking,
    { candidates }: Pick<PrefixTree, "candidates">,
    scores: ResampledScores,
    signal: AbortSignal,
  ): Promise<Ties | undefined> {
    const architectures = candidates.map(formatArchitecture);
    const ties = new Ties(ranking, architectures, scores);
    // In the order of the tree, in which neighbours share most of their places.
    for (const [place, arch] of architectures.entries()) {
      ties.#compare(arch, place);
      if (place % comparedAtOnce !== comparedAtOnce - 1) continue;
      await new Promise((resolve) => setTimeout(resolve));
      if (signal.aborted) return undefined;
    }
    return ties;
  }

  #compare(arch: string, place: number): void {
    const own = this.#scores.of(place);
    const highest = this.#highest.get(arch)!;
    this.#intervals.set(arch, intervalOf(own));
    if (arch === highest || indistinguishable(own, this.#of(highest))) this.#tied.add(arch);
  }

  /** Whether the scores of two candidates cannot be told apart. */
  tied(one: string, other: string): boolean {
    if (this.#highest.get(one) === other) return this.#tied.has(one);
    return one === other || indistinguishable(this.#scores.of(this.#places.get(one)!), this.#of(other));
  }

  #of(arch: string): Float64Array {
    let scores = this.#compared.get(arch);
    if (!scores) this.#compared.set(arch, scores = this.#scores.of(this.#places.get(arch)!));
    return scores;
  }
}
