import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { embedCommand } from "../../src/cli/embed.ts";
import { evaluateCommand } from "../../src/cli/evaluate.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { searchCommand } from "../../src/cli/search.ts";
import { openGpu } from "../../src/host/adapter.ts";
import { openCheckpoint } from "../../src/pretrain/checkpoint.ts";
import { openRunData } from "../../src/pretrain/run_data.ts";
import { KnnWatch, share } from "../../src/pretrain/watch.ts";
import { readModel } from "../../src/extract/model_file.ts";
import { readSafetensors, writeSafetensors } from "../../src/store/safetensors.ts";
import { cliTest, createRun, runInProcess } from "./run_command.ts";

async function evaluate(...args: string[]) {
  const { status, out, err } = await runInProcess(evaluateCommand, ["--json", ...args]);
  return { status, result: JSON.parse(out), err };
}

const drawn = ["--data", "synthetic:40", "--test-data", "synthetic:20"];

async function linesOf(path: string) {
  return (await Deno.readTextFile(path)).trimEnd().split("\n").map((line) => JSON.parse(line));
}

cliTest(
  "evaluate judges a run's smallest and largest by frozen features, beside baselines",
  async (folder) => {
    const run = `${folder}/run`;
    await createRun(run);
    const { status, result, err } = await evaluate("--run", run, "--protocol", "knn", "--baselines");
    assertEquals(status, 0, err);
    assertEquals([result.protocol, result.images, result.classes.length], [
      "knn",
      { train: 32, test: 8 },
      10,
    ]);
    const { k, temperature, features, encoder, calibrate } = result.settings;
    assertEquals([k, temperature, features, encoder, calibrate], [
      200,
      0.1,
      "pooled",
      "query",
      2048,
    ]);
    assertEquals(result.results.map(({ arch }: { arch: string }) => arch), [
      "4-4.6.16-1.1.1",
      "8-8.12.16-2.2.2",
    ]);
    for (const line of result.results) {
      assertEquals(Object.keys(line).sort(), [
        ...["accuracy", "arch", "chosen", "interval", "macs", "network", "params", "perClass", "untrained"],
      ]);
      assert(
        Number.isInteger(8 * line.accuracy) && line.interval[0] <= line.accuracy &&
          line.interval[1] > line.accuracy,
      );
      assertEquals(line.perClass.length, 10);
    }
    assertEquals(result.baselines.map(({ name }: { name: string }) => name), ["raw pixels"]);
    assertEquals(result.file, `${run}/evaluate-knn/results.jsonl`);
    const [header, ...lines] = await linesOf(result.file);
    assertEquals([header.protocol, header.settings], ["knn", result.settings]);
    assertEquals(
      lines.map(({ accuracy }) => accuracy),
      result.results.map(({ accuracy }: never) => accuracy),
    );
    const confusion: number[][] = lines[0].confusion;
    assertEquals(confusion.flat().reduce((sum, count) => sum + count), 8);
    assertStringIncludes(await Deno.readTextFile(result.report), "4-4.6.16-1.1.1");
    const names = (await Array.fromAsync(Deno.readDir(`${run}/evaluate-knn`))).map(({ name }) => name).sort();
    assertEquals(names, ["report.html", "results.jsonl"]);

    // The run's own kNN sees the same, from as many images.
    const own = await evaluate("--run", run, "--protocol", "knn", "--calibrate", "16", "--seed", "3");
    assertEquals(own.status, 0, own.err);
    using gpu = await openGpu();
    using state = await openCheckpoint(gpu, `${run}/checkpoints/last.safetensors`);
    const config = { ...state.config, knn: { ...state.config.knn, calibrate: 16 } };
    const data = await openRunData(gpu, config, {});
    const expected = share(await new KnnWatch(state, config, data.knn!).rightOf(state.space.max));
    data.release();
    assertEquals(own.result.results[1].accuracy, expected);

    // Again, and by other solvers: what is there is an evaluation's own. A run's seed is its networks': untrained is untrained.
    for (const solver of ["lbfgs", "sgd"]) {
      const flags = ["--arch", "min", "--solver", solver, "--seed", "3", "--out", `${run}/evaluate-knn`];
      const linear = await evaluate("--run", run, ...flags, ...(solver === "sgd" ? [] : ["--baselines"]));
      assertEquals(linear.status, 0, linear.err);
      assertEquals([linear.result.protocol, linear.result.settings.solver], ["linear", solver]);
      const [{ chosen, accuracy, untrained }] = linear.result.results;
      assertEquals(Object.keys(chosen), solver === "sgd" ? [] : ["regularisation"]);
      assertEquals(untrained, solver === "sgd" ? undefined : accuracy);
    }
    const people = await runInProcess(evaluateCommand, ["--run", run, "--protocol", "knn"]);
    assertMatch(people.out, /^4-4\.6\.16-1\.1\.1 .* % +\S+ to \S+$/m);
    assertMatch(people.out, /knn: 32 labelled images to train on, 8 to test on, 10 classes/);
  },
);

cliTest(
  "evaluate takes architectures from a ranking, the momentum encoder, and models of several sizes",
  async (folder) => {
    const run = `${folder}/run`;
    await createRun(run);
    const searched = await runInProcess(searchCommand, ["--run", run, "--images", "16", "--all", "--json"]);
    assertEquals(searched.status, 0, searched.err);
    const { groups, ranking } = JSON.parse(searched.out);
    const knn = ["--protocol", "knn", "--neighbours", "5"];
    const best = await evaluate("--run", run, ...knn, "--from", ranking, "--best-per-group");
    assertEquals(best.status, 0, best.err);
    assertEquals(
      best.result.results.map(({ arch }: { arch: string }) => arch).sort(),
      groups.map(({ best }: { best: { arch: string } }) => best.arch).sort(),
    );
    // The keys' encoder is a copy of the queries' until something is trained.
    const momentum = await evaluate("--run", run, ...knn, "--arch", "min", "--encoder", "momentum");
    const query = await evaluate("--run", run, ...knn, "--arch", "min");
    assertEquals(momentum.status, 0, momentum.err);
    assertEquals(momentum.result.settings.encoder, "momentum");
    assertEquals(momentum.result.results[0].accuracy, query.result.results[0].accuracy);

    const larger = `${folder}/larger`;
    await createRun(larger, ["data.imageSize=24"]);
    const models: string[] = [];
    for (const from of [run, larger]) {
      const model = `${folder}/${models.length}.safetensors`;
      const cut = ["--run", from, "--arch", "min", "--out", model, "--data", "synthetic:32"];
      assertEquals((await runInProcess(extractCommand, cut)).status, 0);
      models.push(model);
    }
    const given = models.flatMap((model) => ["--model", model]);
    const both = await evaluate(...given, ...drawn, "--protocol", "linear");
    assertEquals(both.status, 0, both.err);
    assertEquals(both.result.settings.calibrate, "the model's own");
    const [small, large] = both.result.results;
    assertEquals([small.network, large.network, small.params === large.params], [...models, true]);
    assert(large.macs > 2 * small.macs);
    assertEquals(both.result.file, `${folder}/0-linear/results.jsonl`);
  },
);

const tuning = ["--arch", "min", ...drawn, "--epochs", "1", "--batch", "8"];

cliTest(
  "evaluate fine-tunes on all labels or a part, and saves networks with their classifier",
  async (folder) => {
    const run = `${folder}/run`;
    await createRun(run);
    const tune = await evaluate(
      "--run",
      run,
      "--protocol",
      "finetune",
      ...tuning,
      "--learning-rates",
      "0.05",
    );
    assertEquals(tune.status, 0, tune.err);
    assertEquals(tune.result.images, { train: 40, test: 20 });
    const [{ chosen, accuracy, files }] = tune.result.results;
    assertEquals(chosen, { learningRate: 0.05, headFactor: 10 });
    const [weights, onnx] = files;
    assertEquals(weights, `${run}/evaluate-finetune/4-4.6.16-1.1.1.safetensors`);
    assert((await Deno.stat(onnx)).size > 1000);
    const model = await readModel(weights);
    assertEquals([model.classes, model.calibration], [tune.result.classes, {
      images: 40,
      source: "synthetic:40",
    }]);
    // Its features say as much as before; embed and extract's readers take it.
    const embedded = `${folder}/features.safetensors`;
    const embed = await runInProcess(embedCommand, [
      "--model",
      weights,
      "--data",
      "synthetic:10",
      "--out",
      embedded,
    ]);
    assertEquals(embed.status, 0, embed.err);
    assertEquals((await readSafetensors(embedded)).tensors.get("features")!.shape, [10, 16]);
    const judged = await evaluate("--model", weights, "--protocol", "knn", ...drawn);
    assertEquals(judged.status, 0, judged.err);
    // Fine-tuned again, the network gets another classifier.
    const again = await evaluate("--model", weights, "--protocol", "finetune", "--epochs", "1", ...drawn);
    assertEquals(again.status, 0, again.err);

    const semi = [
      "--protocol",
      "semi",
      "--fraction",
      "0.5",
      "--learning-rates",
      "1e30,0.05",
      "--head-factors",
      "10",
    ];
    const half = await evaluate("--run", run, ...semi, ...tuning);
    assertEquals(half.status, 0, half.err);
    assertEquals(half.result.images.train, 20);
    assertEquals(half.result.settings.fraction, 0.5);
    const { validationAccuracy, ...rates } = half.result.results[0].chosen;
    assertEquals(rates, { learningRate: 0.05, headFactor: 10 });
    assert(validationAccuracy >= 0 && validationAccuracy <= 1);
    assertStringIncludes(half.err, "diverged with the learning rate 1e+30");
    assert(accuracy >= 0);

    // What cannot be trained leaves nothing behind that would stand in the way.
    const out = `${folder}/diverges`;
    const diverge = ["--run", run, "--protocol", "finetune", ...tuning, "--out", out, "--learning-rates"];
    for (const rates of ["1e30", "1e29,1e30"]) {
      const failed = await evaluate(...diverge, rates);
      assertEquals([failed.status, failed.result.error.code], [1, 1]);
      assertStringIncludes(failed.err, "Give lower ones with --learning-rates");
      assertEquals(await Array.fromAsync(Deno.readDir(out)), []);
    }
    assertEquals((await evaluate(...diverge, "0.01")).status, 0);

    // Other files of the same names are left alone.
    const plain = `${folder}/plain`;
    await Deno.mkdir(plain);
    const cut = ["--run", run, "--arch", "min", "--out", `${plain}/4-4.6.16-1.1.1.safetensors`];
    assertEquals((await runInProcess(extractCommand, cut)).status, 0);
    const over = await evaluate("--run", run, "--protocol", "finetune", ...tuning, "--out", plain);
    assertEquals(over.status, 2);
    assertStringIncludes(over.err, "is not a fine-tuned model that this command wrote");
  },
);

cliTest("evaluate that was interrupted goes on to the same results", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const flags = (out: string) => [
    ...["--run", run, "--protocol", "finetune", "--arch", "max", ...tuning, "--out", `${folder}/${out}`],
  ];
  const whole = await evaluate(...flags("whole"));
  assertEquals(whole.status, 0, whole.err);

  // As it is after the first network was judged: its line is there, its files are.
  await Deno.mkdir(`${folder}/parts`);
  const [header, first] = (await Deno.readTextFile(whole.result.file)).split("\n");
  const interrupted = `${folder}/parts/interrupted.jsonl`;
  await Deno.writeTextFile(interrupted, `${header}\n${first}\n`);
  const without = await evaluate(...flags("parts"));
  assertEquals(without.status, 2);
  assertStringIncludes(without.err, "--resume");
  const other = await evaluate(...flags("parts"), "--resume", "--seed", "2");
  assertEquals(other.status, 2);
  assertStringIncludes(other.err, "had other settings");
  for (const damaged of ["{", "null\n", "", `${header}\n{}\n`]) {
    await Deno.writeTextFile(interrupted, damaged);
    const { status, err } = await evaluate(...flags("parts"), "--resume");
    assertEquals(status, 1, err);
    assertStringIncludes(err, "is damaged. Remove it to begin anew");
  }
  await Deno.writeTextFile(interrupted, `${header}\n${first}\n`);
  const rest = await evaluate(...flags("parts"), "--resume");
  assertEquals(rest.status, 0, rest.err);
  assertEquals(await Deno.readTextFile(rest.result.file), await Deno.readTextFile(whole.result.file));
  const withoutFiles = ({ results }: { results: { files: string[] }[] }) =>
    results.map(({ files, ...line }) => ({ ...line, files: files.length }));
  assertEquals(withoutFiles(rest.result), withoutFiles(whole.result));
  assertEquals(
    await Array.fromAsync(Deno.readDir(`${folder}/parts`), ({ name }) => name).then((all) => all.length),
    4,
  );

  // One that an interrupted fine-tuning left, of images that were others then, is refused; without --resume it is forgotten.
  const stale = `${folder}/stale`;
  await Deno.mkdir(stale);
  const kept = `${stale}/8-8.12.16-2.2.2.interrupted.safetensors`;
  const metadata = { format: "scion-finetune-1", step: "0", about: "another", losses: "{}" };
  await writeSafetensors(kept, new Map(), metadata);
  await Deno.writeTextFile(`${stale}/interrupted.jsonl`, `${header}\n`);
  const refused = await evaluate(...flags("stale"), "--resume");
  assertEquals(refused.status, 1);
  assertStringIncludes(refused.err, "is damaged, or no fine-tuning of this version");
  await Deno.remove(`${stale}/interrupted.jsonl`);
  const anew = await evaluate(...flags("stale"));
  assertEquals(anew.status, 0, anew.err);
  assertEquals(await Deno.readTextFile(anew.result.file), await Deno.readTextFile(whole.result.file));
});
