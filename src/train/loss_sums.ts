/** Sums of the losses since the last metrics line: part of a run's state, so that a resumed run writes the same lines. */
import { z } from "zod";
import type { SandwichPass } from "../elastic/choice_space.ts";

/** Which losses a sum is of: those of one kind of pass, or of all. */
type Kind = SandwichPass["role"] | "all";

/** A sum in float64, and of how many losses. */
interface Sum {
  sum: number;
  count: number;
}

/** As JSON, each sum keeps all its bits. `terms`: of each term of the loss, by its name; absent where it has but one. */
export type StoredLossSums = Record<Kind, Sum> & { terms?: Record<string, Sum> | undefined };

const sumSchema: z.ZodType<Sum> = z.object({ sum: z.number(), count: z.int().min(0) });

/** What a checkpoint must hold. */
export const storedLossSums: z.ZodType<StoredLossSums> = z.object({
  all: sumSchema,
  largest: sumSchema,
  smallest: sumSchema,
  random: sumSchema,
  terms: z.record(z.string(), sumSchema).optional(),
});

function zeros(): StoredLossSums {
  const zero = () => ({ sum: 0, count: 0 });
  return { all: zero(), largest: zero(), smallest: zero(), random: zero() };
}

/** Adds losses up and gives their means. */
export class LossSums {
  #sums = zeros();

  /** Counts one pass's loss. */
  add(role: SandwichPass["role"], loss: number): void {
    for (const kind of ["all", role] as const) {
      this.#sums[kind].sum += loss;
      this.#sums[kind].count++;
    }
  }

  /** Counts one term of one pass's loss. */
  addTerm(name: string, loss: number): void {
    const term = (this.#sums.terms ??= {})[name] ??= { sum: 0, count: 0 };
    term.sum += loss;
    term.count++;
  }

  /** Mean of each term over all passes, by name; undefined where there are none. */
  get terms(): Record<string, number> | undefined {
    const { terms } = this.#sums;
    return terms &&
      Object.fromEntries(Object.entries(terms).map(([name, { sum, count }]) => [name, sum / count]));
  }

  /** Mean of the losses of one kind; undefined when there was none. */
  mean(kind: Kind): number | undefined {
    const { sum, count } = this.#sums[kind];
    return count === 0 ? undefined : sum / count;
  }

  /** Starts anew. */
  clear(): void {
    this.#sums = zeros();
  }

  /** What a checkpoint stores. */
  toJSON(): StoredLossSums {
    return this.#sums;
  }

  /** Takes over what a checkpoint stored. */
  restore(stored: StoredLossSums): void {
    this.#sums = structuredClone(stored);
  }
}
