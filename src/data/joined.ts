/**
 * Several folders and list files as one set: the images of each in its own order, one after the other. Classes of equal
 * names are one class. Where a part has no labels, the whole has none.
 */
import { resolve } from "@std/path";
import { sourceName } from "../config/data_source.ts";
import { ConfigurationError } from "../errors.ts";
import { openListing, reportListing } from "./folder.ts";
import type { ImageSource, SourceOptions } from "./image_set.ts";
import { commonFolder, readList, type RootedListing } from "./list_file.ts";
import { compareCodepoints, type FolderListing, scanFolder } from "./scan.ts";
import { parseDataSpec } from "./spec.ts";

/** A part of a set. */
interface Part extends RootedListing {
  readonly spec: string;
}

/**
 * Opens several specifications as one set.
 *
 * @throws ConfigurationError for a part that is neither a folder nor a list, or an image that two parts have
 */
export async function openJoined(specs: readonly string[], options: SourceOptions): Promise<ImageSource> {
  const parts: Part[] = [];
  for (const spec of specs) {
    const part = { spec, ...await listPart(spec) };
    reportListing(part.root, part.listing, options);
    parts.push(part);
  }
  const labelled = parts.filter(({ listing }) => listing.labels);
  if (labelled.length > 0 && labelled.length < parts.length) {
    const { spec } = parts.find(({ listing }) => !listing.labels)!;
    options.onWarning?.(
      `${spec} has no class folders, but ${labelled[0].spec} has, so all of them are used without labels`,
    );
  }
  const { root, listing } = join(parts);
  return await openListing(sourceName(specs), root, listing, options);
}

async function listPart(spec: string): Promise<RootedListing> {
  const parsed = parseDataSpec(spec);
  if (parsed.kind === "list") return await readList(parsed.path);
  if (parsed.kind !== "folder") {
    throw new ConfigurationError(
      `data specification "${spec}" cannot be joined with others: only folders and list files can`,
    );
  }
  const listing = await scanFolder(parsed.path);
  const root = (await Deno.realPath(resolve(parsed.path))).replaceAll("\\", "/").replace(/\/$/, "");
  return { root, listing };
}

/** One listing, relative to the deepest folder that holds all parts. */
function join(parts: readonly Part[]): RootedListing {
  const root = commonFolder(parts.map((part) => part.root));
  const owners = new Map<string, string>();
  for (const { spec, root: folder, listing } of parts) {
    for (const name of listing.paths) {
      const path = `${folder}/${name}`.slice(root.length + 1);
      const other = owners.get(path);
      if (other !== undefined) {
        throw new ConfigurationError(
          `"${folder}/${name}" is in ${other} and in ${spec}: an image counts once. Leave one of them out, or list ` +
            "the images in a file.",
        );
      }
      owners.set(path, spec);
    }
  }
  const listing = {
    paths: [...owners.keys()],
    stray: 0,
    leftOut: parts.flatMap(({ root: folder, listing }) =>
      listing.leftOut.map(({ path, reason }) => ({
        path: `${folder}/${path}`.slice(root.length + 1),
        reason,
      }))
    ),
    reachedAgain: [],
    otherFiles: new Map(),
    ...mergeLabels(parts.map((part) => part.listing)),
  };
  return { root, listing };
}

/** Classes by name, in codepoint order; nothing unless every part has labels. */
function mergeLabels(listings: readonly FolderListing[]): Pick<FolderListing, "labels" | "classes"> {
  if (listings.some(({ labels }) => !labels)) return {};
  const classes = [...new Set(listings.flatMap((listing) => listing.classes!))].sort(compareCodepoints);
  const position = new Map(classes.map((name, index) => [name, index]));
  const labels = listings.flatMap((listing) =>
    Array.from(listing.labels!, (label) => position.get(listing.classes![label])!)
  );
  return { classes, labels: Int32Array.from(labels) };
}
