import { assertEquals } from "@std/assert";
import { Arena, ArenaLayout } from "../../src/nn/arena.ts";
import { FinitenessCheck } from "../../src/nn/finiteness.ts";
import { findNonfinite, firstNonfinite } from "../../src/tensor/ops/find_nonfinite.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest, randomValues } from "../helpers.ts";

const bits = (word: number) => new Float32Array(Uint32Array.of(word).buffer)[0];

/** Quiet and signalling NaN of both signs with various payloads, and infinities, as bits. */
const notFinite = [0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff];
/** The largest and smallest finite numbers, denormal ones, both zeros. */
const finite = [0x7f7fffff, 0xff7fffff, 0x00000001, 0x80000001, 0x007fffff, 0, 0x80000000];

gpuTest("the first value that is not finite is found wherever it is, whatever its bits", async (gpu) => {
  // Lengths below, at and beyond one workgroup and one turn.
  for (const length of [4, 256, 2048, 100_004]) {
    const values = randomValues(length, length);
    finite.slice(0, length).forEach((word, at) => values[(at * 37) % length] = bits(word));
    const result = Tensor.zeros(gpu, [2]);
    const find = async (words: Uint32Array<ArrayBuffer>) => {
      gpu.stream.clear(result);
      const input = Tensor.from(gpu, words);
      findNonfinite(gpu, input, result, 1);
      const [bytes] = await gpu.read(result);
      input.release();
      assertEquals(new Uint32Array(bytes)[0], 0, "another slot was written");
      return firstNonfinite(new Uint32Array(bytes)[1], length);
    };
    const words = new Uint32Array(values.buffer);
    assertEquals(await find(words), undefined);
    for (const [number, word] of notFinite.entries()) {
      const first = [0, 1, 2, 3, length - 1, Math.floor(length / 3)][number] % length;
      const damaged = words.slice();
      damaged[first] = word;
      damaged[length - 1] = word;
      assertEquals(await find(damaged), first, `${length} values, ${word.toString(16)}`);
    }
    result.release();
  }
});

gpuTest("the tensor is named, in whichever chunk it lies", async (gpu) => {
  // Chunks of 128 values: two tensors in the first, one in each of the others.
  const layout = new ArenaLayout([["a", [3]], ["b", [64]], ["c", [100]], ["d", [7, 2]]], 512);
  assertEquals(layout.chunkLengths.length, 3);
  const arena = new Arena(gpu, layout);
  const queue = Tensor.zeros(gpu, [4, 4]);
  const check = new FinitenessCheck(gpu, [["encoder_q.", arena], ["queue", queue]]);
  assertEquals(await check.run(), []);
  for (const [name, tensor] of [...arena.entries(), ["", queue] as const]) {
    const values = new Float32Array(tensor.length);
    values[tensor.length - 1] = Infinity;
    tensor.write(values);
    assertEquals(await check.run(), [name === "" ? "queue" : `encoder_q.${name}`]);
    tensor.write(new Float32Array(tensor.length));
  }
  assertEquals(await check.run(), []);
});
