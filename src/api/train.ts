/**
 * Training: objectives, optimisers, steps, whole runs with their folders and checkpoints.
 * @module
 */

export { loadConfig, loadSettings, parseConfig, parseSettings } from "../config/load.ts";
export type { Override } from "../config/overrides.ts";
export type { Config, Settings } from "../config/schema.ts";
export { loadCheckpoint, openCheckpoint, saveCheckpoint } from "../pretrain/checkpoint.ts";
export { openEncoder } from "../pretrain/encoder_file.ts";
export { type PlanOptions, planRun, type RunPlan } from "../pretrain/dry_run.ts";
export { type InitialWeights, readInitialWeights } from "../pretrain/init/initial_weights.ts";
export {
  type PretrainHooks,
  type PretrainOutcome,
  type ResumeOptions,
  resumeRun,
  startRun,
} from "../pretrain/pretrain.ts";
export { PretrainState } from "../pretrain/state.ts";
export type { StreamOrders } from "../pretrain/stream_orders.ts";
export { Distillation, type DistillationDefinition } from "../train/distillation/distillation.ts";
export { type TeacherOptions, TeacherTerm } from "../train/distillation/teacher_term.ts";
export {
  type MocoCompany,
  type MocoDefinition,
  type MocoOptions,
  MomentumContrast,
} from "../train/moco/moco.ts";
export type { LossTerm } from "../train/term.ts";
export type {
  EncoderObjective,
  NamedSource,
  Objective,
  ObjectiveInput,
  ViewBatch,
  ViewOrder,
} from "../train/objective.ts";
export { type Optimizer, type ParameterGroup, Sgd, type SgdOptions } from "../train/optimizer.ts";
export { learningRate, type Schedule } from "../train/schedule.ts";
export { recordStep, type StepInput, type Trained } from "../train/step.ts";
export type { StepTimes } from "../train/step_times.ts";
export type { TrainingObserver, TrainingResult } from "../train/trainer.ts";
export { RunFolder, type StoredConfig } from "../store/run_folder.ts";
export type {
  AgreementMetrics,
  EvaluationMetrics,
  KnnMetrics,
  MetricsLine,
  SpreadMetrics,
  StepMetrics,
} from "../store/metrics.ts";
export type { Dtype, DtypeArrays, TensorOf } from "../store/safetensors_header.ts";
