/** What the commands say at their end: what to do next, ready to be pasted into a shell. */
import { basename, dirname, join } from "@std/path";
import { cheapestOfGain, frontier, type Scored, sufficientShare } from "../search/frontier.ts";
import { commandLine, shellWord } from "../shell.ts";
import type { Context } from "./command.ts";
import type { Flags } from "./flags.ts";
import { formatCount, formatQuantity } from "./format.ts";

type Next = Context<Flags>["next"];

/** Spaces up to this size are ranked whole. */
const wholeSpace = 1000;

/** After a pretraining: rank the subnets. */
export function nextAfterPretrain(next: Next, run: string, architectures: number): void {
  const all = architectures <= wholeSpace;
  const which = all
    ? `the ${formatCount(architectures)} subnets`
    : `subnets, 100 of each group of MACs among ${formatCount(architectures)}`;
  next(`Next, rank ${which}:`, commandLine("search", { run, all }));
}

/**
 * After a search: cut out the subnet that the report recommends, or those of the frontier.
 *
 * @param ranking path of `ranking.json`
 * @param candidates those that one is recommended of, at least one
 * @param chosen where these are the bests of groups, by a preference or a time budget, and that as it was given
 */
export function nextAfterSearch(
  next: Next,
  run: string,
  ranking: string,
  candidates: readonly Scored[],
  chosen?: { readonly latency: string | undefined },
): void {
  const ascending = frontier(candidates);
  const { arch, macs, score } = cheapestOfGain(ascending, sufficientShare);
  const largest = ascending.at(-1)!;
  const figures = `${formatQuantity(macs)} MACs, score ${score.toFixed(4)}`;
  const why = ascending.length === 1
    ? `the cheapest of those ranked, and none scores higher (${figures})`
    : `the cheapest that makes ${100 * sufficientShare} % of the gain in score, from ${
      ascending[0].score.toFixed(4)
    } to ${largest.score.toFixed(4)} (${figures})`;
  next(
    `Next, cut out ${arch}, ${why}. A score is likeness to the largest, not accuracy:`,
    commandLine("extract", { run, arch, out: `${arch}.safetensors`, loader: true }),
  );
  const from = ranking === join(run, "search", "ranking.json") ? undefined : ranking;
  const several = chosen
    ? candidates.length > 1 && {
      what: `the best of each of the ${candidates.length} groups`,
      flags: { "best-per-group": true },
    }
    : ascending.length > 1 && {
      what: `all ${ascending.length} that no cheaper one outdoes`,
      flags: { frontier: true },
    };
  const latency = chosen?.latency;
  next(
    several ? `or ${several.what}; or the best within a budget:` : "or the best within a budget:",
    ...(several
      ? [commandLine("extract", { run, from, ...several.flags, latency, out: "models", loader: true })]
      : []),
    commandLine("extract", {
      ...{ run, from, best: true },
      ...(latency === undefined ? { macs: `..${roundBudget(macs)}` } : { latency }),
      out: "best.onnx",
    }),
  );
}

/** A budget as one would say it, that the architecture still fits. */
function roundBudget(macs: number): string {
  const [scale, unit] = ([[1e9, "G"], [1e6, "M"], [1e3, "K"]] as const).find(([size]) => macs >= size) ??
    [1, ""];
  return `${Math.ceil(macs / scale * 10) / 10}${unit}`;
}

/** A model that was written. */
interface WrittenModel {
  readonly file: string;
  /** Its loader, where one was written. */
  readonly loader: string | null;
}

/**
 * After an extraction: how to load the model, the first of several.
 *
 * @param again the same extraction with `--loader`
 * @param data specification of the images to embed, or several
 */
export function nextAfterExtract(
  next: Next,
  { file, loader }: WrittenModel,
  imageSize: number,
  again: string,
  data: string | readonly string[],
): void {
  if (file.endsWith(".onnx")) {
    next(
      `Next, run it with ONNX Runtime (pip install onnxruntime):`,
      `python3 -c ${
        shellWord(
          `import numpy, onnxruntime; model = onnxruntime.InferenceSession(${pythonText(file)}); ` +
            `print(model.run(["features"], {"images": numpy.zeros((1, 3, ${imageSize}, ${imageSize}), "float32")})[0].shape)`,
        )
      }`,
    );
  } else if (loader === null) {
    next("Next, for PyTorch: write a module beside it that builds the network and loads the weights:", again);
  } else {
    const folder = dirname(loader);
    const path = folder === "." ? "" : `import sys; sys.path.insert(0, ${pythonText(folder)}); `;
    next(
      "Next, load it in PyTorch (pip install torch), or show its features (of images, whose files may follow):",
      `python3 -c ${shellWord(`${path}from ${basename(loader, ".py")} import load; print(load())`)}`,
      `python3 ${shellWord(loader)}`,
    );
  }
  next(
    "or write the features of many images:",
    commandLine("embed", { model: file, data, out: "features.npz" }),
  );
}

/** After an embedding: what is in the file, and how to read it. */
export function nextAfterEmbed(next: Next, file: string, tensors: readonly string[]): void {
  if (file.endsWith(".csv")) {
    next(
      "Columns: file, label, f0, f1, …. Read it in Python (pip install pandas):",
      `python3 -c ${shellWord(`import pandas; print(pandas.read_csv(${pythonText(file)}).head())`)}`,
    );
    return;
  }
  const module = file.endsWith(".npz") ? "numpy" : "safetensors.numpy";
  const open = file.endsWith(".npz") ? "numpy.load" : "safetensors.numpy.load_file";
  next(
    `It holds ${tensors.join(", ")}. Read it in Python (pip install ${module.split(".")[0]}):`,
    `python3 -c ${
      shellWord(
        `import ${module}; data = ${open}(${
          pythonText(file)
        }); print({name: data[name].shape for name in data})`,
      )
    }`,
  );
}

/** A text as a Python literal. */
function pythonText(text: string): string {
  return JSON.stringify(text);
}
