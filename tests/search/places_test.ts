import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../src/errors.ts";
import { choosePlaces, type Metric, type Task } from "../../src/search/places.ts";
import { SearchSpace } from "../../src/elastic/search_space.ts";
import { ElasticResNet } from "../../src/nn/resnet.ts";
import { published, small } from "../elastic/spaces.ts";

const network = new ElasticResNet(new SearchSpace(published));

function names(task: Task, metric: Metric, stages?: string): string[] {
  return choosePlaces(network, task, metric, stages).map(({ name }) => name);
}

Deno.test("each task has the features that it consumes", () => {
  assertEquals(names("classification", "cosine"), ["projection"]);
  assertEquals(names("classification", "cka"), ["pooled", "projection"]);
  assertEquals(names("classification", "affinity"), ["c5"]);
  assertEquals(names("detection", "affinity"), ["c2", "c3", "c4", "c5"]);
  assertEquals(names("segmentation", "cka"), ["c4", "c5"]);
  const stages = choosePlaces(new ElasticResNet(new SearchSpace(small)), "segmentation", "affinity");
  assertEquals(stages.map(({ name, tap }) => [name, tap]), [["c2", "c2"], ["c3", "c3"]]);
});

Deno.test("named stages replace the task's, in the order of a forward pass, each once", () => {
  assertEquals(names("detection", "cka", "projection, c3,c5,c3"), ["c3", "c5", "projection"]);
});

Deno.test("places that a metric cannot compare are refused", () => {
  assertThrows(
    () => names("detection", "cosine"),
    UsageError,
    "The metric cosine cannot compare c2 (of the task detection)",
  );
  assertThrows(() => names("detection", "affinity", "c2,pooled"), UsageError, "cannot compare pooled");
  assertThrows(
    () => names("detection", "cka", "c2,c6"),
    UsageError,
    '"c6". Allowed, separated by commas: c2, c3',
  );
});
