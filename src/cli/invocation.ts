/** How the user called a command, so that messages name what he can type again. */

/** Set by the launcher (`bin/scion.js`). */
const variable = "SCION_LAUNCHER";

function readLauncher(): string | undefined {
  if (Deno.permissions.querySync({ name: "env", variable }).state !== "granted") return undefined;
  return Deno.env.get(variable) || undefined;
}

/**
 * A message's text, written for the task runner, in the words of whoever called.
 *
 * @param launcher what was called in place of `deno task`; undefined for the task runner itself
 */
export function asInvoked(text: string, launcher: string | undefined = readLauncher()): string {
  return launcher === undefined ? text : text.replaceAll(/\bdeno task (?=[a-z])/g, () => `${launcher} `);
}
