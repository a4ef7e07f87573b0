/** A comparison's results in its file: what is judged there is not judged again. */
import { z } from "zod";
import { DataError } from "../../errors.ts";
import { writeFileAtomically } from "../../store/atomic_file.ts";
import { version } from "../../version.ts";
import { type Protocol, protocols } from "../judge.ts";
import { type Compared, withoutRight } from "./compare.ts";
import type { ComparedMethod } from "./summary.ts";

/** A row of a comparison that judged by kNN alone, at the end of its runs. */
const olderRow = z.object({
  method: z.string(),
  size: z.string(),
  arch: z.string(),
  macs: z.number(),
  seed: z.number(),
  run: z.string(),
  knn: z.number(),
  seconds: z.number(),
});
const row = olderRow.extend({ epoch: z.number(), linear: z.number() });
const bits = z.string().regex(/^[01]+$/);
const shape = z.object({
  rows: z.array(z.union([row, olderRow])),
  curve: z.array(row).default([]),
  /** By run, then by size: whether each test image was classified right. */
  right: z.record(z.string(), z.record(z.string(), z.object({ knn: bits, linear: bits }))).default({}),
});

/**
 * Reads what was judged before; nothing where there is no file. Rows that are not judged by every protocol are left out.
 *
 * @throws {DataError} for a file that is none of a comparison
 */
export async function readComparison(path: string): Promise<Compared> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { rows: [], curve: [] };
    throw error;
  }
  try {
    const { rows, curve, right } = shape.parse(JSON.parse(text));
    return {
      rows: rows.flatMap((row) => {
        const known = right[row.run]?.[row.size];
        if (!known || !("linear" in row)) return [];
        const [knn, linear] = protocols.map((protocol) => Uint8Array.from(known[protocol], Number));
        return [{ ...row, right: { knn, linear } }];
      }),
      curve,
    };
  } catch (cause) {
    throw new DataError(`${path} is damaged. Remove it: the runs beside it are judged again.`, { cause });
  }
}

/**
 * Writes what is judged by now.
 *
 * @param methods the summary; empty before all is judged
 */
export async function saveComparison(
  path: string,
  { rows, curve }: Compared,
  methods: readonly ComparedMethod[],
): Promise<void> {
  const right: Record<string, Record<string, Record<Protocol, string>>> = {};
  for (const { run, size, right: { knn, linear } } of rows) {
    (right[run] ??= {})[size] = { knn: knn.join(""), linear: linear.join("") };
  }
  const content = { version, rows: rows.map(withoutRight), curve, methods, right };
  await writeFileAtomically(path, JSON.stringify(content, null, 1) + "\n");
}
