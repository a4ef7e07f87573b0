/** Which features of a network are compared: what the downstream task consumes. */
import { UsageError } from "../errors.ts";
import { type ElasticNetwork, tapNames } from "../elastic/network.ts";
import type { SimilarityOptions } from "./similarity/options.ts";

/** What the subnet is meant for. */
export const tasks = ["classification", "detection", "instances", "segmentation"] as const;
/** One of {@linkcode tasks}. */
export type Task = typeof tasks[number];

/** Measures of similarity by name. */
export const metrics = [
  "cosine",
  "affinity",
  "cka",
] as const satisfies readonly SimilarityOptions["metric"][];
/** One of {@linkcode metrics}. */
export type Metric = typeof metrics[number];

/** A place of the network whose features are compared. */
export interface Place {
  /** A tap's own name for its map, e.g. `c2`; `pooled`; `projection`. */
  readonly name: string;
  readonly kind: "map" | "pooled" | "projection";
  /** The tap that it is made of. */
  readonly tap: string;
}

/** The published measure for a task: cosine of projections, or self-affinity of maps. */
export function defaultMetric(task: Task): Metric {
  return task === "classification" ? "cosine" : "affinity";
}

/** All places of a network, in the order in which a forward pass meets them. */
export function allPlaces(network: ElasticNetwork): Place[] {
  const taps = tapNames(network);
  const last = taps[taps.length - 1];
  return [
    ...taps.map((tap): Place => ({ name: tap, kind: "map", tap })),
    { name: "pooled", kind: "pooled", tap: last },
    { name: "projection", kind: "projection", tap: last },
  ];
}

/**
 * What a metric can compare. Widths of candidates differ from the teacher's everywhere but in the projection, so that
 * the cosine has the projection alone; self-affinity needs positions.
 */
function comparable(metric: Metric, { kind }: Place): boolean {
  return metric === "cka" || (metric === "cosine" ? kind === "projection" : kind === "map");
}

/** Places by task: the maps that an FPN, or a PSPNet with its auxiliary head, reads; or what a classifier reads. */
function taskPlaces(task: Task, metric: Metric, places: readonly Place[]): Place[] {
  const maps = places.filter(({ kind }) => kind === "map");
  if (task === "detection" || task === "instances") return maps;
  if (task === "segmentation") return maps.slice(-2);
  if (metric === "affinity") return maps.slice(-1);
  return places.filter((place) => place.kind !== "map" && comparable(metric, place));
}

/**
 * The places to compare.
 *
 * | task | metric | places |
 * |---|---|---|
 * | classification | cosine | the projection |
 * | classification | cka | the pooled last stage, the projection |
 * | classification | affinity | the map of the last stage |
 * | detection, instances | affinity, cka | the maps of all stages, C2-C5 |
 * | segmentation | affinity, cka | the maps of the last two stages, C4-C5 |
 *
 * @param stages names to take in place of the task's, e.g. `c4,c5`
 * @throws {UsageError} for unknown names, or places that the metric cannot compare
 */
export function choosePlaces(
  network: ElasticNetwork,
  task: Task,
  metric: Metric,
  stages?: string,
): Place[] {
  const all = allPlaces(network);
  const chosen = stages === undefined ? taskPlaces(task, metric, all) : namedPlaces(stages, all);
  const wrong = chosen.find((place) => !comparable(metric, place));
  if (!wrong) return chosen;
  const reason = metric === "cosine"
    ? "candidates of other widths than the teacher compare by cosine in their projection only"
    : "self-affinity needs feature maps";
  throw new UsageError(
    `The metric ${metric} cannot compare ${wrong.name}${
      stages === undefined ? ` (of the task ${task})` : ""
    }: ${reason}. ` +
      `Use ${metric === "cosine" ? "affinity or cka" : "cka"}, or other stages.`,
    { about: "places" },
  );
}

function namedPlaces(text: string, all: readonly Place[]): Place[] {
  const names = new Set(text.split(",").map((name) => name.trim()));
  for (const name of names) {
    if (all.some((place) => place.name === name)) continue;
    throw new UsageError(
      `There is no stage "${name}". Allowed, separated by commas: ${all.map(({ name }) => name).join(", ")}.`,
    );
  }
  return all.filter(({ name }) => names.has(name));
}
