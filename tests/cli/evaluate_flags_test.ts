/** Flags of evaluate that do not go together. */
import { assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { evaluateCommand } from "../../src/cli/evaluate.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

async function evaluate(...args: string[]) {
  const { status, out, err } = await runInProcess(evaluateCommand, ["--json", ...args]);
  return { status, result: JSON.parse(out), err };
}

const drawn = ["--data", "synthetic:40", "--test-data", "synthetic:20"];

cliTest("flags that do not go together are refused", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const model = ["--model", "a.safetensors"];
  for (
    const [args, message] of [
      [[], "either --run DIR"],
      [["--run", run, ...model], "either --run DIR"],
      [model, "--model needs --data and --test-data"],
      [[...model, ...drawn, "--arch", "max"], "--arch goes with --run only"],
      [[...model, ...drawn, "--encoder", "momentum"], "--encoder momentum goes with --run only"],
      [[...model, ...drawn, "--best"], "--best goes with --run only"],
      [[...model, ...model, ...drawn], "given twice"],
      [["--model", "a.onnx", ...drawn], "deno task embed"],
      [["--run", run, "--data", "synthetic:10"], "both --data and --test-data"],
      [["--run", run, "--test-data", "synthetic:10"], "both --data and --test-data"],
      [["--run", run, "--from", "a.json"], "--from needs --best"],
      [["--run", run, "--best", "--arch", "max"], "--arch and a choice"],
      [["--run", run, "--best-per-group"], "There is no ranking"],
      [["--run", run, "--arch", "5-5.5.5-1.1.1"], "5-5.5.5-1.1.1"],
      [["--run", run, "--checkpoint", "epoch-9"], "no such checkpoint"],
      [
        ["--run", run, "--neighbours", "3"],
        "--neighbours goes with --protocol knn only, and the protocol is linear",
      ],
      [["--run", run, "--protocol", "knn", "--solver", "sgd"], "--solver goes with --protocol linear"],
      [["--run", run, "--protocol", "finetune", "--fraction", "0.1"], "--fraction goes with --protocol semi"],
      [["--run", run, "--protocol", "knn", "--learning-rates", "1"], "--learning-rates goes with"],
      [["--run", run, "--protocol", "semi", "--learning-rates", "0,1"], '--learning-rates cannot be "0,1"'],
      [["--run", run, "--protocol", "semi", "--head-factors", "a"], '--head-factors cannot be "a"'],
      [["--run", run, "--protocol", "semi", "--fraction", "2"], "--fraction"],
      [["--run", run, "--protocol", "semi", "--baselines"], "--baselines goes with"],
      [["--run", run, "--calibrate", "1"], "--calibrate cannot be 1"],
      [["--run", run, "--protocol", "finetune", "--calibrate", "0"], "--calibrate 0 keeps"],
      [["--run", run, "--protocol", "vote"], "--protocol"],
      [["--run", run, "--out", run], "is the folder of a run"],
    ] as const
  ) {
    const { status, result, err } = await evaluate(...args);
    assertEquals(status, 2, `${args.join(" ")}: ${err}`);
    assertStringIncludes(result.error.message, message);
    assertNotEquals(err, "");
  }
  const taught = `${folder}/taught`;
  await createRun(taught, ["distillation.teacher=self", "distillation.moco=0"]);
  // A run that learns from a teacher alone has a moving average, too.
  const average = await evaluate("--run", taught, "--protocol", "knn", "--encoder", "momentum");
  assertEquals(average.status, 0, average.err);
  const checkpoint = `${run}/checkpoints/last.safetensors`;
  const { status, err } = await evaluate("--model", checkpoint, ...drawn, "--out", `${folder}/out`);
  assertEquals(status, 1);
  assertStringIncludes(err, "is a checkpoint, not an extracted model");
});
