/** The objective that a configuration asks for. */
import { contrastWeight, hasQueue, needsTargets, targetDimension } from "../config/objective.ts";
import type { Config } from "../config/schema.ts";
import type { Gpu } from "../gpu/device.ts";
import type { HeadDefinition } from "../nn/encoder.ts";
import type { Network } from "../nn/network.ts";
import { Distillation } from "../train/distillation/distillation.ts";
import { teacherHead, type TeacherOptions, TeacherTerm } from "../train/distillation/teacher_term.ts";
import { MomentumContrast } from "../train/moco/moco.ts";
import type { EncoderObjective } from "../train/objective.ts";

function teacherOptions(config: Config): TeacherOptions {
  const { distillation: { weight }, moco: { batchnormGroups } } = config;
  return { features: needsTargets(config) ? targetDimension(config) : "self", weight, batchnormGroups };
}

/**
 * Momentum contrast; with a teacher distillation, or both.
 * @throws {ConfigurationError} while the dimension of the teacher's features is not known
 */
export function configuredObjective(gpu: Gpu, network: Network, config: Config): EncoderObjective {
  const { head, initialisation, moco, training: { seed }, distillation } = config;
  if (distillation.teacher === null) {
    return new MomentumContrast(gpu, network, { head, initialisation, moco, seed });
  }
  const teacher = teacherOptions(config);
  if (hasQueue(config)) {
    return new MomentumContrast(gpu, network, { head, initialisation, moco, seed }, {
      term: new TeacherTerm(gpu, network, teacher),
      weight: contrastWeight(config),
    });
  }
  const { momentum, batchnormGroups } = moco;
  return new Distillation(gpu, network, { teacher, initialisation, momentum, batchnormGroups, seed });
}

/**
 * The heads of a run's encoders, in the order of their weights. The first one is the projection, by which subnets are
 * compared: momentum contrast's or, where a teacher is learned from alone, the layer to the teacher's features.
 */
export function configuredHeads(network: Network, config: Config): readonly HeadDefinition[] {
  if (config.distillation.teacher === null) return [config.head];
  const teacher = teacherHead(network, teacherOptions(config));
  return hasQueue(config) ? [config.head, teacher] : [teacher];
}
