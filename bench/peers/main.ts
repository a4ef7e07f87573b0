/** `deno task bench:peers`: the same work on Scion, jax-js and TensorFlow.js, on one adapter in one process. */
import { defineCommand, runCommand } from "../../src/cli/command.ts";
import { formatRate, formatTable } from "../../src/cli/format.ts";
import { UsageError } from "../../src/errors.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { jaxJs } from "./jax_js.ts";
import { measureRow } from "./measure.ts";
import { ours } from "./ours.ts";
import { rows } from "./rows.ts";
import { tfjs } from "./tfjs.ts";
import { torchTimes } from "./torch.ts";

/** One line of the comparison; a ratio is the peer's time over ours. */
interface ComparedRow {
  readonly name: string;
  readonly oursMs: number;
  readonly jaxJsMs: number | null;
  readonly tfjsMs: number | null;
  readonly torchMs: number | null;
  readonly ratioJaxJs: number | null;
  readonly ratioTfjs: number | null;
  readonly rounds: number;
  readonly notes: readonly string[];
}

interface Comparison {
  readonly adapter: string;
  /** Version and device of PyTorch, where it is installed. */
  readonly torch: string | null;
  readonly rows: readonly ComparedRow[];
  readonly geometricMeanJaxJs: number | null;
  readonly geometricMeanTfjs: number | null;
}

function geometricMean(ratios: readonly (number | null)[]): number | null {
  const known = ratios.filter((ratio) => ratio !== null);
  if (known.length === 0) return null;
  return Math.exp(known.reduce((sum, ratio) => sum + Math.log(ratio), 0) / known.length);
}

function chooseRows(only: readonly string[]): typeof rows {
  if (only.length === 0) return rows;
  for (const text of only) {
    if (rows.some(({ name }) => name.includes(text))) continue;
    throw new UsageError(
      `--only "${text}" is part of no row's name. Rows:\n${rows.map(({ name }) => `  ${name}`).join("\n")}`,
    );
  }
  return rows.filter(({ name }) => only.some((text) => name.includes(text)));
}

function formatComparison(comparison: Comparison): string {
  const time = (milliseconds: number | null) => milliseconds === null ? "n/a" : formatRate(milliseconds);
  const ratio = (value: number | null) => value === null ? "n/a" : `${value.toFixed(1)}x`;
  const { torch, rows } = comparison;
  const heading = [
    "milliseconds",
    "Scion",
    "jax-js",
    "tfjs",
    ...torch ? ["PyTorch"] : [],
    "jax-js/Scion",
    "tfjs/Scion",
    "rounds",
  ];
  const lines = rows.map((row) => [
    row.name,
    time(row.oursMs),
    time(row.jaxJsMs),
    time(row.tfjsMs),
    ...torch ? [time(row.torchMs)] : [],
    ratio(row.ratioJaxJs),
    ratio(row.ratioTfjs),
    String(row.rounds),
  ]);
  lines.push([
    "geometric mean",
    "",
    "",
    "",
    ...torch ? [""] : [],
    ratio(comparison.geometricMeanJaxJs),
    ratio(comparison.geometricMeanTfjs),
    "",
  ]);
  return [
    `WebGPU: ${comparison.adapter}${torch ? `; ${torch}` : ""}`,
    "",
    formatTable([heading, ...lines], "l" + "r".repeat(heading.length - 1)),
    ...rows.flatMap(({ name, notes }) => notes.map((note) => `${name}: ${note}`)),
  ].join("\n");
}

const peersCommand = defineCommand({
  name: "bench:peers",
  summary: "Compare with jax-js and TensorFlow.js on this adapter, and with PyTorch where it is installed",
  flags: {
    rounds: {
      type: "integer",
      minimum: 1,
      default: 5,
      placeholder: "N",
      description: "Measurements of each library that the medians are of; slow rows get fewer",
    },
    only: { type: "strings", placeholder: "TEXT", description: "Only rows with this in their name" },
  },
  examples: [
    "deno task bench:peers",
    'deno task bench:peers --only "3x3 64" --rounds 9 --json',
  ],
  async run({ flags, logger }): Promise<Comparison> {
    const chosen = chooseRows(flags.only);
    using gpu = await openGpu();
    const contenders = [ours(gpu), await jaxJs(), await tfjs()];
    const compared: ComparedRow[] = [];
    for (const [index, row] of chosen.entries()) {
      logger.status(`${index + 1} of ${chosen.length}: ${row.name}`);
      const { milliseconds: [oursMs, jaxJsMs, tfjsMs], rounds, notes } = await measureRow(
        row,
        contenders,
        flags.rounds,
      );
      compared.push({
        name: row.name,
        oursMs: oursMs!,
        jaxJsMs,
        tfjsMs,
        torchMs: null,
        ratioJaxJs: jaxJsMs && jaxJsMs / oursMs!,
        ratioTfjs: tfjsMs && tfjsMs / oursMs!,
        rounds,
        notes,
      });
    }
    logger.status("PyTorch");
    const torch = await torchTimes(chosen, flags.rounds);
    return {
      adapter: gpu.facts.description,
      torch: torch?.description ?? null,
      rows: compared.map((row) => ({ ...row, torchMs: torch?.milliseconds[row.name] ?? null })),
      geometricMeanJaxJs: geometricMean(compared.map(({ ratioJaxJs }) => ratioJaxJs)),
      geometricMeanTfjs: geometricMean(compared.map(({ ratioTfjs }) => ratioTfjs)),
    };
  },
  format: formatComparison,
});

if (import.meta.main) await runCommand(peersCommand);
