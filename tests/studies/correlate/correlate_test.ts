import { assertEquals, assertRejects } from "@std/assert";
import { parseConfig } from "../../../src/config/load.ts";
import { openSearchImages } from "../../../src/search/images.ts";
import { correlate, type Correlated } from "../../../src/studies/correlate/correlate.ts";
import { openFrozenJudging } from "../../../src/studies/correlate/judging.ts";
import {
  readSavedCorrelation,
  saveCorrelation,
  type SavedCorrelation,
} from "../../../src/studies/correlate/saved.ts";
import { spreadSubnets } from "../../../src/studies/correlate/subnets.ts";
import { configuredNetwork } from "../../../src/nn/configured_network.ts";
import { outputStrideOf } from "../../../src/nn/output_stride.ts";
import { createRun } from "../../cli/run_command.ts";
import { gpuTest } from "../../helpers.ts";
import { withFolder } from "../../store/with_folder.ts";

/** With numbers in place of functions. */
function measured({ subnets, ...others }: Correlated) {
  return {
    ...others,
    subnets: subnets.map((one) => ({ ...one, worth: one.worth.map((worth) => worth.of()) })),
  };
}

gpuTest(
  "interrupted among untrained networks, a correlation goes on where it was",
  (gpu) =>
    withFolder(async (folder) => {
      const run = await createRun(`${folder}/run`);
      const config = parseConfig(JSON.parse(await Deno.readTextFile(`${folder}/run/config.json`)), "test");
      const path = `${folder}/interrupted.json`;
      const network = configuredNetwork(config);
      const architectures = spreadSubnets(network, 4, config.data.imageSize, 1);
      const images = await openSearchImages(
        gpu,
        config,
        { source: undefined, images: 16, record: undefined, onWarning() {} },
        1,
      );
      const judging = await openFrozenJudging(gpu, {
        ...{ protocol: "knn", evaluation: config, record: undefined, onWarning() {} },
      });
      const stages: string[] = [];
      const correlateFrom = (saved: SavedCorrelation, stopAfter = Infinity) => {
        const controller = new AbortController();
        let label = "", parts = 0;
        return correlate(gpu, {
          checkpoints: [run.lastCheckpointPath],
          architectures,
          ...{ protocol: "knn", judging },
          ...{ task: "classification", network, outputStride: outputStrideOf(network) },
          ...{ images, imageSize: config.data.imageSize },
          seed: 1,
          saved,
        }, {
          signal: controller.signal,
          onStage(name, total) {
            [label, parts] = [name, 0];
            stages.push(`${name} ${total}`);
          },
          onPart() {
            if (label === "zero-cost scores" && ++parts === stopAfter) controller.abort(new Error("stop"));
          },
          save: () => saveCorrelation(path, saved),
        });
      };
      const empty = (): SavedCorrelation => ({ settings: {}, scores: {}, zeroCost: {}, outcomes: {} });
      const whole = await correlateFrom(empty());
      stages.length = 0;
      await assertRejects(() => correlateFrom(empty(), 1), Error, "stop");
      const saved = (await readSavedCorrelation(path))!;
      assertEquals(Object.keys(saved.zeroCost), [architectures[0].id]);
      assertEquals(measured(await correlateFrom(saved)), measured(whole));
      assertEquals(stages, ["score 6", "kNN 4", "zero-cost scores 4", "zero-cost scores 3"]);
      assertEquals(whole.naswotImages, 16);
      images.release();
      judging.release();
    }),
);
