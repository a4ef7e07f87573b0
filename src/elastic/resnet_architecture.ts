/**
 * One architecture of an elastic ResNet, and its id: `STEM-W.W.W.W-D.D.D.D`, e.g. `64-64.128.256.512-3.4.6.3`
 * for ResNet-50.
 */
import { ConfigurationError } from "../errors.ts";
import type { Architecture } from "./architecture.ts";

/** The choices of a ResNet under their names. */
export interface ResNetArchitecture extends Architecture {
  /** Output channels of the stem convolution. */
  readonly stem: number;
  /** Channels of the inner convolutions of each stage; a bottleneck's output is four times as wide. */
  readonly widths: readonly number[];
  /** Blocks of each stage; depth d means the first d stored blocks. */
  readonly depths: readonly number[];
}

const idPattern = /^[1-9]\d*-[1-9]\d*(\.[1-9]\d*)*-[1-9]\d*(\.[1-9]\d*)*$/;

/**
 * An architecture from its parts.
 *
 * @param widths one for each stage
 * @param depths one for each stage
 */
export function resnetArchitecture(
  stem: number,
  widths: readonly number[],
  depths: readonly number[],
): ResNetArchitecture {
  return {
    id: `${stem}-${widths.join(".")}-${depths.join(".")}`,
    choices: [stem, ...widths.flatMap((width, stage) => [width, depths[stage]])],
    stem,
    widths,
    depths,
  };
}

/** An architecture from its choices: stem, width 1, depth 1, width 2, depth 2, … */
export function resnetFromChoices([stem, ...rest]: readonly number[]): ResNetArchitecture {
  return resnetArchitecture(
    stem,
    rest.filter((_, index) => index % 2 === 0),
    rest.filter((_, index) => index % 2 === 1),
  );
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
export function parseArchitecture(text: string): ResNetArchitecture {
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
  return resnetArchitecture(stem[0], widths, depths);
}
