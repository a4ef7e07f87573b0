import { assert, assertEquals } from "@std/assert";
import { renderSearchReport, type SearchReport } from "../../src/report/search_report.ts";
import { exampleSearch, exampleSpaces, withTies } from "./example_search.ts";

const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;

/** Narrow and ordinary no-break spaces as plain ones, to keep expectations readable. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

const demo = () =>
  exampleSearch({ space: exampleSpaces.demo, imageSize: 32, perGroup: Infinity, stages: ["projection"] });

const published = (perGroup: number) =>
  exampleSearch({
    ...{ space: exampleSpaces.published, imageSize: 224, perGroup, timed: true },
    stages: ["c2", "c3", "c4", "c5"],
  });

/** What hovering over the points shows, by id of the architecture. */
function hovers(page: string): Map<string, string> {
  const found = page.matchAll(/<title>\s*(\S+)\n([^<]*)<\/title>/g);
  return new Map([...found].map(([, arch, text]) => [arch, plain(text)]));
}

/** The ids in the first column that has them, of the table with a caption. */
function tableIds(page: string, caption: string): string[] {
  const rows = page.match(new RegExp(`<caption>${caption}</caption>(.*?)</table>`, "s"))![1];
  return [...rows.matchAll(/<code>([^<]+)<\/code>/g)].map(([, arch]) => arch);
}

Deno.test("a search of a whole small space shows every architecture, once", async () => {
  const report = demo();
  const page = await renderSearchReport(report);
  const shown = hovers(page);
  assertEquals([...shown.keys()].sort(), report.candidates.map(({ arch }) => arch).sort());
  assertEquals(count(page, /<circle [^>]*><title>|<circle [^>]*>\s*<title>/g), 36);
  const { arch } = report.candidates[7];
  assert(/score 0\.\d{3}\n[\d.]+ M MACs · [\d.]+ k parameters/.test(shown.get(arch)!), shown.get(arch));
  assert(plain(page).includes("All 36 architectures of runs/demo"));
  assert(!page.includes("are drawn:"), "nothing was left out");
  assertEquals(
    tableIds(page, "Best architecture of each group of MACs"),
    report.groups.map(({ best }) => best.arch),
  );
});

Deno.test("a page loads nothing and runs nothing", async () => {
  const page = await renderSearchReport(demo());
  for (const loading of [/<script/i, /<link/i, /\bsrc=/i, /url\(/i, /https?:/i, /\bon\w+=/i]) {
    assert(!loading.test(page), String(loading));
  }
});

Deno.test("several stages and measured times have columns and are shown on hovering", async () => {
  const report = published(20);
  const page = await renderSearchReport(report);
  for (const stage of report.stages) {
    assert(page.includes(`<th scope="col" class="numeric">${stage}</th>`), stage);
  }
  assert(page.includes(">ms, batch 1</th>") && page.includes(">ms, batch 64</th>"));
  assert(
    /c2 [\d.]+ · c3 [\d.]+ · c4 [\d.]+ · c5 [\d.]+\n.*\n[\d ]+ \([\d ]+–[\d ]+\) ms per image/.test(
      hovers(page).values().next().value!,
    ),
  );
  assert(plain(page).includes(`20 of 15 651`) && plain(page).includes("all 9<"));
  const single = await renderSearchReport(demo());
  assert(!single.includes("ms, batch") && !single.includes(">projection</th>"));
});

Deno.test("intervals stand below scores and are bars in the chart; ties are counted, and told on hovering", async () => {
  const report = demo();
  const { groups } = report;
  const bests = new Set(groups.map(({ best }) => best.arch));
  const page = await renderSearchReport(withTies(report));
  assert(/<strong>0\.\d+<\/strong><small>0\.\d+–0\.\d+<\/small>/.test(page));
  assert(plain(page).includes(">Tied</th>") && plain(page).includes("cheapest of these by parameters"));
  // One bar for each group, in the chart for wide screens and in that for narrow ones.
  const paths = [...page.matchAll(/class="bars" d="([^"]*)"/g)].map(([, path]) => path);
  assertEquals(paths.map((path) => path.split("V").length - 1), [groups.length, groups.length]);
  const told = [...hovers(page)].filter(([, text]) => text.includes("cannot be told from the highest"));
  assertEquals(new Set(told.map(([arch]) => arch)), bests);
  const without = await renderSearchReport(report);
  assert(!without.includes('class="bars"') && !without.includes(">Tied</th>"));
});

Deno.test("with a budget of time, what is recommended keeps to it", async () => {
  const report = demo();
  const groups = report.groups.slice(0, 2);
  const page = await renderSearchReport({ ...report, groups, latencyBudget: "at most 5 ms" });
  assert(plain(page).includes("The best take at most 5 ms for a single image"));
  const [, arch] = page.match(/--arch ([\w.-]+) --out/)!;
  assert(groups.some(({ best }) => best.arch === arch), arch);
});

Deno.test("tens of thousands are thinned, the frontier and the best of each group never", async () => {
  const report = published(Infinity);
  assertEquals(report.candidates.length, 85_293);
  const page = await renderSearchReport(report);
  assert(page.length < 1_200_000, `${page.length} characters`);
  const shown = hovers(page);
  assert(
    plain(page).includes(
      `Of 85 293 architectures ${plain(shown.size.toString().replace(/(?=\d{3}$)/, " "))} are drawn`,
    ),
  );
  const frontier = tableIds(page, "Architectures that no cheaper one outdoes");
  assert(frontier.length > 20);
  for (const arch of [...frontier, ...report.groups.map(({ best }) => best.arch)]) {
    assert(shown.has(arch), arch);
  }
  const members = [...shown.values()].map((text) =>
    Number(text.match(/stands for ([\d ]+) arch/)?.[1].replace(" ", "") ?? 1)
  );
  assertEquals(members.reduce((sum, size) => sum + size), 85_293);
});

Deno.test("the best of a group that a cheaper one outdoes is marked, where there is one", async () => {
  const report = demo();
  assert(!(await renderSearchReport(report)).includes("Outdone by"));
  const [{ best: { arch } }, second, ...rest] = report.groups;
  const groups = [report.groups[0], { ...second, dominatedBy: arch }, ...rest];
  const page = await renderSearchReport({ ...report, groups });
  assert(page.includes("Outdone by a cheaper one"));
  assertEquals(count(page, new RegExp(`<td[^>]*>\\s*${arch}\\s*</td>`, "g")), 1);
});

Deno.test("the commands name the run, the ranking and an architecture, quoted where a shell asks for it", async () => {
  const report = { ...demo(), run: "runs/it's mine", ranking: "out dir/ranking.json" };
  const page = (await renderSearchReport(report)).replaceAll("&#39;", "'");
  assert(
    /deno task extract --run 'runs\/it'\\''s mine' --arch (8-[\d.]+-[\d.]+) --out \1\.safetensors/.test(page),
  );
  assert(page.includes("--from 'out dir/ranking.json' --best-per-group --out models"));
});

const only = (report: SearchReport, change: Partial<SearchReport["candidates"][number]>): SearchReport => {
  const candidate = { ...report.candidates[0], ...change };
  const group = report.groups.find(({ from, to }) => from <= candidate.macs && candidate.macs < to)!;
  return {
    ...{ ...report, candidates: [candidate], evaluated: 1, blockEvaluations: { done: 5, saved: 0 } },
    groups: [{ ...group, total: 1, evaluated: 1, best: candidate }],
  };
};

for (const score of [0.9, 0, -0.1]) {
  Deno.test(`a single architecture of score ${score} still makes a page`, async () => {
    const page = await renderSearchReport(only(demo(), { score, scorePerStage: [score] }));
    assertEquals(hovers(page).size, 1);
    assert(page.includes("no prefixes were shared") && !page.includes("What each choice contributes"));
    assert(!page.includes("of the gain</dt>"), "there is no gain");
    assert(!page.includes("NaN") && !page.includes("undefined") && !page.includes("Infinity"));
  });
}

Deno.test("with very many groups, no lines are drawn for them", async () => {
  const report = demo();
  const groups = Array.from({ length: 40 }, (_, index) => ({
    ...report.groups[0],
    from: 2e6 + index * 7e4,
    to: 2e6 + (index + 1) * 7e4,
  }));
  assert((await renderSearchReport(report)).includes("Vertical lines bound the groups."));
  assert(!(await renderSearchReport({ ...report, groups })).includes("Vertical lines"));
});

Deno.test("every text is escaped", async () => {
  const hostile = `</title><script>alert("&")</script>`;
  const page = await renderSearchReport({
    ...demo(),
    ...{ title: hostile, version: hostile, device: hostile, run: hostile, data: hostile, batchnorm: hostile },
    ...{ stages: [hostile], ranking: hostile, settings: [[hostile, hostile]] },
  });
  assert(!page.includes("<script"));
  assert(count(page, /&lt;script&gt;/g) >= 10);
});

Deno.test("the same search gives the same page", async () => {
  assertEquals(await renderSearchReport(demo()), await renderSearchReport(demo()));
});
