/** A long test that injects faults at random and counts what came of them. */

/** What became of a campaign's faults. */
export interface CampaignResult {
  /** What was injected, e.g. "random kills". */
  readonly name: string;
  readonly injected: number;
  /** Faults after which the program went on, recovered, or refused with a message that names the fault. */
  readonly survived: number;
  /** Faults after which data was lost, or a wrong number came without a word. */
  readonly lost: number;
}

/** One of the campaigns that `deno task test:faults` runs, exported as `campaign` by a file of `campaigns/`. */
export type Campaign = () => Promise<CampaignResult>;
