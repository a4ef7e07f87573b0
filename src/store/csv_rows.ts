/** Rows as comma-separated values (RFC 4180), in UTF-8. */
import { writeAll, writeAtomically } from "./atomic_file.ts";
import type { RowBlock } from "./rows.ts";

/** What stands in the columns. */
export interface CsvLayout {
  /** Names of the columns before the numbers. */
  readonly leading: readonly string[];
  /** Numbers of a row; their columns are f0, f1, …. */
  readonly columns: number;
  /** The cells before the numbers, of a row of a block. */
  cells(block: RowBlock, row: number): readonly (string | number)[];
}

function cell(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Nine digits, which are enough to give single precision back exactly. */
function number(value: number): string {
  return String(Number(value.toPrecision(9)));
}

/** The first line of a file. */
export function csvHead({ leading, columns }: Pick<CsvLayout, "leading" | "columns">): string {
  return [...leading, ...Array.from({ length: columns }, (_, index) => `f${index}`)].join(",");
}

/**
 * Writes a file atomically while its rows come; nothing of them is kept. When `blocks` throws, there is no file.
 *
 * @returns the number of rows
 * @throws {DataError} when the file system refuses
 */
export async function writeCsvRows(
  path: string,
  layout: CsvLayout,
  blocks: AsyncIterable<RowBlock> | Iterable<RowBlock>,
): Promise<number> {
  const { columns } = layout;
  const encoder = new TextEncoder();
  let rows = 0;
  await writeAtomically(path, async (file) => {
    await writeAll(file, encoder.encode(csvHead(layout) + "\n"));
    for await (const block of blocks) {
      const count = block.values.length / columns;
      const lines = Array.from({ length: count }, (_, row) => {
        const values = Array.from(block.values.subarray(row * columns, (row + 1) * columns), number);
        return [...layout.cells(block, row).map(cell), ...values].join(",") + "\n";
      });
      await writeAll(file, encoder.encode(lines.join("")));
      rows += count;
    }
  });
  return rows;
}
