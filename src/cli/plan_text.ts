/** How plans say time and memory. */
import { formatDuration } from "../duration.ts";
import { formatCount } from "./format.ts";

/** `about 575 ms a step, as measured; 6:27 min in all: ends about 14:09`. */
export function describeTime(secondsPerStep: number, how: string, seconds: number, ends: Date): string {
  const step = formatSeconds(secondsPerStep);
  return `about ${step} a step, ${how}; ${formatDuration(seconds)} in all: ends about ${formatClock(ends)}`;
}

/** Whole MiB, rounded up. */
export function formatBytes(bytes: number): string {
  return `${formatCount(Math.ceil(bytes / 2 ** 20))} MiB`;
}

/** A row of a table of memory. */
export function memoryRow(name: string, bytes: number | null): [name: string, bytes: string] {
  return [name, bytes === null ? "not known" : formatBytes(bytes)];
}

function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${(1000 * seconds).toPrecision(3)} ms`;
  return seconds < 100 ? `${seconds.toPrecision(3)} s` : formatDuration(seconds);
}

/** The time of day, with the date unless it is today's. */
export function formatClock(time: Date, now = new Date()): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  if (time.toDateString() === now.toDateString()) return clock;
  return `${clock} on ${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}
