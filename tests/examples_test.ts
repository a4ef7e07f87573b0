/** The programs in `examples/`, and README's, do what they say. */
import { assertEquals } from "@std/assert";
import { swish } from "../examples/swish.ts";
import { Tensor } from "../src/tensor/tensor.ts";
import { assertClose, forwardBackward, gpuTest, randomValues } from "./helpers.ts";

gpuTest("a kernel of a user's own, with its gradient", async (gpu) => {
  const values = randomValues(1000, 1).map((value) => 4 * value), gradOutput = randomValues(1000, 2);
  const input = Tensor.from(gpu, values, [10, 100]);
  const { output, gradients } = await forwardBackward(gpu, [input], gradOutput, (tape) => swish(tape, input));
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  assertClose(output, Array.from(values, (x) => x * sigmoid(x)), 1e-5, "swish");
  const slope = (x: number) => sigmoid(x) * (1 + x * (1 - sigmoid(x)));
  assertClose(gradients[0], Array.from(values, (x, at) => gradOutput[at] * slope(x)), 1e-5, "gradient");
});

Deno.test("README's program is the library's first example", async () => {
  const code = (text: string, fence: RegExp) =>
    [...text.matchAll(fence)].map(([, lines]) => lines.replace(/^ \* ?/gm, "").trim());
  const root = new URL("../", import.meta.url);
  const [readme] = code(await Deno.readTextFile(new URL("README.md", root)), /```ts\n([\s\S]*?)```/g);
  const [example] = code(await Deno.readTextFile(new URL("src/mod.ts", root)), /```ts\n([\s\S]*?) \* ```/g);
  const shown = (text: string) => text.split("\n").filter((line) => !/assert/.test(line)).join("\n").trim();
  assertEquals(shown(readme), shown(example));
});
