/** The flags of `deno task correlate`. */
import { tasks } from "../search/places.ts";
import { protocols } from "../studies/judge.ts";
import { dataFlag } from "./data_flag.ts";
import { checkpointFlag } from "./run_checkpoint.ts";

export const correlateFlags = {
  run: { type: "string", placeholder: "DIR", required: true, description: "Run folder of a pretraining" },
  checkpoint: checkpointFlag,
  subnets: {
    type: "integer",
    placeholder: "N",
    minimum: 3,
    default: 20,
    description: "Subnets, spread over the range of MACs; all where the space has fewer",
  },
  protocol: {
    type: "string",
    choices: protocols,
    default: "knn",
    description:
      "What a subnet is judged by: knn, with the configuration's own settings, or linear, a linear probe on pooled features",
  },
  data: dataFlag("Labelled images that classify, and are scored on", "those that the run was trained on"),
  testData: dataFlag("Labelled images that are classified", "those that the run held out"),
  task: {
    type: "string",
    choices: tasks,
    default: "classification",
    description: "What decides about the features that scores compare, as in search",
  },
  images: {
    type: "integer",
    placeholder: "N",
    minimum: 4,
    default: 512,
    description: "Images that candidates are scored on",
  },
  seeds: {
    type: "integer",
    placeholder: "N",
    minimum: 1,
    maximum: 8,
    default: 1,
    description:
      "From 2 on, pretrains the same again under the next seeds (in --out), to see how far two runs agree: no score can " +
      "expect more",
  },
  out: {
    type: "string",
    placeholder: "DIR",
    description:
      "Folder of the results (default: correlate in the run's folder); those of linear have names of their own there",
  },
  resume: { type: "boolean", description: "Go on with an interrupted correlation" },
} as const;
