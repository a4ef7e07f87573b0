import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigurationError } from "../../src/errors.ts";
import { openSource } from "../../src/data/source.ts";
import { expandShards } from "../../src/data/tar/shard_pattern.ts";
import { defaultSyntheticLength, parseDataSpec } from "../../src/data/spec.ts";

Deno.test("data specifications are parsed", () => {
  assertEquals(parseDataSpec("synthetic"), { kind: "synthetic", length: defaultSyntheticLength });
  assertEquals(parseDataSpec("synthetic:12"), { kind: "synthetic", length: 12 });
  assertEquals(parseDataSpec("folder:a:b/c"), { kind: "folder", path: "a:b/c" });
  assertEquals(parseDataSpec("cifar10:bin"), { kind: "cifar10", path: "bin" });
  for (const path of ["photos", "a/b c", "C:\\photos", "/x.txt/"]) {
    assertEquals(parseDataSpec(path), { kind: "folder", path });
  }
  assertEquals(parseDataSpec("some/list.txt"), { kind: "list", path: "some/list.txt" });
  assertEquals(parseDataSpec("list:files"), { kind: "list", path: "files" });
  assertEquals(parseDataSpec("folder:synthetic"), { kind: "folder", path: "synthetic" });
  for (const kind of ["masks", "cityscapes", "voc"]) {
    assertEquals(parseDataSpec(`${kind}:a/b`), { kind: kind as "masks", path: "a/b" });
  }
  assertEquals(parseDataSpec("coco:a,b/c,d.json"), { kind: "coco", path: "a,b/c", annotations: "d.json" });
  assertEquals(parseDataSpec("tensor:x.safetensors"), { kind: "tensor", path: "x.safetensors" });
});

Deno.test("other data specifications are refused with what is allowed", () => {
  for (const text of ["synthetic:0", "synthetic:", "synthetic:1.5", "synthetic:many", "synthetic:-3"]) {
    assertThrows(() => parseDataSpec(text), ConfigurationError, "whole number from 1");
  }
  for (const text of ["folder", "folder:", "list:", "cifar10", "tensor:", "masks", "voc:", "coco"]) {
    assertThrows(() => parseDataSpec(text), ConfigurationError, "names no path");
  }
  for (const text of ["coco:", "coco:a", "coco:,a", "coco:a,"]) {
    assertThrows(() => parseDataSpec(text), ConfigurationError, "write coco:IMAGES,ANNOTATIONS.json");
  }
  for (const text of ["", " ", "Folder:x", "imagenet:x"]) {
    assertThrows(() => parseDataSpec(text), ConfigurationError, "allowed: DIR or folder:DIR");
  }
});

Deno.test("an impossible image size is refused", async () => {
  for (const imageSize of [0, 7.5, 5000]) {
    await assertRejects(
      () => openSource("synthetic", { imageSize, seed: 0 }),
      ConfigurationError,
      "image size",
    );
  }
  for (const sides of [{ storedSide: 16 }, { storedSide: 129 }, { resize: 15 }, { resize: 20.5 }]) {
    await assertRejects(
      () => openSource("synthetic", { imageSize: 16, seed: 0, ...sides }),
      ConfigurationError,
      "to 8 times the image size, 16",
    );
  }
});

Deno.test("ranges of shards count up, padded as they are written; the last of several the fastest", () => {
  assertEquals(parseDataSpec("tar:a:b.tar"), { kind: "tar", shards: ["a:b.tar"] });
  assertEquals(expandShards("d/x-{8..11}.tar"), ["d/x-8.tar", "d/x-9.tar", "d/x-10.tar", "d/x-11.tar"]);
  assertEquals(expandShards("{098..101}"), ["098", "099", "100", "101"]);
  assertEquals(expandShards("{0..010}").slice(-2), ["009", "010"]);
  assertEquals(expandShards("{1..2}/{00..01}.tar"), ["1/00.tar", "1/01.tar", "2/00.tar", "2/01.tar"]);
  assertEquals(expandShards("{5..5}"), ["5"]);
});

Deno.test("braces that hold no range, too many shards, and one twice are refused", () => {
  for (
    const pattern of [
      "a{",
      "a}",
      "{}",
      "{a..b}",
      "{1,2}",
      "{2..1}",
      "{1..2",
      "{{1..2}}",
      "{-1..2}",
    ]
  ) {
    assertThrows(() => expandShards(pattern), ConfigurationError, "hold no range of numbers");
  }
  for (const pattern of ["{1..999}{1..999}", "{0..999999999}"]) {
    assertThrows(() => expandShards(pattern), ConfigurationError, "more than 100000");
  }
  assertThrows(() => expandShards("{1..11}{1..1}{1..11}"), ConfigurationError, "names a shard twice");
});
