/**
 * Runs that start from torchvision's networks give their features before training, and models that are cut out their feature
 * maps: part of `deno task interop`. Not part of `deno task test`, which needs no Python.
 */
import { assert, assertEquals } from "@std/assert";
import { embedCommand } from "../../src/cli/embed.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { cliTest, runInProcess } from "../cli/run_command.ts";
import { randomValues, relativeError } from "../helpers.ts";
import { tolerance } from "./check_model.ts";
import { findPython, torchvisionFeatures } from "./peers.ts";

const side = 64, count = 8;

const cases = [
  { network: "resnet18", file: "weights.pth" },
  { network: "resnet18", file: "weights.safetensors" },
  { network: "resnet34", file: "weights.pth" },
  { network: "resnet50", file: "weights.pth" },
];

for (const { network, file } of cases) {
  cliTest(`torchvision's ${network} from ${file}`, async (folder) => {
    const python = await findPython();
    if (!python) {
      console.log("skipped: torchvision is not here (apt install python3-torch python3-torchvision)");
      return;
    }
    const images = {
      shape: [count, 3, side, side],
      data: randomValues(count * 3 * side * side, 1),
    };
    await writeSafetensors(`${folder}/images.safetensors`, [["images", { dtype: "F32", ...images }]]);
    const script = new URL("make_weights.py", import.meta.url).pathname;
    const args = [script, "--network", network, "--images", `${folder}/images.safetensors`, "--out", folder];
    const { success, stderr } = await new Deno.Command(python, { args }).output();
    assert(success, new TextDecoder().decode(stderr));
    const expected = await readSafetensors(`${folder}/features.safetensors`);

    const data = `tensor:${folder}/images.safetensors`;
    const small = { "data.imageSize": side, "training.batch": 4, "moco.queue": 8, "knn.every": 0 };
    const set = Object.entries({ ...small, "data.heldOut": 0 }).flatMap(([field, value]) => [
      "--set",
      `${field}=${value}`,
    ]);
    const run = `${folder}/run`;
    const started = await runInProcess(
      pretrainCommand,
      ["--init", `${folder}/${file}`, "--data", data, "--out", run, "--epochs", "0", ...set],
    );
    assertEquals(started.status, 0, started.err);

    const embedded = `${folder}/embedded.safetensors`;
    const frozen = ["--run", run, "--arch", "max", "--calibrate", "0"];
    const { status, err } = await runInProcess(
      embedCommand,
      [...frozen, "--data", data, "--out", embedded],
    );
    assertEquals(status, 0, err);
    const { data: features } = (await readSafetensors(embedded)).tensors.get("features")!;
    const error = relativeError(
      features as Float32Array,
      expected.tensors.get("features")!.data as Float32Array,
    );
    console.log(`${network} from ${file}: features ${error.toExponential(1)}`);
    assert(error <= tolerance, `features: relative error ${error}`);

    const model = `${folder}/model.safetensors`;
    const cut = await runInProcess(extractCommand, [...frozen, "--out", model]);
    assertEquals(cut.status, 0, cut.err);
    const { features: maps } = await torchvisionFeatures(python, model, images, folder);
    for (const [name, map] of maps) {
      const wanted = expected.tensors.get(name)!.data as Float32Array;
      // The same weights in the same order: not even a rounding differs.
      assertEquals(relativeError(map.data, wanted), 0, `${name} of the model`);
    }
  });
}
