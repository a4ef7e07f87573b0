import { assertEquals, assertThrows } from "@std/assert";
import { GpuError } from "../../src/errors.ts";
import { kernel } from "../../src/gpu/kernel.ts";
import { expandKernel, type KernelConstants, parseInterface } from "../../src/gpu/wgsl.ts";

function expand(
  source: string,
  constants: KernelConstants = {},
  includes: Record<string, string> = {},
): string {
  return expandKernel(kernel("sample", source, includes), constants).code;
}

Deno.test("#for repeats lines, nested and over expressions; the counter is not seen outside", () => {
  const source = "#for i in 0..${N}\n#for j in ${i}..2\nx${i}${j}\n#end\n#end\nend";
  assertEquals(expand(source, { N: 2 }), "x00\nx01\nx11\nend");
  assertEquals(expand("#for i in 3..3\nnever\n#end"), "");
  assertThrows(() => expand("#for i in 0..1\n#end\n${i}"), GpuError, "sample.wgsl:3");
});

Deno.test("#if keeps one branch and does not look at the other", () => {
  const source = "#if A && !B\nfirst\n#else\n#if B\nsecond\n#else\nthird\n#end\n#end";
  assertEquals(expand(source, { A: true, B: false }), "first");
  assertEquals(expand(source, { A: true, B: true }), "second");
  assertEquals(expand(source, { A: false, B: false }), "third");
  assertEquals(expand("#if A\n${UNKNOWN}\n#end\nrest", { A: false }), "rest");
});

Deno.test("#include finds what the declaration names, and the grid; origins name file and line", () => {
  const wgsl = kernel("sample", "first\n#include piece\nlast", { piece: "one\n#if A\ntwo\n#end" });
  const { code, origin } = expandKernel(wgsl, { A: true });
  assertEquals(code, "first\none\ntwo\nlast");
  assertEquals(origin.map(({ file, line }) => `${file}:${line}`), [
    "sample.wgsl:1",
    "include/piece.wgsl:1",
    "include/piece.wgsl:3",
    "sample.wgsl:3",
  ]);
  assertEquals(expand("#include grid").includes("fn linearIndex"), true);
  assertThrows(() => expand("\n#include missing"), GpuError, "sample.wgsl:2: there is no include 'missing'");
  assertThrows(() => expand("#include toString"), GpuError, "there is no include 'toString'");
});

Deno.test("Mistakes in directives and expressions are named with file and line", () => {
  for (
    const [source, message] of [
      ["a\n#if A\nb", "sample.wgsl:2: this block has no #end"],
      ["#unless A", "sample.wgsl:1: unknown directive '#unless A'"],
      ["\n\n${N +}", "sample.wgsl:3: cannot evaluate 'N +' with {A, N}: a value is missing at the end"],
      ["${N / 2}", "sample.wgsl:1: 'N / 2' is 1.5; whole numbers only"],
    ]
  ) assertThrows(() => expand(source, { A: true, N: 3 }), GpuError, message);
});

Deno.test("The interface is read from the code", () => {
  const code = `struct Params {
  rows: u32, // how many
  offset: i32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@compute @workgroup_size(8, 4)
fn main() {}`;
  assertEquals(parseInterface("sample", code), {
    bindings: [
      { binding: 2, access: "read_write", name: "output" },
      { binding: 1, access: "read", name: "input" },
    ],
    fields: [
      { name: "rows", type: "u32" },
      { name: "offset", type: "i32" },
      { name: "scale", type: "f32" },
    ],
    workgroupSize: [8, 4, 1],
  });
  assertThrows(() => parseInterface("sample", "fn main() {}"), GpuError, "sample.wgsl: no 'struct Params'");
});
