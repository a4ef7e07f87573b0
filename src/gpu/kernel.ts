/** Kernels as values: whoever has an operation declares its kernel beside it. */
import grid from "../../kernels/include/grid.wgsl" with { type: "text" };

/** A kernel: WGSL with directives (see `wgsl.ts`), not yet compiled. Make one with {@linkcode kernel}. */
export interface Kernel {
  /** Names it in messages, profiles and tunings. */
  readonly name: string;
  readonly source: string;
  /** What its `#include` may name, `grid` always among them. */
  readonly includes: Readonly<Record<string, string>>;
}

/**
 * Declares a kernel. Its file has `struct Params`, whose fields are `u32`, `i32` or `f32`, as the uniform at binding 0,
 * its storage bindings after it, a literal `@workgroup_size`, and the entry point `main`.
 *
 * @param name unique among the kernels of a device
 * @param source WGSL with directives, e.g. `import source from "./swish.wgsl" with { type: "text" }`
 * @param includes shared pieces by the name that `#include` gives them; `grid` is there without
 */
export function kernel(
  name: string,
  source: string,
  includes: Readonly<Record<string, string>> = {},
): Kernel {
  return { name, source, includes: { grid, ...includes } };
}
