import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { embedCommand } from "../../src/cli/embed.ts";
import { evaluateCommand } from "../../src/cli/evaluate.ts";
import { extractCommand } from "../../src/cli/extract.ts";
import { pretrainCommand } from "../../src/cli/pretrain.ts";
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

/** Folders of a class each, whose shade tells them apart. */
async function writeShades(
  folder: string,
  classes: readonly string[],
  images: number,
  start = 0,
): Promise<void> {
  const { default: sharp } = await import("sharp");
  for (const name of classes) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    for (let image = 0; image < images; image++) {
      const background = { r: 80 * (name.charCodeAt(0) % 4), g: start + 3 * image, b: 60 };
      const picture = sharp({ create: { width: 20, height: 16, channels: 3, background } });
      await Deno.writeFile(`${folder}/${name}/${image}.png`, await picture.png().toBuffer());
    }
  }
}

cliTest("images that would make an accuracy worthless are refused, or told", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const [train, test] = [`${folder}/train`, `${folder}/test`];
  await writeShades(train, ["a", "b", "c"], 4);
  await writeShades(test, ["b", "c"], 3, 1);
  const judge = (data: string, testData: string, ...more: string[]) =>
    evaluate(
      "--run",
      run,
      "--arch",
      "min",
      "--data",
      data,
      "--test-data",
      testData,
      "--out",
      `${folder}/out`,
      ...more,
    );
  const knn = ["--protocol", "knn"];

  // Classes are matched by their names: b is the test set's first and the training set's second.
  const sound = await judge(train, test, ...knn, "--neighbours", "1", "--baselines");
  assertEquals(sound.status, 0, sound.err);
  assertEquals(sound.result.baselines[0].accuracy, 1);
  assertEquals(sound.result.results[0].perClass[0], null);
  await Deno.copyFile(`${train}/b/0.png`, `${test}/b/copy.png`);
  const copied = await judge(train, test, ...knn);
  assertStringIncludes(
    copied.err,
    "1 of the 7 files of --test-data are copies of files of --data (b/copy.png)",
  );

  await Deno.symlink(train, `${folder}/link`);
  await Deno.mkdir(`${folder}/flat`);
  await Deno.copyFile(`${train}/a/0.png`, `${folder}/flat/0.png`);
  await writeShades(`${folder}/one`, ["a"], 3);
  await writeShades(`${folder}/onlyA`, ["a"], 2, 90);
  await writeShades(`${folder}/single`, ["a"], 1, 50);
  await writeShades(`${folder}/single`, ["b"], 2, 50);
  await writeShades(`${folder}/more`, ["b", "zebra"], 2, 150);
  for (
    const [data, testData, message, more] of [
      [train, `${train}/`, "share images: 12 of", knn],
      [train, `${folder}/link`, "share images: 12 of", knn],
      [train, train, "the same images", knn],
      [`${folder}/flat`, test, "no labels", knn],
      [train, `${folder}/flat`, "--test-data", knn],
      [train, `${folder}/more`, 'the class "zebra"', knn],
      [`${folder}/one`, `${folder}/onlyA`, "one class only (a)", knn],
      [`${folder}/one`, `${folder}/one/`, "share images", ["--protocol", "finetune"]],
      [`${folder}/single`, `${folder}/onlyA`, 'a single image of the class "a"', []],
      [`${folder}/nowhere`, test, "does not exist", knn],
    ] as const
  ) {
    const { status, err } = await judge(data, testData, ...more);
    assertEquals(status, 2, err);
    assertStringIncludes(err, message);
  }

  // Drawn images to test on are others than those to train on.
  const same = await judge(
    "synthetic:40",
    "synthetic:40",
    ...knn,
    "--neighbours",
    "1",
    "--calibrate",
    "0",
    "--baselines",
  );
  assertEquals(same.status, 0, same.err);
  assert(same.result.baselines[0].accuracy < 1);

  // Ready-made inputs have their size, and no crops.
  const ready = async (name: string, side: number, labels: number[]) => {
    const data = Float32Array.from({ length: labels.length * 3 * side ** 2 }, (_, at) => Math.sin(at * at));
    await writeSafetensors(`${folder}/${name}.safetensors`, [
      ["images", { dtype: "F32", shape: [labels.length, 3, side, side], data }],
      ["labels", { dtype: "I32", shape: [labels.length], data: Int32Array.from(labels) }],
    ], {});
    return `tensor:${folder}/${name}.safetensors`;
  };
  const right = await ready("right", 16, [0, 1, 0, 1, 0, 1, 0, 1]);
  const few = await ready("few", 16, [1, 0]), wrong = await ready("wrong", 12, [0, 1]);
  const tuned = await judge(right, few, "--protocol", "finetune", "--epochs", "1");
  assertEquals(tuned.status, 0, tuned.err);
  assertStringIncludes(tuned.err, "without crops and flips");
  const sized = await judge(right, wrong, ...knn);
  assertEquals(sized.status, 1);
  assertStringIncludes(sized.err, "12 x 12 pixels");
  const classless = await judge(right, await ready("third", 16, [0, 2]), ...knn);
  assertEquals(classless.status, 2);
  assertStringIncludes(classless.err, "images of the class 2");
  const scarce = ["--protocol", "semi", "--fraction", "0.0001", "--epochs", "1", "--learning-rates", "0.01"];
  const least = await judge(train, test, ...scarce, "--head-factors", "1");
  assertEquals(least.result.images.train, 6, least.err);
  assertStringIncludes(least.err, "0.0001 of 12 labels are 0.0004 of each class; 2 of each are used");
});

cliTest("images of a run that are others now, or gone, are named with what to give", async (folder) => {
  const [images, run] = [`${folder}/images`, `${folder}/run`];
  await writeShades(images, ["a", "b"], 6);
  const config = ["--set", "data.imageSize=16", "--set", "training.batch=4", "--set", "data.heldOut=4"];
  const started = await runInProcess(pretrainCommand, [
    ...["--data", images, "--out", run, "--epochs", "0", "--config", "configs/demo.json", ...config],
  ]);
  assertEquals(started.status, 0, started.err);
  const knn = ["--run", run, "--arch", "min", "--protocol", "knn"];
  const judged = await evaluate(...knn);
  assertEquals(judged.status, 0, judged.err);
  assertEquals([judged.result.images, judged.result.classes], [{ train: 8, test: 4 }, ["a", "b"]]);
  await Deno.remove(`${images}/a/0.png`);
  const changed = await evaluate(...knn);
  assertEquals(changed.status, 1);
  assertStringIncludes(changed.err, "Restore the images, or give others with --data and --test-data.");
  await Deno.rename(images, `${folder}/moved`);
  const gone = await evaluate(...knn);
  assertEquals(gone.status, 2);
  assertStringIncludes(gone.err, "does not exist");
});

cliTest("a network whose features are not finite is not judged", async (folder) => {
  const run = `${folder}/run`;
  await createRun(run);
  const model = `${folder}/model.safetensors`;
  await runInProcess(extractCommand, ["--run", run, "--arch", "min", "--out", model]);
  const { tensors, metadata } = await readSafetensors(model);
  for (const [name, { data }] of tensors) if (name.endsWith("bn1.weight")) (data as Float32Array).fill(3e38);
  await writeSafetensors(model, tensors, metadata);
  for (const protocol of ["knn", "linear"]) {
    const { status, err } = await evaluate("--model", model, "--protocol", protocol, ...drawn);
    assertEquals(status, 1, err);
    assertStringIncludes(err, "not finite");
  }
});

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
  const keyless = await evaluate("--run", taught, "--protocol", "knn", "--encoder", "momentum");
  assertEquals(keyless.status, 2);
  assertStringIncludes(keyless.err, "has no momentum encoder");
  const checkpoint = `${run}/checkpoints/last.safetensors`;
  const { status, err } = await evaluate("--model", checkpoint, ...drawn, "--out", `${folder}/out`);
  assertEquals(status, 1);
  assertStringIncludes(err, "is a checkpoint, not an extracted model");
});
