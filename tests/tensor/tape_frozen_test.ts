/** Frozen parameters: constants to every operation, and what they save. */
import { assert, assertEquals } from "@std/assert";
import { batchnorm } from "../../src/tensor/ops/batchnorm.ts";
import { convolution } from "../../src/tensor/ops/convolution.ts";
import { relu } from "../../src/tensor/ops/elementwise.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { globalAveragePool } from "../../src/tensor/ops/pool.ts";
import type { Parameter } from "../../src/tensor/parameter.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { gpuTest, randomTensor } from "../helpers.ts";
import { frozen, randomParameter } from "./tape_helpers.ts";

gpuTest("frozen parameters are skipped by every operation, and change no other gradient", async (gpu) => {
  using images = randomTensor(gpu, [4, 3, 6, 6], 1);
  const parameters = Object.fromEntries(
    ([["kernel", [5, 3, 3, 3]], ["offset", [5]], ["weight", [5]], ["bias", [5]], ["rows", [2, 5]], ["last", [
      2,
    ]]] as const)
      .map(([name, shape], at) => [name, randomParameter(gpu, name, shape, 10 + at)]),
  );
  const running = { mean: Tensor.zeros(gpu, [5]), variance: Tensor.from(gpu, new Float32Array(5).fill(1)) };
  using start = randomTensor(gpu, [4, 2], 2);
  const run = async (trained: readonly string[], watched: boolean, training: boolean) => {
    const all = Object.values(parameters);
    for (const { gradient } of all) gpu.stream.clear(gradient!);
    const of = (name: string) => trained.includes(name) ? parameters[name] : frozen(parameters[name]);
    using tape = new Tape(gpu, true);
    if (watched) tape.watch(images);
    const maps = convolution(tape, images, of("kernel"), { bias: of("offset"), padding: 1 });
    const normalised = batchnorm(tape, maps, of("weight"), of("bias"), running, { training, relu: true });
    tape.backward([linear(tape, globalAveragePool(tape, normalised), of("rows"), of("last")), start]);
    const bytes = await gpu.read(...all.map(({ gradient }) => gradient!));
    const found = new Map(all.map(({ name }, at) => [name, new Float32Array(bytes[at])]));
    using gradient = watched ? tape.take(images)! : undefined;
    if (gradient) found.set("images", await gradient.read());
    return found;
  };
  const names = Object.keys(parameters);
  for (const training of [true, false]) {
    const full = await run(names, true, training);
    for (const trained of [...names.map((name) => [name]), ["kernel", "last"], ["weight", "rows"], []]) {
      for (const watched of trained.length === 0 ? [true] : [true, false]) {
        const { used } = gpu.pool.use;
        const found = await run(trained, watched, training);
        assertEquals(gpu.pool.use.used, used);
        for (const [name, gradient] of found) {
          const expected = trained.includes(name) || name === "images"
            ? full.get(name)!
            : gradient.map(() => 0);
          assertEquals(gradient, expected, `${name} where ${trained} are trained`);
        }
      }
    }
  }
});

gpuTest("a frozen part costs what inference costs; a trained head keeps what it reads", async (gpu) => {
  using images = randomTensor(gpu, [8, 16, 32, 32], 1);
  const kernels = [1, 2, 3, 4].map((seed) => randomParameter(gpu, "kernel", [16, 16, 1, 1], seed));
  const head = randomParameter(gpu, "head", [4, 16], 5);
  using start = randomTensor(gpu, [8, 4], 6);
  const start0 = gpu.pool.use.used;
  const held = async (kernel: (one: Parameter) => Parameter, recording: boolean) => {
    gpu.stream.clear(head.gradient!);
    using tape = new Tape(gpu, recording);
    const maps = kernels.reduce(
      (input, one) => tape.scope(() => relu(tape, convolution(tape, input, kernel(one)))),
      images,
    );
    const result = tape.scope(() => linear(tape, globalAveragePool(tape, maps).view([8, 16]), head));
    const { used } = gpu.pool.use;
    if (recording) tape.backward([result, start]);
    return { bytes: used - start0, gradient: await head.gradient!.read() };
  };
  const [inference, training, frozenBackbone] = [
    await held(frozen, false),
    await held((one) => one, true),
    await held(frozen, true),
  ];
  const pooledBytes = 4 * 8 * 16;
  assertEquals(frozenBackbone.bytes, inference.bytes + pooledBytes);
  assert(training.bytes > 1.7 * inference.bytes, `${training.bytes} beside ${inference.bytes}`);
  assertEquals(frozenBackbone.gradient, training.gradient);
  assertEquals(gpu.pool.use.used, start0);
});

gpuTest(
  "a frozen batchnorm sums nothing in its backward pass; a trained one writes to memory apart",
  async (gpu) => {
    using input = randomTensor(gpu, [2, 5, 3, 3], 1);
    using start = randomTensor(gpu, [2, 5, 3, 3], 2);
    const [weight, bias] = [randomParameter(gpu, "weight", [5], 3), randomParameter(gpu, "bias", [5], 4)];
    const running = { mean: Tensor.zeros(gpu, [5]), variance: Tensor.from(gpu, new Float32Array(5).fill(1)) };
    const launched: string[] = [];
    const dispatch = gpu.stream.dispatch.bind(gpu.stream);
    gpu.stream.dispatch = (call) => {
      launched.push(call.kernel.name);
      const written = [call.buffers.gradWeight, call.buffers.gradBias].flatMap((range) =>
        range?.storage ?? []
      );
      assertEquals(new Set(written).size, written.length, "two bindings write to one memory");
      dispatch(call);
    };
    const run = async (training: boolean, ...[first, second]: Parameter[]) => {
      using tape = new Tape(gpu, true);
      tape.watch(input);
      const output = batchnorm(tape, input, first, second, running, { training, relu: true });
      launched.length = 0;
      tape.backward([output, start]);
      using gradient = tape.take(input)!;
      return await gradient.read();
    };
    const whole = await run(false, weight, bias);
    assert(launched.includes("batchnorm_gradient_finish"));
    assertEquals(await run(false, frozen(weight), frozen(bias)), whole);
    assertEquals(launched, ["batchnorm_gradient_apply"]);

    await run(true, frozen(weight), frozen(bias));
    assert(launched.includes("batchnorm_gradient_finish"));
  },
);
