/** What subnets of a run are worth: kNN and a linear probe on the same features. Labels are used here. */
import { dataSeed } from "../config/data_seed.ts";
import type { Config } from "../config/schema.ts";
import type { Architecture } from "../elastic/architecture.ts";
import type { FeatureKind } from "../evaluate/features.ts";
import { knnClasses, type LabelledFeatures } from "../evaluate/knn.ts";
import { linearDefaults, linearProbe } from "../evaluate/linear.ts";
import type { KnnImages, LabelledImages } from "../pretrain/run_data.ts";
import { WatchedFeatures, type WatchedState } from "../pretrain/watched_features.ts";

/** Ways of judging frozen features: a vote of the nearest neighbours, a linear classifier on the pooled features. */
export const protocols = ["knn", "linear"] as const;

/** One of {@linkcode protocols}. */
export type Protocol = typeof protocols[number];

/** How protocols are called in tables. */
export const protocolNames: Readonly<Record<Protocol, string>> = { knn: "kNN", linear: "linear probe" };

/** Features of the labelled images of a run, of one kind. */
interface JudgedFeatures {
  readonly bank: LabelledFeatures;
  readonly queries: LabelledFeatures;
}

/** Judges subnets of one network by the labelled images of its run. */
export class Judge {
  readonly #features: WatchedFeatures;

  /**
   * @param config its `training.seed` chooses the images that batchnorm statistics are taken from; its data's seed the
   * validation split of the linear probe
   */
  constructor(readonly state: WatchedState, readonly config: Config, readonly images: KnnImages) {
    this.#features = new WatchedFeatures(state, config, images.bank);
  }

  /**
   * Whether a subnet, with batchnorm statistics of its own, classifies each query right (1) by each protocol. The images
   * run through it once for all protocols that look at the same features.
   *
   * @param signal ends the work with its reason
   */
  async rightOf<Asked extends Protocol>(
    architecture: Architecture,
    asked: readonly Asked[],
    signal?: AbortSignal,
  ): Promise<Record<Asked, Uint8Array<ArrayBuffer>>> {
    const kindOf = (protocol: Protocol): FeatureKind =>
      protocol === "linear" ? "pooled" : this.config.knn.features;
    const cached = new Map<FeatureKind, JudgedFeatures>();
    await this.#features.recalibrated(architecture, async (statistics) => {
      for (const kind of new Set(asked.map(kindOf))) {
        const labelled = async (images: LabelledImages): Promise<LabelledFeatures> => {
          const features = await this.#features.read(architecture, images, statistics, kind);
          return { ...features, labels: Int32Array.from(features.indices, (index) => images.labels[index]) };
        };
        cached.set(kind, {
          bank: await labelled(this.images.bank),
          queries: await labelled(this.images.queries),
        });
      }
    });
    const right = {} as Record<Asked, Uint8Array<ArrayBuffer>>;
    for (const protocol of asked) {
      const features = cached.get(kindOf(protocol))!;
      const classes = await this.#classes(protocol, features, signal);
      right[protocol] = Uint8Array.from(classes, (one, row) => Number(one === features.queries.labels[row]));
    }
    return right;
  }

  async #classes(
    protocol: Protocol,
    { bank, queries }: JudgedFeatures,
    signal?: AbortSignal,
  ): Promise<Int32Array> {
    if (protocol === "knn") return await knnClasses(this.state.gpu, bank, queries, this.config.knn);
    const settings = { ...linearDefaults, seed: dataSeed(this.config) };
    return (await linearProbe(bank, queries, settings, signal)).predictions;
  }
}
