/**
 * Polygons as masks, pixel for pixel as pycocotools draws them: average precision of masks depends on it. Vertices go to a
 * grid five times as fine, edges are walked along their longer axis, and where a walk passes the middle of a column of
 * pixels the mask changes from there on down.
 */
import { DataError } from "../../errors.ts";
import { type RunLengths, uniteRuns } from "./run_lengths.ts";

/** Steps of the fine grid in a pixel. */
const fineness = 5;

/**
 * Draws polygons into one mask, the union of them.
 *
 * @param polygons each [x0, y0, x1, y1, …] in pixels, closed by itself; at least one
 * @throws {DataError} for fewer than three points, an odd number of coordinates, or one that is not finite
 */
export function drawPolygons(
  polygons: readonly (readonly number[])[],
  height: number,
  width: number,
): RunLengths {
  if (polygons.length === 0) throw new DataError("a mask has no polygon");
  return uniteRuns(polygons.map((polygon) => drawPolygon(polygon, height, width)));
}

function drawPolygon(polygon: readonly number[], height: number, width: number): RunLengths {
  if (polygon.length < 6 || polygon.length % 2 !== 0) {
    throw new DataError(
      `a polygon has ${polygon.length} coordinates; it needs an even number, for at least three points`,
    );
  }
  const bad = polygon.findIndex((value) => !Number.isFinite(value) || Math.abs(value) > 2 ** 20);
  if (bad >= 0) throw new DataError(`coordinate ${bad} of a polygon is ${polygon[bad]}`);
  const fine = polygon.map((value) => Math.trunc(fineness * value + 0.5));
  const changes: number[] = [];
  let lastX = NaN, lastY = NaN;
  for (let at = 0; at < fine.length; at += 2) {
    const next = (at + 2) % fine.length;
    walkEdge(fine[at], fine[at + 1], fine[next], fine[next + 1], (x, y) => {
      if (x !== lastX && !Number.isNaN(lastX)) {
        const column = ((x < lastX ? x : x - 1) + 0.5) / fineness - 0.5;
        if (Number.isInteger(column) && column >= 0 && column <= width - 1) {
          const row = (Math.min(y, lastY) + 0.5) / fineness - 0.5;
          changes.push(column * height + Math.ceil(Math.min(height, Math.max(0, row))));
        }
      }
      lastX = x;
      lastY = y;
    });
  }
  return { height, width, counts: runsBetween(changes, height * width) };
}

/** Visits the points of the fine grid from one vertex to the next, both included. */
function walkEdge(
  fromX: number,
  fromY: number,
  toX: number,
  toY: number,
  visit: (x: number, y: number) => void,
): void {
  const alongX = Math.abs(toX - fromX), alongY = Math.abs(toY - fromY);
  const steps = Math.max(alongX, alongY);
  if (steps === 0) return visit(fromX, fromY);
  // Always computed from the lesser end, so that an edge has the same points in both directions.
  const flat = alongX >= alongY;
  const backward = flat ? fromX > toX : fromY > toY;
  const [startX, startY, endX, endY] = backward ? [toX, toY, fromX, fromY] : [fromX, fromY, toX, toY];
  const slope = flat ? (endY - startY) / alongX : (endX - startX) / alongY;
  for (let step = 0; step <= steps; step++) {
    const done = backward ? steps - step : step;
    if (flat) visit(startX + done, Math.trunc(startY + slope * done + 0.5));
    else visit(Math.trunc(startX + slope * done + 0.5), startY + done);
  }
}

/** Runs from the positions where the mask changes; two changes at one position cancel each other. */
function runsBetween(changes: number[], pixels: number): Uint32Array {
  changes.push(pixels);
  const positions = Float64Array.from(changes).sort();
  const counts: number[] = [];
  let last = 0, joins = false;
  for (const position of positions) {
    const length = position - last;
    last = position;
    if (joins) {
      counts[counts.length - 1] += length;
      joins = false;
    } else if (length > 0 || counts.length === 0) counts.push(length);
    else joins = true;
  }
  return Uint32Array.from(counts);
}
