/** Detection: the sum of a detector's losses, each with weight 1. */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { DetectorNetwork } from "../../nn/detection/detector_network.ts";
import { detectorLosses } from "../../nn/detection/losses.ts";
import type { DetectorSettings } from "../../nn/detection/settings.ts";
import type { GivenValues } from "../../nn/encoder.ts";
import type { Network } from "../../nn/network.ts";
import { add } from "../../tensor/ops/elementwise.ts";
import { Tape } from "../../tensor/tape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { NetworkObjective } from "../network_objective.ts";
import type { ObjectiveInput } from "../objective.ts";

/** What detection is built with. */
export interface DetectionDefinition {
  readonly settings: DetectorSettings;
  /** Whether the backbone's batchnorm stays what it is. */
  readonly frozenBatchnorm: boolean;
  /** Of the heads' weights, and of the anchors and regions that are drawn. */
  readonly seed: number;
}

/** A backbone with a detector, both trained. */
export class Detection extends NetworkObjective<DetectorNetwork> {
  readonly terms: readonly ("objectness" | "proposals" | "classes" | "boxes" | "masks")[];

  /** Allocates; {@linkcode initialise} or a checkpoint gives it values. */
  constructor(gpu: Gpu, network: Network, readonly definition: DetectionDefinition) {
    const { settings, frozenBatchnorm } = definition;
    super(new DetectorNetwork(gpu, network, settings, true, frozenBatchnorm), "network.");
    this.terms = ["objectness", "proposals", "classes", "boxes", ...settings.masks ? ["masks" as const] : []];
  }

  /** The backbone's values, which must be given, and new heads. */
  async initialise(given: GivenValues = new Map()): Promise<void> {
    await this.encoder.initialise(this.definition.seed, given);
  }

  /** @param input with `objects`; one architecture, the network's only one */
  async record({ views: [{ images }], losses, terms, objects }: ObjectiveInput): Promise<void> {
    const { gpu, encoder, definition: { seed } } = this;
    if (!objects) throw new ShapeError("detection needs objects");
    await gpu.stream.breathe();
    using tape = new Tape(gpu, true);
    const pass = encoder.pass({ tape, training: true });
    const features = encoder.features(pass, images);
    const found = await detectorLosses(encoder.detector, pass, features, objects, { seed, step: this.step });
    const parts: Tensor[] = [];
    this.terms.forEach((name, term) => {
      const loss = found[name];
      if (loss) parts.push(loss);
      if (!terms) return;
      const place = terms.slice(term, []);
      if (loss) gpu.stream.copy(loss, place);
      // Without any region nothing is said of them.
      else gpu.stream.clear(place);
    });
    const sum = parts.reduce((total, part) => add(tape, total, part));
    gpu.stream.copy(sum, losses.slice(0, []));
    tape.backward(sum);
    await gpu.stream.breathe();
  }
}
