/** Rows that come one block after another: a matrix, and what is known of each of its rows. */

/** A list of texts, one of which belongs to each row. */
export interface TextColumn {
  /** What it is called in the file. */
  readonly name: string;
  readonly values: readonly string[];
  /** The vector that holds, for each row, the place of its text in `values`. */
  readonly by: string;
}

/** What a file of rows holds. */
export interface RowLayout {
  /** Name of the F32 matrix [rows, columns]. */
  readonly matrix: string;
  readonly columns: number;
  /** Names of the I32 vectors [rows]. */
  readonly vectors: readonly string[];
  readonly texts?: TextColumn | undefined;
  /** The most rows that can come. */
  readonly maximumRows: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Some rows. */
export interface RowBlock {
  /** [rows, columns]. */
  readonly values: Float32Array<ArrayBuffer>;
  /** For each vector of the layout, an entry per row. */
  readonly vectors: Readonly<Record<string, ArrayLike<number>>>;
}

/**
 * The text of each row.
 *
 * @param places entries of the vector `by`
 */
export function rowTexts({ values }: TextColumn, places: Int32Array): string[] {
  return Array.from(places, (place) => values[place]);
}
