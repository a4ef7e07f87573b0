/**
 * One architecture of an elastic ResNet, and its id: `STEM-W.W.W.W-D.D.D.D`, e.g. `64-64.128.256.512-3.4.6.3`
 * for ResNet-50.
 */

import { ConfigurationError } from "../errors.ts";

/** The choices that cut one subnet out of an elastic ResNet. */
export interface Architecture {
  /** Output channels of the stem convolution. */
  readonly stem: number;
  /** Channels of the inner convolutions of each stage; a bottleneck's output is four times as wide. */
  readonly widths: readonly number[];
  /** Blocks of each stage; depth d means the first d stored blocks. */
  readonly depths: readonly number[];
}

const idPattern = /^[1-9]\d*-[1-9]\d*(\.[1-9]\d*)*-[1-9]\d*(\.[1-9]\d*)*$/;

/** The id of an architecture; the inverse of {@linkcode parseArchitecture}. */
export function formatArchitecture({ stem, widths, depths }: Architecture): string {
  return `${stem}-${widths.join(".")}-${depths.join(".")}`;
}

/** Whether a text has the form of an id; it may still belong to no search space. */
export function isArchitectureId(text: string): boolean {
  return idPattern.test(text);
}

/**
 * Reads an id.
 *
 * @throws {ConfigurationError} when the text is no id, or names more widths than depths or the reverse
 */
export function parseArchitecture(text: string): Architecture {
  if (!isArchitectureId(text)) {
    throw new ConfigurationError(
      `"${text}" is not an architecture id. An id has the form STEM-W.W.W.W-D.D.D.D with one width (W) and one ` +
        `depth (D) per stage, e.g. 64-64.128.256.512-3.4.6.3.`,
    );
  }
  const [stem, widths, depths] = text.split("-").map((part) => part.split(".").map(Number));
  if (widths.length !== depths.length) {
    throw new ConfigurationError(
      `Architecture "${text}" has ${widths.length} widths and ${depths.length} depths. ` +
        `Give one of each per stage, e.g. 64-64.128.256.512-3.4.6.3.`,
    );
  }
  return { stem: stem[0], widths, depths };
}

/** Whether two architectures are the same. */
export function sameArchitecture(one: Architecture, other: Architecture): boolean {
  return formatArchitecture(one) === formatArchitecture(other);
}
