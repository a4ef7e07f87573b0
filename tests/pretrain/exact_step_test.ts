/** Whole pretraining steps against PyTorch (tests/golden/exact_step.py). */
import { parseConfig } from "../../src/config/load.ts";
import { learningRate } from "../../src/train/schedule.ts";
import { PretrainState } from "../../src/pretrain/state.ts";
import { recordStep } from "../../src/train/step.ts";
import { stateTensors } from "../../src/train/state_file.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, gpuTest } from "../helpers.ts";

const names = [
  "single",
  "pair",
  "groups",
  "bottleneck",
  "distillation",
  "teacher",
  "teacher_moco",
  "teacher_self",
];

for (const name of names.map((name) => `step_${name}`)) {
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
    for (const counter of Object.keys(state.objective.counters)) {
      state.objective.counters[counter] = values(`initial.${counter}`)[0];
    }

    const shape = tensors.get("images")!.shape;
    const order = values("order");
    const inOrder = (tensor: string) => {
      const columns = values(tensor).length / shape[0];
      const rows = new Float32Array(order.length * columns);
      order.forEach((image, row) =>
        rows.set(values(tensor).subarray(image * columns, (image + 1) * columns), row * columns)
      );
      return Tensor.from(gpu, rows, [order.length, ...tensors.get(tensor)!.shape.slice(1)]);
    };
    const images = inOrder("images");
    const targets = tensors.has("targets") ? inOrder("targets") : undefined;
    const losses = Tensor.create(gpu, [3]);

    for (const step of [0, 1]) {
      const passes = architectures[step].map((text) => state.space.resolve(text));
      await recordStep(state, {
        views: [{ images }, { images }],
        architectures: passes,
        learningRate: learningRate(config.optimizer, step, 1, config.training.epochs),
        losses,
        targets,
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
