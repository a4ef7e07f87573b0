import { assertEquals, assertThrows } from "@std/assert";
import { evaluateExpression, type ExpressionValue } from "../../src/gpu/expression.ts";

const scope = { TILE: 16, PIXELS: 8, SUBGROUP: true, q: 3, LEFT: "features", zero: 0 };

function evaluate(text: string): ExpressionValue {
  return evaluateExpression(text, scope);
}

Deno.test("Expressions have JavaScript's precedence", () => {
  const expressions = [
    "1 + 2 * 3 - 4 / 2 % 3",
    "7 & 3 << 1 | 8 ^ 12",
    "1 < 2 === SUBGROUP || zero && zero",
    "-2 * -3 - -q",
    "4 * (TILE - 1) >> 2",
    "q === PIXELS / 4 + 1 ? 1 : q > 2 ? 2 : 3",
    "10 - 4 - 3",
    "64 / 4 / 2",
    "1 + 1 !== 3 && 2 >= 2",
  ];
  for (const text of expressions) {
    // The test may build functions from text; the expansion may not.
    const wanted = new Function(...Object.keys(scope), `return ${text}`)(...Object.values(scope));
    assertEquals(evaluate(text), wanted, text);
  }
});

Deno.test("Expressions join texts, choose, and know min and max", () => {
  assertEquals(evaluate('"before" + (PIXELS / 4 - q) + ".w"'), "before-1.w");
  assertEquals(evaluate('SUBGROUP ? "a" : "b"'), "a");
  assertEquals(evaluate("!SUBGROUP"), false);
  assertEquals(evaluate("max(0, q - TILE)"), 0);
  assertEquals(evaluate("min(TILE, PIXELS, 9)"), 8);
  assertEquals(evaluate("LEFT"), "features");
  assertEquals(evaluate("zero"), 0);
});

Deno.test("Expressions say what is wrong with them", () => {
  for (
    const [text, message] of [
      ["", "a value is missing at the end"],
      ["1 +", "a value is missing at the end"],
      ["MISSING", "there is no 'MISSING'"],
      ["constructor", "there is no 'constructor'"],
      ["toString(1)", "there is no function 'toString'"],
      ["(1", "')' is missing at the end"],
      ["1 ? 2", "':' is missing at the end"],
      ["1 2", "2 is not expected"],
      ["LEFT * 2", "'*' needs numbers; \"features\" is none"],
      ["TILE.constructor", "'.constructor' is not understood"],
      ["`x`", "'`x`' is not understood"],
    ]
  ) {
    assertThrows(() => evaluate(text), SyntaxError, message, text);
  }
});
