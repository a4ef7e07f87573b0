/** What a command needs beside the adapter: Deno itself, and the library that decodes images. */
import type { Problem } from "./problem.ts";

/** Deno's version and the one that the project is pinned to. */
export interface DenoReport {
  readonly version: string;
  readonly pinned: string;
}

/** The image decoder. */
export interface ImageReport {
  /** Formats that were decoded for a trial. */
  readonly formats: readonly string[];
  /** Versions of the library and of its native part; absent where it does not load. */
  readonly sharp?: string;
  readonly libvips?: string;
}

/** Whether version `one` is older than `other`; both are numbers with dots. */
export function isOlder(one: string, other: string): boolean {
  const [a, b] = [one, other].map((version) => version.split(/[.+-]/).slice(0, 3).map(Number));
  const at = a.findIndex((part, index) => part !== b[index]);
  return at >= 0 && a[at] < b[at];
}

/** Compares Deno's version with the one in `setup`. */
export async function inspectDeno(problems: Problem[]): Promise<DenoReport> {
  const setup = await Deno.readTextFile(new URL("../../setup", import.meta.url));
  const pinned = /^deno_version=(.+)$/m.exec(setup)![1];
  const version = Deno.version.deno;
  if (isOlder(version, pinned)) {
    problems.push({
      what: `Deno ${version} is older than ${pinned}, which Scion is made and tested with`,
      mend: "Run ./setup, or upgrade Deno.",
    });
  }
  return { version, pinned };
}

/** Encodes a small picture as JPEG and as PNG and decodes it as the commands do. */
export async function inspectImages(problems: Problem[]): Promise<ImageReport> {
  const formats: string[] = [];
  try {
    const { default: sharp } = await import("sharp");
    const { decodeImage } = await import("../data/decode.ts");
    for (const format of ["jpeg", "png"] as const) {
      const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: "#336699" } });
      const sizes = { imageSize: 8, resize: 8, storedSide: 8 };
      const { width, pixels } = await decodeImage(
        await picture.toFormat(format).toBuffer(),
        "evaluation",
        sizes,
      );
      const near = [0x33, 0x66, 0x99].every((value, at) => Math.abs(pixels[at] - value) <= 4);
      if (width !== 8 || !near) throw new Error(`a ${format} picture came out wrong`);
      formats.push(format);
    }
    return { formats, sharp: sharp.versions.sharp, libvips: sharp.versions.vips };
  } catch (error) {
    problems.push({
      what: `images cannot be decoded: ${String(error).split("\n")[0]}`,
      mend:
        "Run ./setup, which installs the package sharp with its native part. Data of tensor:, cifar10: and " +
        "synthetic work without it.",
    });
    return { formats };
  }
}
