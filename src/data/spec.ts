import { ConfigurationError } from "../errors.ts";
import { shorten } from "../suggest.ts";
import { expandShards } from "./tar/shard_pattern.ts";

/** A parsed data specification: where the images come from. */
export type DataSpec =
  | { kind: "synthetic"; length: number }
  | { kind: "folder"; path: string }
  | { kind: "list"; path: string }
  | { kind: "cifar10"; path: string }
  | { kind: "tensor"; path: string }
  /** `shards` are paths, in the order of their numbers. */
  | { kind: "tar"; shards: readonly string[] }
  | DenseSpec;

/** Images whose pixels or objects are labelled. `path` is the folder of the set; of `coco` that of the images. */
export type DenseSpec =
  | { kind: "masks" | "cityscapes" | "voc"; path: string }
  | { kind: "coco"; path: string; annotations: string };

/** Images of `synthetic` without a number: 2048 to train on and 512 to hold out. */
export const defaultSyntheticLength = 2560;

/** The most images of `synthetic`: their order, split and labels are lists of so many numbers. */
const mostSynthetic = 10_000_000;

/** What each kind with a path is written like. */
const forms = {
  folder: "folder:DIR",
  list: "list:FILE",
  cifar10: "cifar10:DIR",
  tensor: "tensor:FILE.safetensors",
  tar: "tar:DIR/train-{000..127}.tar",
  masks: "masks:DIR",
  cityscapes: "cityscapes:DIR",
  voc: "voc:DIR",
  coco: "coco:IMAGES,ANNOTATIONS.json",
} as const;

const allowed =
  "DIR or folder:DIR, LIST.txt or list:FILE, synthetic, synthetic:N, cifar10:DIR, tensor:FILE.safetensors, " +
  "tar:FILE.tar or tar:DIR/train-{000..127}.tar, masks:DIR, cityscapes:DIR, voc:DIR or coco:IMAGES,ANNOTATIONS.json";

/**
 * Reads a data specification such as `photos/train`, `photos.txt` or `synthetic:4096`. Touches no file. A text without a
 * kind is a list file where it ends in `.txt`, else a folder.
 *
 * @throws ConfigurationError when `text` is none of the forms
 */
export function parseDataSpec(text: string): DataSpec {
  // A single letter before the colon is a drive of Windows.
  const [, kind, rest] = /^([A-Za-z][A-Za-z0-9_-]+):(.*)$/s.exec(text) ?? [];
  if (kind === undefined) {
    if (text === "synthetic") return { kind: "synthetic", length: defaultSyntheticLength };
    if (Object.hasOwn(forms, text)) throw noPath(text, text as keyof typeof forms);
    if (text.trim() === "") {
      throw new ConfigurationError(`data specification "${text}" is empty; allowed: ${allowed}`);
    }
    return { kind: text.toLowerCase().endsWith(".txt") ? "list" : "folder", path: text };
  }
  if (kind === "synthetic") {
    const length = Number(rest);
    if (!/^\d+$/.test(rest) || length < 1 || length > mostSynthetic) {
      throw new ConfigurationError(
        `data specification "${
          shorten(text)
        }": the number of synthetic images must be a whole number from 1 to ` +
          `${mostSynthetic}, e.g. synthetic:${defaultSyntheticLength}`,
      );
    }
    return { kind, length };
  }
  if (kind === "coco") return parseCoco(text, rest);
  if (kind === "tar" && rest) return { kind, shards: expandShards(rest) };
  if (Object.hasOwn(forms, kind)) {
    if (rest) return { kind: kind as Exclude<keyof typeof forms, "coco" | "tar">, path: rest };
    throw noPath(text, kind as keyof typeof forms);
  }
  throw new ConfigurationError(
    `data specification "${
      shorten(text)
    }" is not known; allowed: ${allowed}. For a folder of such a name write ` +
      `folder:${shorten(text)}`,
  );
}

/** Splits at the last comma, as names of images' folders may have some. */
function parseCoco(text: string, rest: string): DataSpec {
  const comma = rest.lastIndexOf(",");
  const [path, annotations] = [rest.slice(0, comma), rest.slice(comma + 1)];
  if (comma > 0 && annotations !== "") return { kind: "coco", path, annotations };
  throw new ConfigurationError(
    `data specification "${
      shorten(text)
    }" needs the images' folder and the file of annotations; write ${forms.coco}`,
  );
}

function noPath(text: string, kind: keyof typeof forms): ConfigurationError {
  const folder = text.includes(":") ? "" : `; for a folder of that name write folder:${text}`;
  return new ConfigurationError(
    `data specification "${shorten(text)}" names no path; write ${forms[kind]}${folder}`,
  );
}
