/** What a command needs beside the adapter: Deno itself, and the library that decodes images. */
import { pinnedDeno } from "../version.ts";
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

/** Compares Deno's version with the one that Scion is pinned to. */
export function inspectDeno(problems: Problem[]): DenoReport {
  const version = Deno.version.deno;
  if (isOlder(version, pinnedDeno)) {
    problems.push({
      what: `Deno ${version} is older than ${pinnedDeno}, which Scion is made and tested with`,
      mend: 'Run ./setup in a clone, or "npm install --global deno".',
    });
  }
  return { version, pinned: pinnedDeno };
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
        "Run ./setup in a clone, which installs the package sharp with its native part; elsewhere install Scion " +
        "anew. Data of tensor:, cifar10: and synthetic work without it.",
    });
    return { formats };
  }
}
