/** What a configuration trains for: momentum contrast, a teacher's features, or both; and the heads that this takes. */
import { ConfigurationError } from "../errors.ts";
import { shorten } from "../suggest.ts";
import type { Config } from "./schema.ts";

/** A teacher's specification, read. */
export type TeacherSpec =
  /** A file of features, a row an image. */
  | { readonly kind: "features"; readonly path: string }
  /** A network in ONNX that makes them. */
  | { readonly kind: "model"; readonly path: string }
  /** The network that the run begins with. */
  | { readonly kind: "self" };

/**
 * Reads a teacher's specification. Touches no file.
 * @throws {ConfigurationError} when `text` is none of the forms
 */
export function parseTeacher(text: string): TeacherSpec {
  const [, kind, path] = /^(?:(features|model):)?(.+)$/s.exec(text) ?? [];
  if (kind === undefined && path === "self") return { kind: "self" };
  if (kind === "features" && path.endsWith(".safetensors")) return { kind, path };
  if (kind === "model" && path.endsWith(".onnx")) return { kind, path };
  throw new ConfigurationError(
    `distillation.teacher is "${
      shorten(text)
    }". Allowed: features:FILE.safetensors, model:FILE.onnx or self.`,
  );
}

/** The weight of momentum contrast; 0 where a teacher is learned from alone. */
export function contrastWeight({ distillation: { teacher, moco } }: Pick<Config, "distillation">): number {
  return teacher === null ? 1 : moco;
}

/** Whether keys and their queue are there. */
export function hasQueue(config: Pick<Config, "distillation">): boolean {
  return contrastWeight(config) > 0;
}

/** Whether each step needs the teacher's features of its images; the network itself makes its own. */
export function needsTargets({ distillation: { teacher } }: Pick<Config, "distillation">): boolean {
  return teacher !== null && parseTeacher(teacher).kind !== "self";
}

/**
 * Dimension of the features that a teacher gives for each image.
 * @throws {ConfigurationError} while it is not known: nobody has opened the teacher
 */
export function targetDimension(
  { distillation: { teacher, dimension } }: Pick<Config, "distillation">,
): number {
  if (dimension !== null) return dimension;
  throw new ConfigurationError(
    `distillation.dimension is null: the teacher, ${teacher}, has to be opened first, or the dimension of its features ` +
      "to be given.",
  );
}
