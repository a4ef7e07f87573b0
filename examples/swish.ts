/** A kernel of one's own, with its gradient: swish(x) = x sigmoid(x). Run it: `deno run -A examples/swish.ts` */
import { kernel, linearGrid, openGpu, Tape, Tensor } from "@scion/scion/engine";

const swishKernel = kernel(
  "swish",
  `
  struct Params { count: u32, }
  @group(0) @binding(0) var<uniform> params: Params;
  @group(0) @binding(1) var<storage, read> input: array<f32>;
  #if GRADIENT
  @group(0) @binding(2) var<storage, read> gradOutput: array<f32>;
  #end
  @group(0) @binding(3) var<storage, read_write> output: array<f32>;
  @compute @workgroup_size(64)
  fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.count) { return; }
    let x = input[id.x];
    let sigmoid = 1.0 / (1.0 + exp(-x));
    output[id.x] = \${GRADIENT ? "gradOutput[id.x] * sigmoid * (1.0 + x * (1.0 - sigmoid))" : "x * sigmoid"};
  }`,
);

/** swish(input), for an input of any shape. */
export function swish(tape: Tape, input: Tensor): Tensor {
  const launch = (gradOutput: Tensor | undefined, output: Tensor) =>
    tape.gpu.stream.dispatch({
      kernel: swishKernel,
      constants: { GRADIENT: gradOutput !== undefined },
      buffers: { input, gradOutput, output },
      params: { count: input.length },
      grid: linearGrid(input.length, 64),
      turns: 0,
    });
  const output = tape.create(input.shape);
  launch(undefined, output);
  tape.record({
    operation: "swish",
    result: output,
    inputs: [input],
    backward(gradOutput) {
      using gradient = Tensor.create(tape.gpu, input.shape);
      launch(gradOutput, gradient);
      tape.addGradient(input, gradient);
    },
  });
  return output;
}

if (import.meta.main) {
  using gpu = await openGpu();
  using tape = new Tape(gpu, true);
  using input = Tensor.from(gpu, Float32Array.of(-2, 0, 3));
  tape.watch(input);
  const output = swish(tape, input);
  console.log("swish", await output.read());
  tape.backward([output, Tensor.from(gpu, Float32Array.of(1, 1, 1))]);
  console.log("gradient", await tape.take(input)!.read());
}
