import { assertEquals, assertThrows } from "@std/assert";
import { parseJson } from "../../src/config/json.ts";
import { ConfigurationError } from "../../src/errors.ts";

Deno.test("valid JSON is parsed", () => {
  assertEquals(parseJson(' {"a": [1, -2.5e3, "x\\n\\u00e9", true, null], "b": {}} ', "f"), {
    a: [1, -2500, "x\né", true, null],
    b: {},
  });
});

Deno.test("faults are found where they are", () => {
  const cases: [string, string][] = [
    ["", "line 1, column 1: expected a value, found the end of the file"],
    ["{", "line 1, column 2: expected a field name in double quotes, found the end of the file"],
    ['{"a": 1,\n}', 'line 2, column 1: expected a field name in double quotes, found "}"'],
    ["{a: 1}", 'line 1, column 2: expected a field name in double quotes, found "a"'],
    ['{"a": 1\n "b": 2}', 'line 2, column 2: expected "," or "}"'],
    ['{"a" 1}', 'line 1, column 6: expected ":", found "1"'],
    ["// note\n{}", 'line 1, column 1: expected a value, found "/". JSON has no comments.'],
    ['{"a": nul}', 'line 1, column 7: expected a value, found "nul"'],
    ["[1, 2", 'line 1, column 6: expected "," or "]", found the end of the file'],
    ["[01]", 'line 1, column 2: expected a value, found "01"'],
    ["{}\n  x", 'line 2, column 3: expected the end of the file, found "x"'],
    ['{"a": "b\n"}', "line 1, column 7: expected a value"],
  ];
  for (const [text, message] of cases) {
    assertThrows(() => parseJson(text, "f.json"), ConfigurationError, `f.json is not valid JSON: ${message}`);
  }
});
