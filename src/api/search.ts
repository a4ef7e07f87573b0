/**
 * Ranking subnets without labels, and what is made of the best: features, evaluation, plain weights.
 * @module
 */

export { type RankHooks, type RankOutcome, type RankRequest, rankSubnets } from "../search/rank_subnets.ts";
export type { ScoreHooks, ScoreRequest, SearchImages, SearchStart } from "../search/scoring.ts";
export {
  mergeShards,
  type NamedShard,
  scoreShard,
  type ShardOutcome,
  type ShardSums,
} from "../search/shards.ts";
export type { ShardOf } from "../search/split.ts";
export {
  type RankedScores,
  type RankRules,
  rankScores,
  type RankSession,
  type ScoredTree,
} from "../search/rank_scores.ts";
export type { Interval } from "../search/intervals.ts";
export type { Preference } from "../search/preference.ts";
export type { Latency } from "../search/latency.ts";
export type { RankedCandidate, RankedGroup, Ranking } from "../search/ranking.ts";
export { choosePlaces, type Metric, type Place, type Task } from "../search/places.ts";
export type { BatchnormMode } from "../search/runner.ts";
export { OtherSearchError, type SavedSearch, type SearchSettings } from "../search/saved_search.ts";
export { recalibrate } from "../evaluate/calibrate.ts";
export { extractFeatures, type FeatureKind, type FeatureMatrix } from "../evaluate/features.ts";
export { knnAccuracy, type KnnSettings, type LabelledFeatures } from "../evaluate/knn.ts";
export { linearDefaults, linearProbe, type LinearResult, type LinearSettings } from "../evaluate/linear.ts";
export { type SimilarityMetric } from "../search/similarity/metric.ts";
export { similarityMetric, type SimilarityOptions, tableFormat } from "../search/similarity/options.ts";
export { type PreparedTeacher } from "../search/similarity/teacher.ts";
export type { CkaEstimator, CkaSamples } from "../search/similarity/cka.ts";
export { ScoreTable, type TableFormat } from "../search/similarity/score_table.ts";

export type { ImageRequest } from "../data/chosen_images.ts";
export type { PlainWeights } from "../extract/cut.ts";
export { writeFeatures } from "../extract/embed.ts";
export { type FeatureNetwork, pooledFeatures } from "../extract/feature_network.ts";
export { type CalibrationImages, extractSubnet } from "../extract/extract.ts";
export type { Calibration, ModelDescription, ModelInput, PlainModel } from "../extract/model.ts";
export { openModel, readModel, type RunnableModel, uploadModel, writeModel } from "../extract/model_file.ts";
export { type FrozenNetwork, openModelNetwork, openRunNetwork } from "../extract/network.ts";
export { writeOnnxModel } from "../extract/onnx_model.ts";
