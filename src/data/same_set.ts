/** Whether specifications name the same images. */
import { type DataSource, specsOf } from "../config/data_source.ts";
import { parseDataSpec } from "./spec.ts";

/** Whether two sources name the same images in the same order. */
export async function isSameSet(one: DataSource, other: DataSource): Promise<boolean> {
  const [first, second] = [specsOf(one), specsOf(other)];
  if (first.length !== second.length) return false;
  for (let at = 0; at < first.length; at++) if (!await isSameSpec(first[at], second[at])) return false;
  return true;
}

/** Whether a part of one source is a part of the other. */
export async function sharesPart(one: DataSource, other: DataSource): Promise<boolean> {
  for (const a of specsOf(one)) {
    for (const b of specsOf(other)) if (await isSameSpec(a, b)) return true;
  }
  return false;
}

async function isSameSpec(one: string, other: string): Promise<boolean> {
  if (one === other) return true;
  const [a, b] = [parseDataSpec(one), parseDataSpec(other)];
  if (a.kind === "synthetic" || b.kind === "synthetic") {
    return a.kind === "synthetic" && b.kind === "synthetic" && a.length === b.length;
  }
  if (a.kind === "tar" || b.kind === "tar") {
    return a.kind === "tar" && b.kind === "tar" && await areSameFiles(a.shards, b.shards);
  }
  if (a.kind === "coco" && b.kind === "coco" && !await isSameFile(a.annotations, b.annotations)) return false;
  return a.kind === b.kind && await isSameFile(a.path, b.path);
}

async function areSameFiles(one: readonly string[], other: readonly string[]): Promise<boolean> {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (!await isSameFile(one[at], other[at])) return false;
  return true;
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const real = (path: string) => Deno.realPath(path).catch(() => path);
  return await real(one) === await real(other);
}
