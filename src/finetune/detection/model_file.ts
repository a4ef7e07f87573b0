/** A trained detector as a file: weights under torchvision's names. */
import { formatMetadata, type ModelInput } from "../../extract/model.ts";
import type { DetectorNetwork } from "../../nn/detection/detector_network.ts";
import { joinWeights } from "../../nn/detection/torchvision_names.ts";
import { type TensorOf, writeSafetensors } from "../../store/safetensors.ts";

/** What a file says of a detector. */
export interface DetectorDescription {
  readonly task: string;
  readonly head: string;
  readonly input: ModelInput;
  /** Without background. */
  readonly classes: readonly string[];
}

/**
 * Writes `.safetensors` with the names of torchvision's detectors: `backbone.body.…`, `backbone.fpn.…`, `rpn.…`, `roi_heads.…`.
 *
 * @throws {DataError} when the file system refuses
 */
export async function writeDetector(
  path: string,
  detector: DetectorNetwork,
  { task, head, input, classes }: DetectorDescription,
): Promise<void> {
  const { gpu, network, weights, statistics } = detector;
  const named = [...weights.values.entries(), ...statistics.arena.entries()];
  const contents = await gpu.read(...named.map(([, tensor]) => tensor));
  const host = named.map(([name, { shape }], at): [string, TensorOf<"F32">] => [
    name,
    { dtype: "F32", shape, data: new Float32Array(contents[at]) },
  ]);
  const ofBackbone = ([name]: [string, unknown]) =>
    detector.ofBackbone(name) || /\.running_(mean|var)$/.test(name);
  const joined = joinWeights({
    backbone: new Map(host.filter(ofBackbone)),
    heads: new Map(host.filter((entry) => !ofBackbone(entry))),
  });
  await writeSafetensors(path, [...joined] as [string, TensorOf<"F32">][], {
    ...formatMetadata({ network, input, calibration: undefined }),
    format: "scion-detection-1",
    task,
    head,
    classes: JSON.stringify(classes),
  });
}
