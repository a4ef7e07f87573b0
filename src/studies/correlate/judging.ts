/** What judges subnets, and how frozen ones are: by kNN or a linear probe. */
import { sourceName } from "../../config/data_source.ts";
import type { Config } from "../../config/schema.ts";
import type { Architecture } from "../../elastic/architecture.ts";
import { UsageError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import { openEncoder } from "../../pretrain/encoder_file.ts";
import { openRunData } from "../../pretrain/run_data.ts";
import type { DataRecord } from "../../store/data_record.ts";
import { Judge, type Protocol } from "../judge.ts";
import type { Outcome } from "./outcome.ts";

/** A way of judging, with its labelled images opened. */
export interface Judging {
  /** Images that judge or train, that are judged by, and whatever else decides about results. */
  readonly facts: Readonly<Record<string, string | number>>;
  /** Labelled images that subnets are tested on. */
  readonly testImages: number;
  /**
   * Opens a checkpoint, to judge its subnets.
   *
   * @param seed which one it is, from 0
   */
  open(checkpoint: string, seed: number): Promise<SubnetJudge>;
  release(): void;
}

/** Judges subnets of one checkpoint. */
export interface SubnetJudge {
  /** @throws the signal's reason when it is interrupted */
  outcomeOf(architecture: Architecture, signal: AbortSignal): Promise<Outcome>;
  release(): void;
}

/** Which images vote and which are classified. */
export interface FrozenJudgingRequest {
  readonly protocol: Protocol;
  /** The run's configuration with these images. */
  readonly evaluation: Config;
  /** Of the run, where those are its own images. */
  readonly record: DataRecord | undefined;
  onWarning(text: string): void;
}

/** Judges frozen features. @throws {UsageError} without labelled images to judge by */
export async function openFrozenJudging(
  gpu: Gpu,
  { protocol, evaluation, record, onWarning }: FrozenJudgingRequest,
): Promise<Judging> {
  const earlier = record && { record, acceptChanges: false };
  const data = await openRunData(gpu, evaluation, { onWarning }, earlier);
  const { knn } = data;
  if (!knn) {
    data.release();
    throw new UsageError(
      `There are no labelled images to judge subnets by: ${
        sourceName(evaluation.data.source)
      } has no labels, or the run held none out.`,
      { about: "labels" },
    );
  }
  const [bank, queries] = [knn.bank.indices.length, knn.queries.indices.length];
  return {
    facts: { bank, queries },
    testImages: queries,
    async open(checkpoint) {
      const { encoder } = await openEncoder(gpu, checkpoint, "encoder_q");
      const { space } = encoder.network;
      const judge = new Judge({ gpu, space, encoder }, evaluation, knn);
      return {
        async outcomeOf(architecture, signal) {
          const judged = await judge.rightOf(architecture, [protocol], signal);
          return { kind: "right", right: judged[protocol].join("") };
        },
        release: () => encoder.release(),
      };
    },
    release: () => data.release(),
  };
}
