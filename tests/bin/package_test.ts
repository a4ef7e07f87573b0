/** The npm package: what it says of itself, and that its commands and its library run below node_modules. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import sharp from "sharp";
import project from "../../deno.json" with { type: "json" };
import manifest from "../../package.json" with { type: "json" };
import { pinnedDeno, version } from "../../src/version.ts";
import { withFolder } from "../store/with_folder.ts";

const root = new URL("../../", import.meta.url).pathname;
const decoder = new TextDecoder();

async function deno(cwd: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("deno", { args, cwd, env: { NO_COLOR: "1" } })
    .output();
  return { status: code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("the package's version, Deno, exports and dependencies are the project's", () => {
  assertEquals([manifest.version, project.version], [version, version]);
  assertEquals(manifest.optionalDependencies.deno, pinnedDeno);
  assertEquals(Object.keys(manifest.exports), Object.keys(project.exports));
  for (const [name, path] of Object.entries(project.exports)) {
    const types = path.replace("./", "./dist/");
    const expected = { types, default: types.replace(/\.ts$/, ".js") };
    assertEquals(manifest.exports[name as keyof typeof manifest.exports], expected);
  }
  const versions = Object.values(project.imports).map((specifier) =>
    /^npm:\/?((?:@[^/]+\/)?[^@/]+)@([^/]+)/.exec(specifier)!.slice(1)
  );
  assertEquals({ ...manifest.dependencies, ...manifest.optionalDependencies }, {
    ...Object.fromEntries(versions),
    deno: pinnedDeno,
  });
});

/** Lays the package out as npm does, with the dependencies that are here, and a file of its user beside. */
async function install(folder: string): Promise<string> {
  const built = await deno(
    root,
    ...["run", "--quiet", "--no-prompt", "--allow-read", `--allow-write=${folder}`, "--allow-run=deno"],
    ...["bin/build_package.ts", `${folder}/dist`],
  );
  assertEquals([built.status, built.err], [0, ""]);
  const installed = `${folder}/node_modules/@scion/scion`;
  await Deno.mkdir(`${installed}/bin`, { recursive: true });
  await Deno.rename(`${folder}/dist`, `${installed}/dist`);
  for (const path of ["package.json", ...manifest.files.filter((path) => path.startsWith("bin/"))]) {
    await Deno.copyFile(root + path, `${installed}/${path}`);
  }
  for (const name of Object.keys(manifest.dependencies)) {
    await Deno.symlink(await Deno.realPath(`${root}node_modules/${name}`), `${folder}/node_modules/${name}`);
  }
  await Deno.writeTextFile(`${folder}/package.json`, '{ "dependencies": { "@scion/scion": "*" } }');
  return `${installed}/bin/scion.js`;
}

Deno.test("installed from npm: commands, decoding workers, and the library with its types", async () => {
  await withFolder(async (folder) => {
    const launcher = await install(folder);
    const scion = (...args: string[]) =>
      deno(folder, "run", "--no-prompt", "--allow-read", "--allow-env", "--allow-run", launcher, ...args);
    const space = await scion("space", "--help");
    assertEquals([space.status, space.err], [0, ""]);
    assertStringIncludes(space.out, "Usage: scion space ");

    await Deno.mkdir(`${folder}/photos`);
    for (let photo = 0; photo < 24; photo++) {
      const background = { r: 10 * photo, g: 90, b: 200 };
      const picture = sharp({ create: { width: 24, height: 20, channels: 3, background } });
      await Deno.writeFile(`${folder}/photos/${photo}.png`, await picture.png().toBuffer());
    }
    const small = [
      "data.heldOut=0",
      "data.imageSize=16",
      "training.batch=8",
      "moco.queue=8",
      "training.epochs=1",
    ];
    const settings = small.flatMap((text) => ["--set", text]);
    const trained = await scion("pretrain", "--data", "folder:photos", "--out", "run", "--json", ...settings);
    assertEquals(trained.status, 0, trained.err);
    assertEquals(JSON.parse(trained.out).steps, 3);
    assertEquals((await scion("space", "--config", "no.json")).status, 2);

    const program = `import { SearchSpace, version } from "@scion/scion";
      import { parseConfig } from "@scion/scion/train";
      const text: string = version;
      console.log(text, typeof SearchSpace, typeof parseConfig);`;
    await Deno.writeTextFile(`${folder}/program.ts`, program);
    const library = await deno(folder, "run", "--no-prompt", "--allow-read", "program.ts");
    assertEquals([library.status, library.out], [0, `${version} function function\n`], library.err);
    await Deno.writeTextFile(`${folder}/program.ts`, program.replace("text: string", "text: number"));
    const mistaken = await deno(folder, "check", "program.ts");
    assertStringIncludes(mistaken.err, "Type 'string' is not assignable to type 'number'");
  });
});

Deno.test("JSR takes the package, whose types are explicit: sources, kernels, configurations, and nothing else", async () => {
  const args = ["publish", "--dry-run", "--allow-dirty", "--no-check"];
  const { status, err } = await deno(root, ...args);
  assertEquals(status, 0, err);
  const files = [...err.matchAll(/^ +file:\/\/(\S+) \(/gm)].map(([, path]) => path.slice(root.length));
  assert(files.includes("src/mod.ts") && files.includes("kernels/include/grid.wgsl"), files.join(" "));
  const others = files.filter((path) => !/^(src|kernels|configs)\//.test(path)).sort();
  assertEquals(others, ["CHANGELOG.md", "LICENSE", "README.md", "deno.json"]);
});
