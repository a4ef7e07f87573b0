/** Whole pretraining steps against PyTorch (tests/golden/exact_step.py). */
import { parseConfig } from "../../src/config/load.ts";
import { learningRate } from "../../src/train/schedule.ts";
import { PretrainState } from "../../src/pretrain/state.ts";
import { recordStep } from "../../src/train/step.ts";
import { stateTensors } from "../../src/pretrain/checkpoint.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest } from "../helpers.ts";

for (const name of ["step_single", "step_pair", "step_groups", "step_bottleneck", "step_distillation"]) {
  gpuTest(`two steps of ${name}`, async (gpu) => {
    const path = new URL(`../golden/${name}.safetensors`, import.meta.url).pathname;
    const { tensors, metadata } = await readSafetensors(path);
    const values = (tensor: string) => {
      const found = tensors.get(tensor);
      if (!found) throw new Error(`no golden tensor ${tensor}`);
      return found.data as Float32Array<ArrayBuffer>;
    };
    const config = parseConfig(JSON.parse(metadata.config), name);
    const architectures: string[][] = JSON.parse(metadata.architectures);
    const state = new PretrainState(gpu, config);
    for (const [tensorName, tensor] of stateTensors(state)) tensor.write(values(`initial.${tensorName}`));
    state.objective.counters.queue_pointer = values("initial.queue_pointer")[0];

    const shape = tensors.get("images")!.shape;
    const order = values("order");
    const imageLength = shape[1] * shape[2] * shape[3];
    const batch = new Float32Array(order.length * imageLength);
    order.forEach((image, row) =>
      batch.set(values("images").subarray(image * imageLength, (image + 1) * imageLength), row * imageLength)
    );
    const images = Tensor.from(gpu, batch, [order.length, ...shape.slice(1)]);
    const losses = Tensor.create(gpu, [3]);

    for (const step of [0, 1]) {
      const passes = architectures[step].map((text) => state.space.resolve(text));
      await recordStep(state, {
        views: [{ images }, { images }],
        architectures: passes,
        learningRate: learningRate(config.optimizer, step, 1, config.training.epochs),
        losses,
      });
      const found = (await losses.read()).subarray(0, passes.length);
      assertClose(
        found,
        values(`step${step + 1}.losses`),
        step === 0 ? 1e-5 : 1e-4,
        `losses of step ${step + 1}`,
      );
      for (const [tensorName, tensor] of stateTensors(state)) {
        const expected = values(`step${step + 1}.${tensorName}`);
        assertClose(await tensor.read(), expected, 1e-4, `${tensorName} after step ${step + 1}`);
      }
    }
    state.release();
  });
}
