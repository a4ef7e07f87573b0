/** Images and those that the network finds most alike: what a run has learnt, for the eye, without labels. */
import { dataSeed } from "../config/data_seed.ts";
import type { Config } from "../config/schema.ts";
import { imageName } from "../data/image_name.ts";
import { thumbnails } from "../data/thumbnails.ts";
import { nearestRows } from "../evaluate/nearest.ts";
import type { PretrainState } from "./state.ts";
import { chooseImages, WatchedFeatures, type WatchedImages } from "./watched_features.ts";

/** Images whose nearest are looked for, and the most training images that are searched. */
export const sheetSizes = { queries: 10, bank: 2048 };
const neighbourCount = 6;
/** Side of a picture: more than that of its place on the page, for screens of many pixels. */
const thumbnailSide = 112;

/** A picture of an image. */
export interface Picture {
  /** A `data:` address. */
  readonly picture: string;
  /** The image's file, or its number. */
  readonly name: string;
}

/** An image and its nearest. */
export interface NeighbourRow extends Picture {
  /** Nearest first. */
  readonly neighbours: readonly (Picture & {
    readonly cosine: number;
    /** Whether it is of the query's class; undefined without labels. */
    readonly sameClass: boolean | undefined;
  })[];
}

/** Some images with their nearest among training images. */
export interface NeighbourSheet {
  /** Training images that were searched. */
  readonly bank: number;
  /** Whether the queries were held out, rather than trained on. */
  readonly heldOut: boolean;
  readonly rows: readonly NeighbourRow[];
}

/**
 * Finds the nearest training images of a few random ones, by the query encoder at its largest architecture with batchnorm
 * statistics taken anew, as kNN does.
 *
 * @param queries held-out images; where there are none, training images are used, each without itself
 */
export async function neighbourSheet(
  state: PretrainState,
  config: Config,
  bank: WatchedImages,
  queries: WatchedImages | undefined,
): Promise<NeighbourSheet> {
  const { space: { max }, gpu } = state;
  const seed = dataSeed(config);
  const reader = new WatchedFeatures(state, config, bank);
  const searched = { ...bank, indices: chooseImages(bank.indices, sheetSizes.bank, seed) };
  const asked = queries ?? searched;
  const [bankFeatures, queryFeatures] = await reader.recalibrated(max, async (statistics) => [
    await reader.read(max, searched, statistics),
    await reader.read(
      max,
      { views: asked.views, indices: chooseImages(asked.indices, sheetSizes.queries, seed) },
      statistics,
    ),
  ]);
  gpu.stream.submit();
  const rows: NeighbourRow[] = [];
  for (const [row, query] of queryFeatures.indices.entries()) {
    const self = queries === undefined ? bankFeatures.indices.indexOf(query) : -1;
    const nearest = nearestRows(queryFeatures, row, bankFeatures, neighbourCount + 1)
      .filter(({ row }) => row !== self).slice(0, neighbourCount);
    const found = nearest.map(({ row, cosine }) => ({ index: bankFeatures.indices[row], cosine }));
    const [[own], pictures] = await Promise.all([
      thumbnails(asked.source, [query], thumbnailSide),
      thumbnails(bank.source, found.map(({ index }) => index), thumbnailSide),
    ]);
    if (own === undefined) continue;
    rows.push({
      picture: own,
      name: nameOf(asked, query),
      neighbours: found.flatMap(({ index, cosine }, at) => {
        const picture = pictures[at];
        const sameClass = asked.labels && bank.labels && asked.labels[query] === bank.labels[index];
        return picture === undefined ? [] : [{ picture, name: nameOf(bank, index), cosine, sameClass }];
      }),
    });
  }
  return { bank: bankFeatures.rows, heldOut: queries !== undefined, rows };
}

function nameOf({ source }: WatchedImages, index: number): string {
  return imageName(source, index) ?? `image ${index}`;
}
