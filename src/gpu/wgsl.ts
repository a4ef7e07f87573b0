/**
 * The preprocessor for kernels' files. WGSL has no way to unroll a loop or to leave a binding out, and the
 * software driver needs register tiles that are written out, so kernels are real WGSL files with four directives,
 * each alone on its line:
 *
 *     #include name                      a piece that the kernel's declaration names
 *     #for i in 0..${TILE} … #end        repeats the lines, `${i}` is the counter
 *     #if SUBGROUP … #else … #end        keeps one of the two
 *     ${TILE * 4 + i}                    an integer expression over constants and counters
 */
import { GpuError } from "../errors.ts";
import { evaluateExpression } from "./expression.ts";
import type { Kernel } from "./kernel.ts";

/** Values of the names that a kernel's `${…}` and `#if` may use. Part of the pipeline's key: tiles, never shapes. */
export type KernelConstants = Readonly<Record<string, number | boolean | string>>;

/** Where a line of the expanded code comes from. */
export interface SourceLine {
  file: string;
  line: number;
}

/** Expanded WGSL and, for each of its lines, the file and line it was written on. */
export interface ExpandedKernel {
  code: string;
  origin: SourceLine[];
}

interface Line extends SourceLine {
  text: string;
}

function fail(at: SourceLine, message: string): never {
  throw new GpuError(`${at.file}:${at.line}: ${message}`);
}

function linesOf(source: string, file: string): Line[] {
  return source.split("\n").map((text, index) => ({ text, file, line: index + 1 }));
}

function included({ name, includes }: Kernel, wanted: string, at: SourceLine): Line[] {
  if (Object.hasOwn(includes, wanted)) return linesOf(includes[wanted], `include/${wanted}.wgsl`);
  const known = Object.keys(includes).join(", ");
  return fail(at, `there is no include '${wanted}'; the declaration of the kernel '${name}' gives ${known}`);
}

function evaluate(expression: string, scope: KernelConstants, at: SourceLine): number | boolean | string {
  try {
    return evaluateExpression(expression, scope);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail(
      at,
      `cannot evaluate '${expression}' with {${Object.keys(scope).join(", ")}}: ${error.message}`,
    );
  }
}

function substitute(text: string, scope: KernelConstants, at: SourceLine): string {
  return text.replace(/\$\{([^}]*)\}/g, (_, expression) => {
    const value = evaluate(expression, scope, at);
    if (typeof value === "number" && !Number.isInteger(value)) {
      fail(at, `'${expression}' is ${value}; whole numbers only`);
    }
    return String(value);
  });
}

/** Index of the `#end` that closes the block opened at `open`, and of its `#else` if it has one. */
function findEnd(lines: Line[], open: number): { end: number; otherwise: number } {
  let depth = 0;
  let otherwise = -1;
  for (let index = open; index < lines.length; index++) {
    const text = lines[index].text.trim();
    if (/^#(for|if)\b/.test(text)) depth++;
    else if (text === "#else" && depth === 1) otherwise = index;
    else if (text === "#end" && --depth === 0) return { end: index, otherwise };
  }
  return fail(lines[open], "this block has no #end");
}

function expandLines(kernel: Kernel, lines: Line[], scope: KernelConstants, output: Line[]): void {
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index];
    const text = line.text.trim();
    const include = text.match(/^#include (\w+)$/);
    const loop = text.match(/^#for (\w+) in (.+?)\.\.(.+)$/);
    const condition = text.match(/^#if (.+)$/);
    if (include) {
      expandLines(kernel, included(kernel, include[1], line), scope, output);
    } else if (loop) {
      const { end } = findEnd(lines, index);
      const first = Number(evaluate(substitute(loop[2], scope, line), scope, line));
      const limit = Number(evaluate(substitute(loop[3], scope, line), scope, line));
      for (let counter = first; counter < limit; counter++) {
        expandLines(kernel, lines.slice(index + 1, end), { ...scope, [loop[1]]: counter }, output);
      }
      index = end;
    } else if (condition) {
      const { end, otherwise } = findEnd(lines, index);
      if (evaluate(condition[1], scope, line)) {
        expandLines(kernel, lines.slice(index + 1, otherwise < 0 ? end : otherwise), scope, output);
      } else if (otherwise >= 0) expandLines(kernel, lines.slice(otherwise + 1, end), scope, output);
      index = end;
    } else if (text.startsWith("#")) {
      fail(line, `unknown directive '${text}'; there are #include, #for, #if, #else and #end`);
    } else {
      output.push({ ...line, text: substitute(line.text, scope, line) });
    }
  }
}

/** Expands a kernel for the given constants. Throws {@linkcode GpuError} with file and line. */
export function expandKernel(kernel: Kernel, constants: KernelConstants): ExpandedKernel {
  const output: Line[] = [];
  expandLines(kernel, linesOf(kernel.source, `${kernel.name}.wgsl`), constants, output);
  return {
    code: output.map((line) => line.text).join("\n"),
    origin: output.map(({ file, line }) => ({ file, line })),
  };
}

/** A storage binding as its kernel declares it. */
export interface StorageBinding {
  name: string;
  binding: number;
  access: "read" | "read_write";
}

/** A field of a kernel's `struct Params`. */
export interface ParameterField {
  name: string;
  type: "u32" | "i32" | "f32";
}

/** What the host must know of a kernel, read from its code, so that nothing is declared twice. */
export interface KernelInterface {
  bindings: StorageBinding[];
  fields: ParameterField[];
  workgroupSize: [number, number, number];
}

/**
 * Reads bindings, `struct Params` and the workgroup size from expanded code. Every kernel has its parameters at
 * binding 0 and its storage buffers after it.
 */
export function parseInterface(name: string, code: string): KernelInterface {
  const bindings: StorageBinding[] = [];
  const declaration = /@group\(0\)\s*@binding\((\d+)\)\s*var<storage,\s*(read_write|read)>\s*(\w+)/g;
  for (const match of code.matchAll(declaration)) {
    bindings.push({ binding: Number(match[1]), access: match[2] as "read" | "read_write", name: match[3] });
  }
  const structure = code.match(/struct Params \{([^}]*)\}/);
  if (!structure) {
    throw new GpuError(`${name}.wgsl: no 'struct Params'; every kernel has one at binding 0`);
  }
  const fields: ParameterField[] = [];
  for (const match of structure[1].matchAll(/^\s*(\w+)\s*:\s*(u32|i32|f32)\s*,/gm)) {
    fields.push({ name: match[1], type: match[2] as ParameterField["type"] });
  }
  const size = code.match(/@workgroup_size\((\d+)(?:,\s*(\d+))?(?:,\s*(\d+))?\)/);
  if (!size) throw new GpuError(`${name}.wgsl: no literal @workgroup_size`);
  return { bindings, fields, workgroupSize: [Number(size[1]), Number(size[2] ?? 1), Number(size[3] ?? 1)] };
}
