/** What `setup` says when something cannot be installed. The programs that it calls are played by scripts. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { pinnedDeno } from "../../src/version.ts";
import { withFolder } from "../store/with_folder.ts";

const root = new URL("../../", import.meta.url).pathname;
const newDeno = `echo "deno ${pinnedDeno} (stable)"; [ "$1" = --version ]`;
const says = (status: number, text: string) => `echo '${text}' >&2; exit ${status}`;

/** Runs `setup` with programs of its own on the PATH. */
async function setUp(programs: Readonly<Record<string, string>>) {
  let result = { status: 0, err: "" };
  await withFolder(async (folder) => {
    for (const [name, script] of Object.entries({ id: "echo 0", uname: "echo Linux", ...programs })) {
      await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    const { code, stderr } = await new Deno.Command("bash", {
      args: [`${root}setup`],
      env: { PATH: `${folder}:/usr/bin:/bin` },
    }).output();
    result = { status: code, err: new TextDecoder().decode(stderr) };
  });
  return result;
}

const unix = { ignore: Deno.build.os === "windows" };

Deno.test("setup says that npm has no network, and what any other failure was", unix, async () => {
  const oldDeno = 'echo "deno 1.0.0"';
  const npm = (status: number, text: string) =>
    `[ "$1" = prefix ] && { echo /nonexistent; exit 0; }; ${says(status, text)}`;
  const away = await setUp({ deno: oldDeno, npm: npm(1, "npm error code EAI_AGAIN") });
  assertEquals(away.status, 1);
  assertMatch(away.err, /^setup: no network: npm's registry cannot be reached, so installing Deno did not/m);
  assertStringIncludes(away.err, "npm error code EAI_AGAIN");
  const full = await setUp({ deno: oldDeno, npm: npm(1, "npm error code ENOSPC") });
  assertEquals(full.status, 1);
  assertMatch(full.err, /ENOSPC\nsetup: installing Deno did not work\. Install Deno \d+\.\d+\.\d+ or newer/);
  assert(!full.err.includes("no network"), full.err);
});

Deno.test("setup says that apt has no network, also where apt only warns", unix, async () => {
  const apt = (update: string, install: string) => `case "$*" in *update*) ${update};; *) ${install};; esac`;
  const unknown = says(100, "E: Unable to locate package libvulkan1");
  const warns = says(0, "W: Failed to fetch http://x/InRelease  Temporary failure resolving x");
  const away = await setUp({ deno: newDeno, "apt-get": apt(warns, unknown) });
  assertEquals(away.status, 1);
  assertMatch(away.err, /^setup: no network: the system's package server cannot be reached/m);
  const refused = await setUp({
    deno: newDeno,
    "apt-get": apt(says(100, "E: Could not connect to proxy:3128"), unknown),
  });
  assertMatch(refused.err, /^setup: no network: /m);
  const other = await setUp({ deno: newDeno, "apt-get": apt("true", unknown) });
  assertEquals(other.status, 1);
  assertStringIncludes(other.err, "E: Unable to locate package libvulkan1");
  assert(!other.err.includes("no network"), other.err);
});

Deno.test("setup says that Deno has no network for the packages; all there is silence", unix, async () => {
  const deno = (install: string) =>
    `case "$1" in --version) echo "deno ${pinnedDeno}";; eval) true;; install) ${install};; esac`;
  const away = await setUp({ deno: deno(says(1, "error: error sending request for url (https://x/zod)")) });
  assertEquals(away.status, 1);
  assertMatch(
    away.err,
    /^setup: no network: npm's registry cannot be reached, so installing the npm packages/m,
  );
  assertEquals(await setUp({ deno: deno("true") }), { status: 0, err: "" });
});
