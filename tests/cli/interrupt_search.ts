/** Runs `deno task search` as a process of its own and interrupts it once it reports progress. */
export async function interruptSearch(...args: string[]): Promise<{ code: number; err: string }> {
  const process = new Deno.Command("deno", {
    args: [
      ...["run", "--no-prompt", "--allow-read", "--allow-write"],
      ...["--allow-env=SCION_DEBUG,XDG_RUNTIME_DIR,DENO_WEBGPU_BACKEND", "src/cli/search.ts", ...args],
    ],
    cwd: new URL("../../", import.meta.url),
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const reader = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let err = "";
  let sent = false;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    err += part.value;
    if (sent || !err.includes("blocks)")) continue;
    process.kill("SIGINT");
    sent = true;
  }
  return { code: (await process.status).code, err };
}
