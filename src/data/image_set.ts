/** What a set of images looks like to the rest of the program. */
import type { ListedFile } from "../store/data_record.ts";

/** An 8-bit image on the host. */
export interface DecodedImage {
  width: number;
  height: number;
  /** [height, width, 4] bytes, row-major red, green, blue, 255; transparency is composited already. */
  pixels: Uint8Array;
  /** EXIF orientation of its file, 2 to 8, which is applied already; absent where there is none to apply. */
  orientation?: number;
}

/** What an image is asked for: training cuts parts out of it, evaluation sees one square of the network's size. */
export type ImageUse = "training" | "evaluation";

/** A file that was left out, and why. */
export interface SkippedFile {
  path: string;
  reason: string;
}

/** Images that are members of archives. */
export interface ArchiveMembers {
  /** The archives, with digests of what their members are. */
  readonly files: readonly ListedFile[];
  /** The archive's path, relative to the set's folder, a colon, and the image's name in it. */
  nameOf(index: number): string;
}

/** What the images of a set are read from. */
export type ImageOrigin =
  /** Image `i` is file `i` of these, relative to `root`. */
  | { kind: "images"; root: string; paths: readonly string[] }
  /** Each file holds many images, one after the other. Paths are relative to `root`. */
  | { kind: "records"; root: string; paths: readonly string[]; members?: ArchiveMembers }
  /** The images are made; these words say how, and equal words make equal images. */
  | { kind: "made"; recipe: string };

interface Source {
  /** The specification that opened it. */
  name: string;
  /** Number of images listed, broken ones among them; valid indices are 0 … length - 1. */
  length: number;
  /** What they are read from; absent for a set that exists in memory only. */
  origin?: ImageOrigin;
  /** Indices of broken files found so far; absent where there cannot be any. A broken file keeps its index. */
  readonly broken?: ReadonlySet<number>;
  /**
   * Index of the first image of each shard, ascending, for a set that may be larger than any memory: it is never held whole
   * but batch by batch, and an epoch has the images of few shards at a time.
   */
  readonly shards?: Uint32Array;
  /** Files and folders that look like images but are not listed: they have no index. */
  readonly leftOut?: readonly SkippedFile[];
  /** Class of each image, [length]; absent when the set has no labels. */
  labels?: Int32Array;
  /** Name of each class; absent when there are no labels or no names. */
  classes?: readonly string[];
  /** Broken files found so far, in the order in which they were found. */
  readonly skipped: readonly SkippedFile[];
  /** Ends the Workers and lets go of the images; the source cannot be used after it. */
  release(): void;
}

/** A set of 8-bit images of any size, decoded on demand and cached, for training with augmentation. */
export interface ImageSource extends Source {
  kind: "images";
  /**
   * The images at `indices`, in that order. An element is undefined when its file is broken (it is then listed in
   * `skipped`); see `loadBatch` for filling such gaps.
   *
   * @param use default "training"; for evaluation the whole image at full size, or what `evaluationImage` makes of it
   * @throws DataError when a file is broken and the source was opened with `strict`
   */
  load(indices: readonly number[], use?: ImageUse): Promise<(DecodedImage | undefined)[]>;
}

/** A set of ready-made network inputs, used as they are: no augmentation, no normalisation. */
export interface TensorSource extends Source {
  kind: "tensor";
  channels: 3;
  height: number;
  width: number;
  /** [length, 3, height, width], row-major. */
  images: Float32Array;
}

/** Options of `openSource`. */
export interface SourceOptions {
  /** Side of the network's input in pixels: generated images have it, larger files are shrunk towards it. */
  imageSize: number;
  /** Shorter side that evaluation resizes to, as the views' own setting. Default: 256/224 of the image size. */
  resize?: number;
  /** Longest shorter side of what training cuts its crops from, more than `imageSize`; of files only. Default: `resize`. */
  storedSide?: number;
  /** Seed of the synthetic images; no other source uses it. */
  seed: number;
  /** Refuse a broken or left-out file with a DataError instead of skipping it. Default false. */
  strict?: boolean;
  /** Most bytes of decoded images to keep on the host. Default 2 GiB. */
  cacheBytes?: number;
  /** Decoding Workers. Default: one per core, at most 4. */
  workers?: number;
  /**
   * Decode the files while opening, until all are decoded or the cache is full, so that broken ones are known.
   * Default true. With false a broken file is only found when it is loaded.
   */
  preload?: boolean;
  /** What files are decoded for at opening: "evaluation" where nothing is trained on them. Default "training". */
  use?: ImageUse;
  /** Called while files are decoded at opening. */
  onProgress?(done: number, total: number): void;
  /** Called for each file that its EXIF orientation turned or mirrored, whenever it is decoded. */
  onOriented?(path: string, image: DecodedImage): void;
  /** Called once per broken file, and for what is said about a folder as a whole. */
  onWarning?(message: string): void;
}

/** Default of {@linkcode SourceOptions.cacheBytes}. */
export const defaultCacheBytes = 2 ** 31;
