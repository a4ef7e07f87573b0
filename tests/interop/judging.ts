/**
 * Accuracies from embed's files, and correlate's coefficients, are those of NumPy and SciPy: `deno task interop`, where NumPy
 * is installed.
 */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { correlateCommand } from "../../src/cli/correlate.ts";
import { embedCommand } from "../../src/cli/embed.ts";
import { knnAccuracy, type LabelledFeatures } from "../../src/evaluate/knn.ts";
import { linearProbe } from "../../src/evaluate/linear.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { readSafetensors } from "../../src/store/safetensors.ts";
import { worthOfRight } from "../studies/correlate/rights.ts";
import { analyse, type EvaluatedSubnet } from "../../src/studies/correlate/analysis.ts";
import { purpose, Random } from "../../src/random.ts";
import { cliTest, createRun, runInProcess } from "../cli/run_command.ts";
import { withFolder } from "../store/with_folder.ts";
import { findPython } from "./peers.ts";

const python = await findPython("numpy");

/** What a program of this folder prints. */
async function output(script: string, ...args: string[]) {
  const path = new URL(script, import.meta.url).pathname;
  const { success, stdout, stderr } = await new Deno.Command(python!, { args: [path, ...args] }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

cliTest("kNN and linear probe from embed's files have NumPy's accuracy", async (folder) => {
  if (!python) return console.log("skipped: NumPy is not here");
  await createRun(`${folder}/run`);
  const embed = async (name: string, images: number, seed: number): Promise<LabelledFeatures> => {
    for (const format of ["npz", "safetensors"]) {
      const { status, err } = await runInProcess(embedCommand, [
        ...["--run", `${folder}/run`, "--data", `synthetic:${images}`, "--seed", String(seed)],
        ...["--calibrate", "0", "--out", `${folder}/${name}.${format}`],
      ]);
      assertEquals(status, 0, err);
    }
    const { tensors } = await readSafetensors(`${folder}/${name}.safetensors`);
    const { data: values, shape: [rows, dimension] } = tensors.get("features")!;
    return {
      ...{ rows, dimension, values: values as Float32Array<ArrayBuffer> },
      labels: tensors.get("labels")!.data as Int32Array,
    };
  };
  const bank = await embed("bank", 600, 1), queries = await embed("queries", 1000, 2);
  const settings = { neighbours: 20, temperature: 0.1 };
  using gpu = await openGpu();
  const knn = await knnAccuracy(gpu, bank, queries, settings);
  const linear = await linearProbe(bank, queries);
  for (const [bankFormat, queryFormat] of [["npz", "safetensors"], ["safetensors", "npz"]]) {
    const found = await output(
      "probe_check.py",
      ...["--bank", `${folder}/bank.${bankFormat}`, "--queries", `${folder}/queries.${queryFormat}`],
      ...["--neighbours", String(settings.neighbours), "--temperature", String(settings.temperature)],
      ...["--regularisation", String(linear.regularisation)],
    );
    console.log(`kNN ${knn}, linear probe ${linear.accuracy}; NumPy: ${JSON.stringify(found)}`);
    assertAlmostEquals(knn, found.knn, 0.002);
    assertAlmostEquals(linear.accuracy, found.linear, 0.002);
  }
  assert(knn > 0.12 && linear.accuracy > 0.12, "more than chance");
});

async function expectCoefficients(path: string): Promise<void> {
  for (const options of [[], ["--numpy"]]) {
    const found = await output("correlation_check.py", path, ...options);
    console.log(JSON.stringify(found));
    assert(found.largest !== null && found.largest < 1e-12, JSON.stringify(found));
    assert(found.coefficients >= 20);
  }
}

cliTest("correlate's coefficients are SciPy's", async (folder) => {
  if (!python) return console.log("skipped: NumPy is not here");
  await createRun(`${folder}/run`, ["data.source=synthetic:160", "data.heldOut=80"]);
  const args = ["--run", `${folder}/run`, "--subnets", "8", "--images", "16", "--json"];
  const { status, out, err } = await runInProcess(correlateCommand, args);
  assertEquals(status, 0, err);
  await expectCoefficients(JSON.parse(out).file);
});

Deno.test("so they are with many ties, and where a score does not vary", () =>
  withFolder(async (folder) => {
    if (!python) return console.log("skipped: NumPy is not here");
    const random = new Random(1, purpose.test);
    const subnets = Array.from({ length: 40 }, (_, at): EvaluatedSubnet => ({
      zeroCost: {},
      ...{ arch: String(at), macs: 100 * random.integer(9), params: random.integer(5), lastWidth: 8 },
      scores: Object.fromEntries(
        ["a", "b", "c", "d", "e", "f"].map((name) => [name, name === "f" ? 1 : random.integer(at + 2)]),
      ),
      worth: [
        worthOfRight(Uint8Array.from({ length: 12 }, (_, image) => Number(random.chance((at + image) / 60)))),
      ],
    }));
    const { correlations } = analyse(subnets, { groupSize: 300, seed: 1 });
    const rows = subnets.map(({ worth: [first], ...subnet }) => ({ ...subnet, downstream: [first.of()] }));
    const path = `${folder}/correlation.json`;
    await Deno.writeTextFile(path, JSON.stringify({ subnets: rows, correlations }));
    await expectCoefficients(path);
  }));
