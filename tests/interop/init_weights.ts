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

const cases: readonly { network: string; file: string; set?: readonly string[] }[] = [
  { network: "resnet18", file: "weights.pth" },
  // Its first stage gets a projection, which torchvision's has not.
  { network: "resnet18", file: "weights.pth", set: ["space.stem.widths=[32,64]", "space.widths.0=[32,64]"] },
  { network: "resnet18", file: "weights.safetensors" },
  { network: "resnet34", file: "weights.pth" },
  { network: "resnet50", file: "weights.pth" },
];

for (const { network, file, set: changes = [] } of cases) {
  cliTest([`torchvision's ${network} from ${file}`, ...changes].join(" "), async (folder) => {
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
    const fields = Object.entries({ ...small, "data.heldOut": 0 }).map((entry) => entry.join("="));
    const set = [...fields, ...changes].flatMap((field) => ["--set", field]);
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
      // The same weights in the same order: not even a rounding differs, unless a batchnorm is passed that was not there.
      const error = relativeError(map.data, wanted);
      assert(
        error <= (changes.length === 0 ? 0 : tolerance),
        `${name} of the model: relative error ${error}`,
      );
    }
  });
}
