/** Something that is missing or wrong. */
export interface Problem {
  /** A clause without a full stop. */
  readonly what: string;
  /** How to mend it, in sentences. */
  readonly mend: string;
}
