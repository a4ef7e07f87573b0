import { assertEquals, assertThrows } from "@std/assert";
import { ConfigurationError } from "../../src/errors.ts";
import { formatArchitecture, sameArchitecture } from "../../src/elastic/architecture.ts";
import {
  parseArchitecture,
  resnetArchitecture,
  resnetFromChoices,
} from "../../src/elastic/resnet_architecture.ts";

Deno.test("an id survives parsing and formatting", () => {
  const architecture = resnetArchitecture(64, [64, 128, 256, 512], [3, 4, 6, 3]);
  assertEquals(architecture.choices, [64, 64, 3, 128, 4, 256, 6, 512, 3]);
  assertEquals(resnetFromChoices(architecture.choices), architecture);
  assertEquals(parseArchitecture("64-64.128.256.512-3.4.6.3"), architecture);
  assertEquals(formatArchitecture(architecture), "64-64.128.256.512-3.4.6.3");
  assertEquals(formatArchitecture(parseArchitecture("8-16.32-1.2")), "8-16.32-1.2");
});

Deno.test("texts that are no ids are refused with the form of an id", () => {
  const texts = [
    "",
    "resnet50",
    "64-64.128-3",
    "064-64-1",
    "64-64.-1.2",
    "64-64-0",
    "-64-64-1",
    "64-6 4-1",
    "64-64-1\n",
  ];
  for (const text of texts) {
    const error = assertThrows(() => parseArchitecture(text), ConfigurationError);
    assertEquals(error.message.includes(text), true);
    assertEquals(error.message.includes("64-64.128.256.512-3.4.6.3"), true);
  }
});

Deno.test("as many widths as depths", () => {
  assertThrows(() => parseArchitecture("64-64.128-1.2.3"), ConfigurationError, "2 widths and 3 depths");
});

Deno.test("architectures are compared by value", () => {
  assertEquals(sameArchitecture(parseArchitecture("8-8-1"), resnetArchitecture(8, [8], [1])), true);
  assertEquals(sameArchitecture(parseArchitecture("8-8-1"), parseArchitecture("8-8-2")), false);
});
