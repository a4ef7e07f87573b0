/** Scion as a library of a project elsewhere, as docs/library.md says. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { withFolder } from "../store/with_folder.ts";

const root = new URL("../../", import.meta.url).pathname;

async function codeOf(document: string, language: string, at: number): Promise<string> {
  const text = await Deno.readTextFile(root + document);
  return [...text.matchAll(new RegExp("```" + language + "\\n([\\s\\S]*?)```", "g"))][at][1];
}

async function runProgram(folder: string, args: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command("deno", { args: [...args], cwd: folder }).output();
  const decoder = new TextDecoder();
  return { status: code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("a project elsewhere links a clone: README's program, types checked, with the permissions named", async () => {
  await withFolder(async (folder) => {
    const config = await codeOf("docs/library.md", "json", 0);
    assertStringIncludes(config, '"../scion"');
    await Deno.writeTextFile(`${folder}/deno.json`, config.replace('"../scion"', JSON.stringify(root)));
    await Deno.writeTextFile(`${folder}/main.ts`, await codeOf("README.md", "ts", 0));
    const [command] = (await codeOf("docs/library.md", "sh", 0)).match(/^deno run .*$/m)!;
    assertEquals(command.split(" ").at(-1), "main.ts");
    const { status, out, err } = await runProgram(folder, command.split(" ").slice(1));
    assertEquals(status, 0, err);
    assertMatch(out, /^8-8\.\d+-\d\.1: -?\d\.\d{3}$/m);
  });
});
