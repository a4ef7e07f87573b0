/** The objective that a configuration asks for. */
import { contrastWeight, hasQueue, needsTargets, targetDimension } from "../config/objective.ts";
import type { Config } from "../config/schema.ts";
import { ConfigurationError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { HeadDefinition } from "../nn/encoder.ts";
import type { Network } from "../nn/network.ts";
import { Distillation } from "../train/distillation/distillation.ts";
import { teacherHead, type TeacherOptions, TeacherTerm } from "../train/distillation/teacher_term.ts";
import type { KeyPeers } from "../train/moco/keys.ts";
import { MomentumContrast } from "../train/moco/moco.ts";
import type { EncoderObjective } from "../train/objective.ts";

function teacherOptions(config: Config, batchnormGroups: number): TeacherOptions {
  const { distillation: { weight } } = config;
  return { features: needsTargets(config) ? targetDimension(config) : "self", weight, batchnormGroups };
}

/**
 * Batchnorm's groups of a process's part of the batch. Each process has statistics of its own, so that there are as many
 * groups as processes at least.
 *
 * @throws {ConfigurationError} for groups that they cannot share evenly
 */
function ownGroups({ moco: { batchnormGroups } }: Config, peers: KeyPeers | undefined): number {
  if (!peers || batchnormGroups === 1) return batchnormGroups;
  if (batchnormGroups % peers.size === 0) return batchnormGroups / peers.size;
  throw new ConfigurationError(
    `moco.batchnormGroups is ${batchnormGroups}, which ${peers.size} ranks cannot share evenly. Allowed: 1, for a group a ` +
      `rank, or a multiple of ${peers.size}.`,
  );
}

/**
 * Momentum contrast; with a teacher distillation, or both.
 *
 * @param peers processes that train with this one
 * @throws {ConfigurationError} while the dimension of the teacher's features is not known
 */
export function configuredObjective(
  gpu: Gpu,
  network: Network,
  config: Config,
  peers?: KeyPeers,
): EncoderObjective {
  const { head, initialisation, training: { seed }, distillation } = config;
  const moco = { ...config.moco, batchnormGroups: ownGroups(config, peers) };
  if (distillation.teacher === null) {
    return new MomentumContrast(gpu, network, { head, initialisation, moco, seed }, undefined, peers);
  }
  const teacher = teacherOptions(config, moco.batchnormGroups);
  if (hasQueue(config)) {
    return new MomentumContrast(gpu, network, { head, initialisation, moco, seed }, {
      term: new TeacherTerm(gpu, network, teacher),
      weight: contrastWeight(config),
    }, peers);
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
  const teacher = teacherHead(network, teacherOptions(config, config.moco.batchnormGroups));
  return hasQueue(config) ? [config.head, teacher] : [teacher];
}
