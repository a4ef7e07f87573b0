/**
 * What is done to logged numbers before they are drawn: smoothing and thinning. Captions state both.
 */

import type { Point } from "./charts.ts";

/**
 * The centred moving average: each point becomes the mean of those up to `radius` places before and after it. Points
 * too near an end to have them all are left out, since a shorter or lopsided window would bend the line there.
 */
export function smooth(points: readonly Point[], radius: number): Point[] {
  return points.slice(radius, points.length - radius).map(({ x }, index) => {
    const window = points.slice(index, index + 2 * radius + 1);
    return { x, y: mean(window.map(({ y }) => y)) };
  });
}

/**
 * The radius of {@linkcode smooth} that suits so many points: about a thirtieth of them as the whole window, and none
 * for few, which are better read as they are, up to the last.
 */
export function smoothingRadius(count: number): number {
  return Math.floor(count / 60);
}

/**
 * Replaces groups of neighbouring points by their mean, so that at most `limit` remain and a long run's page stays
 * small.
 *
 * @returns the points left, and how many became one.
 */
export function thin(points: readonly Point[], limit: number): { points: Point[]; group: number } {
  const group = Math.max(1, Math.ceil(points.length / limit));
  const thinned: Point[] = [];
  for (let start = 0; start < points.length; start += group) {
    const members = points.slice(start, start + group);
    thinned.push({ x: mean(members.map(({ x }) => x)), y: mean(members.map(({ y }) => y)) });
  }
  return { points: thinned, group };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
