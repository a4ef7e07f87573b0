/** The flags of `deno task evaluate`, and what they say together. */
import { UsageError } from "../errors.ts";
import { fullDefaults, semiDefaults } from "../finetune/settings.ts";
import { sgdProbeDefaults } from "../evaluate/sgd_probe.ts";
import { linearDefaults } from "../evaluate/linear.ts";
import { type Protocol, protocols, TuningProtocol } from "../studies/evaluate/protocols.ts";
import { dataFlag } from "./data_flag.ts";
import { encoderFlag } from "./encoder_flag.ts";
import type { FlagValues } from "./flags.ts";
import { checkpointFlag } from "./run_checkpoint.ts";

export const evaluateFlags = {
  run: { type: "string", placeholder: "DIR", description: "Run folder of a pretraining" },
  checkpoint: checkpointFlag,
  arch: {
    type: "strings",
    placeholder: "ARCH",
    description: "With --run: max, min, a name from the configuration, or an id (default: min and max)",
  },
  from: {
    type: "string",
    placeholder: "FILE",
    description:
      "With --run: a search's ranking.json to choose from with one of the next four flags (default: search/ranking.json " +
      "in the run folder)",
  },
  best: { type: "boolean", description: "The ranked architecture with the highest score" },
  top: {
    type: "integer",
    placeholder: "N",
    minimum: 1,
    description: "The N with the highest scores of all; with --best-per-group the N best of each group",
  },
  bestPerGroup: { type: "boolean", description: "The best of each group of MACs" },
  frontier: { type: "boolean", description: "All that score higher than every cheaper one" },
  model: {
    type: "strings",
    placeholder: "FILE",
    description: 'In place of --run: a .safetensors that "deno task extract" wrote',
  },
  encoder: encoderFlag,
  protocol: {
    type: "string",
    choices: protocols,
    default: "linear",
    description:
      "knn: a vote of the nearest training images; linear: multinomial logistic regression on frozen features, its " +
      "regularisation chosen on a validation split; semi: the network fine-tuned with --fraction of the labels; finetune: " +
      "with all",
  },
  data: dataFlag("Labelled images to train on", "with --run, all that it was trained on"),
  testData: dataFlag("Labelled images to test on, none of the former", "with --run, those that it held out"),
  fraction: {
    type: "number",
    placeholder: "PART",
    minimum: 0.0001,
    maximum: 1,
    description: "semi: part of the labels, the same number of every class (default: 0.1)",
  },
  neighbours: {
    type: "integer",
    placeholder: "K",
    minimum: 1,
    description: "knn: neighbours that vote (default: the run's knn.neighbours; 20 with --model)",
  },
  temperature: {
    type: "number",
    placeholder: "T",
    minimum: 0.001,
    description: "knn: a vote counts exp(cosine / T) (default: the run's knn.temperature; 0.1 with --model)",
  },
  features: {
    type: "string",
    choices: ["pooled", "projection"],
    description: "knn: which features are compared (default: pooled); projection with --run only",
  },
  solver: {
    type: "string",
    choices: ["lbfgs", "sgd"],
    description:
      "linear: lbfgs, on standardised features, nothing to tune (default); or sgd, the published descent of 100 epochs",
  },
  epochs: {
    type: "integer",
    placeholder: "N",
    minimum: 1,
    description: `semi, finetune: epochs of fine-tuning (default: ${semiDefaults.epochs})`,
  },
  batch: {
    type: "integer",
    placeholder: "N",
    minimum: 2,
    description:
      `semi, finetune: images of a step, an eighth of the training images at most (default: ${semiDefaults.batch})`,
  },
  learningRates: {
    type: "string",
    placeholder: "A,B,…",
    description:
      `semi, finetune: learning rates of the network to choose from (default: ${semiDefaults.learningRates.join()}; finetune: ${fullDefaults.learningRates.join()})`,
  },
  headFactors: {
    type: "string",
    placeholder: "A,B,…",
    description:
      `semi, finetune: factors of the classifier's learning rate to choose from (default: ${semiDefaults.headFactors.join()}; finetune: ${fullDefaults.headFactors.join()})`,
  },
  calibrate: {
    type: "integer",
    placeholder: "N",
    minimum: 0,
    description:
      "Training images to take batchnorm statistics from, without their labels; 0 keeps the network's own (default: 2048; " +
      "a --model keeps its own unless it is fine-tuned)",
  },
  baselines: {
    type: "boolean",
    description: "knn, linear: also judge raw pixels, and untrained networks of the same architectures",
  },
  seed: {
    type: "integer",
    placeholder: "N",
    minimum: 0,
    maximum: 0xffff_ffff,
    default: 1,
    description:
      "Seed of splits, subsets, new classifiers and synthetic images; those to test on are others than those to train on",
  },
  out: {
    type: "string",
    placeholder: "DIR",
    description:
      "Folder for results.jsonl, report.html and fine-tuned models (default: evaluate-PROTOCOL in the run's folder, or " +
      "beside the first model)",
  },
  resume: {
    type: "boolean",
    description: "Go on with an interrupted evaluation of the same settings in --out",
  },
} as const;

/** Values of {@linkcode evaluateFlags}. */
export type EvaluateFlags = FlagValues<typeof evaluateFlags>;

/** Flags of one protocol or another, by the name that they are typed with. */
const own = {
  knn: ["neighbours", "temperature", "features"],
  linear: ["solver"],
  semi: ["fraction", "epochs", "batch", "learningRates", "headFactors"],
  finetune: ["epochs", "batch", "learningRates", "headFactors"],
} as const satisfies Record<EvaluateFlags["protocol"], readonly (keyof EvaluateFlags)[]>;

/**
 * Checks the flags against each other.
 *
 * @throws {UsageError} naming the flags that do not go together
 */
export function checkEvaluateFlags(flags: EvaluateFlags): void {
  const { run, model, protocol, data, testData, arch, from, best, top, bestPerGroup, frontier } = flags;
  const refuse = (message: string): never => {
    throw new UsageError(message);
  };
  if ((run === undefined) === (model.length === 0)) {
    refuse("Give either --run DIR, a pretraining, or --model FILE, one or several models.");
  }
  const onnx = model.find((path) => path.toLowerCase().endsWith(".onnx"));
  if (onnx !== undefined) {
    refuse(
      `--model ${onnx} is ONNX, whose features "deno task embed" writes; give the .safetensors that ` +
        '"deno task extract" wrote.',
    );
  }
  const twice = model.find((path, at) => model.indexOf(path) < at);
  if (twice !== undefined) refuse(`--model ${twice} is given twice.`);
  const ofRuns = Object.entries({
    "--checkpoint": flags.checkpoint !== undefined,
    "--arch": arch.length > 0,
    "--from": from !== undefined,
    "--best": best,
    "--top": top !== undefined,
    "--best-per-group": bestPerGroup,
    "--frontier": frontier,
    "--encoder momentum": flags.encoder === "momentum",
    "--features projection": flags.features === "projection",
  }).filter(([, given]) => given);
  if (run === undefined && ofRuns.length > 0) refuse(`${ofRuns[0][0]} goes with --run only.`);
  if ((data.length > 0) !== (testData.length > 0)) {
    refuse("Give both --data and --test-data, or with --run neither.");
  }
  if (run === undefined && data.length === 0) refuse("--model needs --data and --test-data.");
  if (
    data.join("\n") === testData.join("\n") && data.length > 0 &&
    !data.every((spec) => spec.startsWith("synthetic"))
  ) {
    refuse(
      `--data and --test-data are the same images (${
        data.join(", ")
      }). Test on others than those that are trained on.`,
    );
  }
  for (const [name, given] of Object.entries(own) as [EvaluateFlags["protocol"], readonly string[]][]) {
    for (const flag of given) {
      const value = flags[flag as keyof EvaluateFlags];
      const allowed: readonly string[] = own[protocol];
      if (value === undefined || allowed.includes(flag)) continue;
      const typed = flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      refuse(`--${typed} goes with --protocol ${name} only, and the protocol is ${protocol}.`);
    }
  }
  if (flags.baselines && "fraction" in protocolOf(flags, undefined)) {
    refuse("--baselines goes with --protocol knn and linear only.");
  }
  if (flags.calibrate === 1) {
    refuse("--calibrate cannot be 1: batchnorm statistics need at least 2 images; 0 takes none.");
  }
  if (flags.calibrate === 0 && "fraction" in protocolOf(flags, undefined)) {
    refuse("--calibrate 0 keeps statistics that no longer fit a fine-tuned network. Give at least 2 images.");
  }
}

/** How the flags judge; what they leave open is the run's. */
export function protocolOf(
  flags: EvaluateFlags,
  run: { readonly neighbours: number; readonly temperature: number } | undefined,
): Protocol {
  const { protocol, seed } = flags;
  if (protocol === "knn") {
    const { neighbours = run?.neighbours ?? 20, temperature = run?.temperature ?? 0.1 } = flags;
    return { kind: "knn", settings: { neighbours, temperature }, features: flags.features ?? "pooled" };
  }
  if (protocol === "linear") {
    return flags.solver === "sgd"
      ? { kind: "linear", solver: "sgd", settings: { ...sgdProbeDefaults, seed } }
      : { kind: "linear", solver: "lbfgs", settings: { ...linearDefaults, seed } };
  }
  const defaults = protocol === "semi" ? semiDefaults : fullDefaults;
  const { epochs = defaults.epochs, batch = defaults.batch, fraction = 0.1 } = flags;
  return new TuningProtocol(protocol, protocol === "semi" ? fraction : 1, {
    ...defaults,
    epochs,
    batch,
    seed,
    learningRates: numbersOf("--learning-rates", flags.learningRates) ?? defaults.learningRates,
    headFactors: numbersOf("--head-factors", flags.headFactors) ?? defaults.headFactors,
  });
}

function numbersOf(flag: string, text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  const values = text.split(",").map((one) => one.trim() === "" ? NaN : Number(one));
  if (values.every((value) => Number.isFinite(value) && value > 0)) return values;
  throw new UsageError(`${flag} cannot be "${text}". Allowed: numbers above 0, separated by commas.`);
}
