/** The report of a pretraining run, from what the run left. */
import { sourceName } from "../config/data_source.ts";
import { hasQueue } from "../config/objective.ts";
import type { Config } from "../config/schema.ts";
import { formatArchitecture } from "../elastic/architecture.ts";
import { macs, parameters } from "../elastic/costs.ts";
import type { Gpu } from "../gpu/device.ts";
import { configuredNetwork } from "../nn/configured_network.ts";
import type { PretrainOutcome } from "../pretrain/pretrain.ts";
import { renderPretrainReport } from "../report/pretrain_report.ts";
import { writeFileAtomically } from "../store/atomic_file.ts";
import { version } from "../version.ts";
import { lossName, objectiveSettings } from "./teacher.ts";

/** Writes `report.html` into the folder of a run that has ended, or was stopped. */
export async function writeReport(
  gpu: Gpu,
  { folder, config, images, classes, neighbours, steps, epochs, seconds }: PretrainOutcome,
): Promise<void> {
  const network = configuredNetwork(config);
  const { space } = network;
  const cost = (architecture: typeof space.max) => ({
    arch: formatArchitecture(architecture),
    macs: macs(network, architecture, config.data.imageSize),
    params: parameters(network, architecture),
  });
  const page = await renderPretrainReport({
    config,
    metrics: await folder.readMetrics(),
    neighbours,
    summary: {
      title: folder.path,
      version,
      device: gpu.facts.description,
      data: { spec: sourceName(config.data.source), images, classes },
      imageSize: config.data.imageSize,
      lossName: lossName(config),
      space: { architectures: space.size, smallest: cost(space.min), largest: cost(space.max) },
      steps,
      epochs,
      seconds,
      queue: hasQueue(config) ? config.moco.queue : undefined,
      settings: describeSettings(config),
    },
  });
  await writeFileAtomically(folder.reportPath, page);
}

function describeSettings(config: Config): [string, string][] {
  const { initialisation, training, optimizer } = config;
  return [
    ["initial weights", initialisation.weights ?? "new"],
    ["batch", String(training.batch)],
    ["learning rate", `${optimizer.learningRate}, ${optimizer.schedule}`],
    ["weight decay", String(optimizer.weightDecay)],
    ...objectiveSettings(config),
    ["seed", String(training.seed)],
  ];
}
