/** What is asked of the device: one launch of a kernel, and how many launches that becomes. */
import { LoopLimitError } from "../errors.ts";
import type { PooledBuffer } from "./buffers.ts";
import type { Kernel } from "./kernel.ts";
import { cutRounds, type CuttableLoop, loop, mostLoopTurns, type Rounds } from "./limits.ts";
import type { KernelConstants } from "./wgsl.ts";

/** A range of a buffer, as kernels are bound to it. Tensors are such ranges. */
export interface BufferRange {
  readonly storage: PooledBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** What a dispatch computes and moves, for `--profile` and the benchmarks. */
export interface Work {
  /** Floating-point operations; a fused multiply-add counts two. */
  flops?: number;
  /** Bytes read and written, each tensor counted once. */
  bytes?: number;
  /** What the profiler counts the launch under, in place of the kernel's name. */
  tag?: string;
}

/** One launch of a kernel. */
export interface Dispatch {
  kernel: Kernel;
  constants?: KernelConstants;
  /** A range for each storage binding, by the name it has in the kernel; what a variant does not declare is ignored. */
  buffers: Record<string, BufferRange | undefined>;
  /** A value for each field of the kernel's `struct Params`. */
  params: Record<string, number>;
  /** Number of workgroups. */
  grid: readonly [number, number, number];
  /**
   * The most turns that one invocation makes in all its loops together, see {@linkcode loop}; 0 without a loop. Where the
   * kernel takes `firstRound` and `endRound`, its outermost loop: the stream cuts that into launches.
   */
  turns: number | CuttableLoop;
  work?: Work;
}

/** Workgroups for `count` invocations in rows of at most 65 535; kernels find their number with `include/grid`. */
export function linearGrid(count: number, workgroupSize: number): [number, number, number] {
  const groups = Math.ceil(count / workgroupSize);
  if (groups <= 65535) return [groups, 1, 1];
  const rows = Math.ceil(groups / 65535);
  return [Math.ceil(groups / rows), rows, 1];
}

/**
 * One launch for each part of its outermost loop.
 * @throws LoopLimitError where the loops of an invocation are too long and cannot be cut
 */
export function launchesOf(call: Dispatch): Dispatch[] {
  const { kernel, params, turns, work } = call;
  if (typeof turns === "number") {
    if (turns > mostLoopTurns) throw new LoopLimitError(kernel.name, turns, mostLoopTurns, params);
    return [call];
  }
  const { rounds, each } = turns;
  const part = ({ first, end }: Rounds): Dispatch => {
    const share = (amount?: number) =>
      amount === undefined ? undefined : amount * (end - first) / Math.max(1, rounds);
    return {
      ...call,
      params: { ...params, firstRound: first, endRound: end },
      ...(work && { work: { ...work, flops: share(work.flops), bytes: share(work.bytes) } }),
    };
  };
  const parts = cutRounds(turns);
  if (parts.length === 0) {
    throw new LoopLimitError(kernel.name, loop(rounds, each - 1), mostLoopTurns, params);
  }
  return parts.map(part);
}
