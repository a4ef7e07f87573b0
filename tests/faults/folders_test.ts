/** Folders that cannot be read as a whole: what is left out is named with its reason, the rest is there. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import sharp from "sharp";
import { scanFolder } from "../../src/data/scan.ts";
import type { SourceOptions } from "../../src/data/image_set.ts";
import { DataError } from "../../src/errors.ts";
import { openImages } from "../data/open.ts";
import { withFolder } from "../store/with_folder.ts";

const png = await sharp({ create: { width: 9, height: 9, channels: 3, background: "#c80a0a" } }).png()
  .toBuffer();

async function write(folder: string, ...paths: string[]): Promise<void> {
  for (const path of paths) {
    await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeFile(`${folder}/${path}`, png);
  }
}

/** Opens a folder, and gives what it says of itself. */
async function look(folder: string, options: Partial<SourceOptions> = {}) {
  const warnings: string[] = [];
  const source = await openImages(`folder:${folder}`, {
    onWarning: (text) => warnings.push(text),
    ...options,
  });
  source.release();
  const short = (files: readonly { path: string; reason: string }[]) =>
    Object.fromEntries(files.map(({ path, reason }) => [path.slice(folder.length + 1), reason]));
  return {
    source,
    warnings: warnings.join("\n"),
    leftOut: short(source.leftOut!),
    broken: short(source.skipped),
  };
}

/** Runs a shell command that Deno has no call for; fails the test when the system has no such thing. */
async function shell(command: string, cwd: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("sh", { args: ["-c", command], cwd }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** Names that are no UTF-8 can only be made by other programs. */
const withShell = { ignore: Deno.permissions.querySync({ name: "run", command: "sh" }).state !== "granted" };

Deno.test("a mesh of links lists each folder and each file once", () =>
  withFolder(async (folder) => {
    const names = ["a", "b", "c", "d", "e", "f"];
    for (const name of names) await write(folder, `${name}/1.png`, `${name}/2.png`);
    for (const name of names) {
      for (const other of names) {
        if (other !== name) await Deno.symlink(`../${other}`, `${folder}/${name}/${other}`);
      }
    }
    await Deno.symlink(`../b/1.png`, `${folder}/a/again.png`);
    await write(folder, "outside/x.png");
    await Deno.rename(`${folder}/outside`, `${folder}.outside`);
    try {
      for (const link of ["c/first.png", "d/second.png"]) {
        await Deno.symlink(`${folder}.outside/x.png`, `${folder}/${link}`);
      }
      const { paths, classes, reachedAgain } = await scanFolder(folder);
      assertEquals(paths, [
        ...[
          "a/1.png",
          "a/2.png",
          "b/1.png",
          "b/2.png",
          "c/1.png",
          "c/2.png",
          "c/first.png",
          "d/1.png",
          "d/2.png",
        ],
        ...["e/1.png", "e/2.png", "f/1.png", "f/2.png"],
      ]);
      assertEquals(classes, names);
      assertEquals(reachedAgain.length, 30 + 2);
      const { warnings } = await look(folder);
      assertMatch(warnings, /32 link\(s\) .* counts once/);
    } finally {
      await Deno.remove(`${folder}.outside`, { recursive: true });
    }
  }));

Deno.test("images of formats that are not read are named and counted, and refused with strict", () =>
  withFolder(async (folder) => {
    await write(
      folder,
      "a/1.png",
      "b/1.bmp",
      "c/1.heic",
      "c/2.HEIC",
      "d/1.svg",
      "d/2.jxl",
      "a/notes.txt",
      "a/.x.png",
    );
    for (let number = 0; number < 40; number++) await write(folder, `e/${number}.bmp`);
    const { source, warnings, leftOut } = await look(folder);
    assertEquals([source.length, Object.keys(leftOut).length], [1, 45]);
    for (const path of ["b/1.bmp", "c/1.heic", "c/2.HEIC", "d/1.svg", "d/2.jxl"]) {
      assertMatch(leftOut[path], /are not read; convert it/);
      assert(warnings.includes(`"${folder}/${path}"`), warnings);
    }
    assertMatch(
      warnings,
      /45 files and folders .* are left out in all \(\.bmp 41, \.heic 2, \.jxl 1, \.svg 1\)/,
    );
    assertMatch(warnings, /not named like images: \.txt 1/);
    await assertRejects(() => look(folder, { strict: true }), DataError, "45 in all cannot");
  }));

Deno.test("a folder in which nothing can be read says why", () =>
  withFolder(async (folder) => {
    await write(folder, "a/1.bmp", "b/2.heic");
    await assertRejects(() => look(folder), DataError, "2 left out, the first is");
  }));

Deno.test("a folder nested beyond what the system opens is left out, the rest is read", () =>
  withFolder(async (folder) => {
    await write(folder, "a/1.png");
    // Deeper than a path may be long, made from inside.
    const name = "d".repeat(200);
    await Deno.mkdir(`${folder}/a/deep`);
    let inner = `${folder}/a/deep`;
    for (let level = 0; level < 18; level++) await Deno.mkdir(inner = `${inner}/${name}`);
    await Deno.writeFile(`${inner}/x.png`, png);
    await Deno.rename(`${folder}/a/deep`, `${folder}/a/${"e".repeat(250)}`);
    const long = `${folder}/a/${"f".repeat(250)}`;
    await Deno.mkdir(long);
    await Deno.rename(`${folder}/a/${"e".repeat(250)}`, `${long}/${"e".repeat(250)}`);
    const { source, leftOut } = await look(folder);
    assertEquals(source.length - source.skipped.length, 1);
    assert(Object.keys(leftOut).length + source.skipped.length >= 1);
  }));

Deno.test("what vanishes, or becomes a folder, between listing and reading is broken, not fatal", () =>
  withFolder(async (folder) => {
    await write(folder, "1.png", "2.png", "3.png", "4.png");
    const source = await openImages(`folder:${folder}`, { preload: false });
    await Deno.remove(`${folder}/1.png`);
    await Deno.remove(`${folder}/2.png`);
    await Deno.mkdir(`${folder}/2.png`);
    const images = await source.load([0, 1, 2, 3]);
    source.release();
    assertEquals(images.map((image) => image !== undefined), [false, false, true, true]);
    assertEquals(source.skipped.map(({ reason }) => reason).sort(), [
      "it is no regular file",
      "it is not there",
    ]);
  }));

Deno.test({
  name: "pipes and devices named like images are not waited for",
  ...withShell,
  fn: () =>
    withFolder(async (folder) => {
      await write(folder, "1.png", "2.png");
      await shell("mkfifo pipe.png && ln -s /dev/zero zero.png && ln -s pipe.png link.jpg", folder);
      const { source, leftOut } = await look(folder);
      assertEquals(source.length, 2);
      const reason = "it is no regular file";
      assertEquals(leftOut, { "link.jpg": reason, "pipe.png": reason, "zero.png": reason });
      // One that becomes a pipe after it was listed.
      const opened = await openImages(`folder:${folder}`, { preload: false });
      await shell("rm 2.png && mkfifo 2.png", folder);
      const [one, two] = await opened.load([0, 1]);
      opened.release();
      assertEquals([one?.width, two, opened.skipped[0].reason], [9, undefined, reason]);
    }),
});

Deno.test({
  name: "names that are no UTF-8 are named and left out",
  ...withShell,
  fn: () =>
    withFolder(async (folder) => {
      await write(folder, "a/1.png", "b/1.png", "\ufffd/honest.png");
      await shell(`cp a/1.png "$(printf 'a/x\\377.png')"; cp -r a "$(printf 'sub\\376')"`, folder);
      const { source, leftOut, warnings } = await look(folder);
      assertEquals([source.length, source.classes], [3, ["a", "b", "\ufffd"]]);
      assertEquals(Object.keys(leftOut), ["a/x\ufffd.png", "sub\ufffd"]);
      for (const reason of Object.values(leftOut)) assertMatch(reason, /not valid UTF-8/);
      assertMatch(warnings, /not valid UTF-8; rename it/);
      await assertRejects(() => look(folder, { strict: true }), DataError, "UTF-8");
    }),
});

/** Whether nothing is forbidden, as for root. */
async function mayReadAll(): Promise<boolean> {
  const path = await Deno.makeTempFile();
  await Deno.chmod(path, 0o000);
  const read = await Deno.readFile(path).then(() => true, () => false);
  await Deno.remove(path);
  return read;
}

Deno.test({
  name: "folders and files that may not be read are named",
  ignore: await mayReadAll(),
  fn: () =>
    withFolder(async (folder) => {
      await write(folder, "a/1.png", "a/2.png", "b/1.png", "c/d/1.png");
      await Deno.chmod(`${folder}/a/2.png`, 0o000);
      await Deno.chmod(`${folder}/b`, 0o000);
      await Deno.chmod(`${folder}/c/d`, 0o000);
      try {
        const { source, leftOut, broken } = await look(folder);
        assertEquals([source.length, source.classes], [2, ["a"]]);
        assertEquals(Object.keys(leftOut), ["b", "c/d"]);
        assertMatch(leftOut.b, /cannot be listed: permission/);
        assertEquals(broken, { "a/2.png": "permission to read it is denied" });
      } finally {
        await Deno.chmod(`${folder}/b`, 0o700);
        await Deno.chmod(`${folder}/c/d`, 0o700);
      }
    }),
});
