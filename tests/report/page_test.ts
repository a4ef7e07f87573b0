import { formatDuration } from "../../src/duration.ts";
import { assert, assertEquals } from "@std/assert";
import {
  formatInteger,
  formatMeasure,
  formatPercent,
  formatPercentRange,
  formatPoints,
  formatRange,
  formatShort,
} from "../../src/number_format.ts";
import { escapeHtml, factList, html, renderPage, table, trustedHtml } from "../../src/report/page.ts";

/** Narrow and ordinary no-break spaces as plain ones, to keep expectations readable. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

Deno.test("every value in a template is escaped, markup and lists of markup are not", () => {
  const hostile = `<script>"x" & 'y'</script>`;
  const escaped = "&lt;script&gt;&quot;x&quot; &amp; &#39;y&#39;&lt;/script&gt;";
  assertEquals(escapeHtml(hostile), escaped);
  assertEquals(
    html`<p title="${hostile}">${[hostile, trustedHtml("<b>1</b>"), 2]}</p>`.text,
    `<p title="${escaped}">${escaped}<b>1</b>2</p>`,
  );
  assertEquals(html`<i>${undefined}${false}${""}${0}</i>`.text, "<i>0</i>");
});

Deno.test("counts have three digits and a unit", () => {
  const expected: [number, string][] = [
    ...[[0, "0"], [7, "7"], [999, "999"], [1000, "1 k"], [4_112_384, "4.11 M"], [4.1e6, "4.1 M"]] as const,
    ...[[999_600, "1 M"], [15.512e9, "15.5 G"], [35.2e12, "35.2 T"], [183.74, "184"], [
      0.1234,
      "0.123",
    ]] as const,
  ].map(([value, text]) => [value, text]);
  for (const [value, text] of expected) assertEquals(plain(formatShort(value)), text);
});

Deno.test("in a column, counts keep the zeros at their end", () => {
  assertEquals([27_000, 4.1e6, 15.512e9, 999_600, 12].map((value) => plain(formatShort(value, "kept"))), [
    "27.0 k",
    "4.10 M",
    "15.5 G",
    "1.00 M",
    "12",
  ]);
});

Deno.test("a range names a common unit once", () => {
  assertEquals(
    ([[4e9, 5e9], [8e5, 1e6], [0, 2e5], [2.2e6, 2.4e6], [10, 20]] as const)
      .map(([from, to]) => plain(formatRange(from, to))),
    ["4–5 G", "800 k–1 M", "0–200 k", "2.2–2.4 M", "10–20"],
  );
});

Deno.test("labels of facts start with a capital letter", () => {
  assert(factList([["weight decay", "0.1"], ["", ""]]).text.includes("<dt>Weight decay</dt>"));
});

Deno.test("integers, shares, points and durations", () => {
  assertEquals(
    ["0", "999", "1 000", "85 293", "1 234 567"],
    [0, 999, 1000, 85_293, 1_234_567].map((value) => plain(formatInteger(value))),
  );
  assertEquals(plain(formatPercent(0.4614)), "46.1 %");
  assertEquals(plain(formatPercentRange([0.4494, 1])), "44.9–100.0 %");
  assertEquals([0.204, -0.03, 0.0001, -0.0001].map(formatPoints), ["+20.4", "−3.0", "0.0", "0.0"]);
  assertEquals([48.2, 59.7, 245, 3599.6, 40_800].map((seconds) => plain(formatDuration(seconds))), [
    "48 s",
    "1:00 min",
    "4:05 min",
    "1:00 h",
    "11:20 h",
  ]);
});

Deno.test("milliseconds have three digits and no exponent", () => {
  assertEquals([0.7523, 1, 12.46, 99.94, 123.4, 1250].map((value) => plain(formatMeasure(value))), [
    "0.752",
    "1.00",
    "12.5",
    "99.9",
    "123",
    "1 250",
  ]);
});

Deno.test("a table has one cell per column, numbers marked as such", () => {
  const markup = table("Scores", [{ label: "Arch", numeric: false }, { label: "MACs", numeric: true }], [
    ["r50", "4.1 G"],
    ["<max>", "15 G"],
  ]).text;
  assertEquals(markup.match(/<tr>/g)?.length, 3);
  assert(markup.includes(`<td class="numeric">15 G</td>`));
  assert(markup.includes("&lt;max&gt;"));
});

Deno.test("a page loads nothing, runs nothing and escapes its texts", () => {
  const page = renderPage({
    ...{ title: "<title>", kicker: "k&k", lede: "<lede>", footer: "<foot>" },
    body: html`<p>body</p>`,
  });
  assert(page.startsWith("<!doctype html>"));
  for (const text of ["&lt;title&gt;", "k&amp;k", "&lt;lede&gt;", "&lt;foot&gt;", "<p>body</p>"]) {
    assert(page.includes(text), text);
  }
  for (const loading of [/<script/i, /<link/i, /<img/i, /\bsrc=/i, /@import/i, /url\(/i, /https?:/i]) {
    assert(!loading.test(page), String(loading));
  }
  assert(page.includes("prefers-color-scheme: dark") && page.includes("@media print"));
});
