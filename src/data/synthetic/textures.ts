/**
 * The ten structures that the synthetic classes differ in. Each is a plane pattern that repeats every cell (or every
 * second one), given as the signed distance, in cells, from (u, v) to the edge of its ink: positive inside the ink,
 * negative on the paper. A distance in place of 0 or 1 lets the renderer smooth edges over one pixel at any size.
 */

/** Signed distance to the edge of the ink, in cells; `weight` from -1 to 1 makes the ink thinner or thicker. */
export type Pattern = (u: number, v: number, weight: number) => number;

/** A synthetic class. */
export interface Texture {
  name: string;
  pattern: Pattern;
  /** Smallest and largest cell, as parts of the image's side: finer details need larger ones to survive 32 pixels. */
  cell: readonly [number, number];
}

const fraction = (x: number) => x - Math.floor(x);
/** Distance of x to the nearest integer, 0 to 0.5. */
const toInteger = (x: number) => Math.abs(x - Math.round(x));
const halfRoot3 = Math.sqrt(3) / 2;

function stripes(u: number, _v: number, weight: number): number {
  return toInteger(u) - 0.25 + 0.07 * weight;
}

function checks(u: number, v: number, weight: number): number {
  const a = toInteger(u) - 0.25, b = toInteger(v) - 0.25;
  const edge = Math.min(Math.abs(a), Math.abs(b));
  return (a * b > 0 ? edge : -edge) + 0.03 * weight;
}

function dots(u: number, v: number, weight: number): number {
  return 0.3 + 0.05 * weight - Math.hypot(u - Math.round(u), v - Math.round(v));
}

function rings(u: number, v: number, weight: number): number {
  const radius = Math.hypot(u - Math.round(u), v - Math.round(v));
  return 0.12 + 0.02 * weight - Math.abs(radius - 0.31);
}

function bricks(u: number, v: number, weight: number): number {
  const row = Math.floor(2 * v);
  const bed = toInteger(2 * v) / 2;
  const joint = toInteger(u + 0.5 * (row & 1));
  return 0.085 + 0.015 * weight - Math.min(bed, joint);
}

function zigzags(u: number, v: number, weight: number): number {
  // Slopes of 60 degrees, so that a few pixels show both directions; 0.7 turns height into distance to a slope.
  return 0.7 * (toInteger(1.6 * v + 1.7 * toInteger(u)) - 0.25 + 0.05 * weight) / 1.6;
}

function triangles(u: number, v: number, weight: number): number {
  const b = u / 2 + v * halfRoot3, c = b - u;
  const up = (Math.floor(u) + Math.floor(b) + Math.floor(c)) & 1;
  const edge = Math.min(toInteger(u), toInteger(b), toInteger(c));
  return (up ? edge : -edge) + 0.03 * weight;
}

function crosses(u: number, v: number, weight: number): number {
  const x = Math.abs(u - Math.round(u)), y = Math.abs(v - Math.round(v));
  const length = 0.37, width = 0.14 + 0.025 * weight;
  return Math.max(Math.min(length - x, width - y), Math.min(width - x, length - y));
}

function hexagons(u: number, v: number, weight: number): number {
  // Two rectangular lattices of centres make the honeycomb; the nearer centre owns the point.
  const height = 2 * halfRoot3;
  const x0 = u - Math.round(u), y0 = v - height * Math.round(v / height);
  const x1 = fraction(u) - 0.5, y1 = v - height * (Math.floor(v / height) + 0.5);
  const nearer = x0 * x0 + y0 * y0 < x1 * x1 + y1 * y1;
  const x = Math.abs(nearer ? x0 : x1), y = Math.abs(nearer ? y0 : y1);
  return 0.11 + 0.015 * weight - (0.5 - Math.max(x, x / 2 + y * halfRoot3));
}

function weave(u: number, v: number, weight: number): number {
  // A bar in each cell, lying and standing in turn.
  const column = Math.round(u), row = Math.round(v);
  const x = Math.abs(u - column), y = Math.abs(v - row);
  const lying = ((column + row) & 1) === 0;
  return Math.min(0.44 - (lying ? x : y), 0.17 + 0.03 * weight - (lying ? y : x));
}

/** The classes, in the order of their labels. */
export const textures: readonly Texture[] = [
  { name: "stripes", pattern: stripes, cell: [0.15, 0.3] },
  { name: "checks", pattern: checks, cell: [0.24, 0.4] },
  { name: "dots", pattern: dots, cell: [0.2, 0.33] },
  { name: "rings", pattern: rings, cell: [0.26, 0.38] },
  { name: "bricks", pattern: bricks, cell: [0.3, 0.45] },
  { name: "zigzags", pattern: zigzags, cell: [0.24, 0.4] },
  { name: "triangles", pattern: triangles, cell: [0.22, 0.36] },
  { name: "crosses", pattern: crosses, cell: [0.2, 0.32] },
  { name: "hexagons", pattern: hexagons, cell: [0.2, 0.32] },
  { name: "weave", pattern: weave, cell: [0.16, 0.27] },
];
