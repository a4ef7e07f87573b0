/** Command lines that can be pasted into a shell. */

/** A text as one word of a POSIX shell's command line. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * The command line of one of Scion's commands.
 *
 * @param flags by their names with dashes; a list repeats the flag, true gives it without a value, false or undefined
 * leaves it out
 */
export function commandLine(
  command: string,
  flags: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>,
): string {
  const words = Object.entries(flags).flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    if (value === true) return [`--${name}`];
    return (Array.isArray(value) ? value : [value]).map((one) => flagWords(name, String(one)));
  });
  return [`deno task ${command}`, ...words].join(" ");
}

/** What begins with a dash would be taken for another flag. */
function flagWords(name: string, value: string): string {
  return value.startsWith("-") ? `--${name}=${shellWord(value)}` : `--${name} ${shellWord(value)}`;
}
