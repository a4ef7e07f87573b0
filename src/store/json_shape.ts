/** What `JSON.parse` passes over: names that repeat within one object, and nesting that nothing of ours has. */

/**
 * The first fault of a JSON text that `JSON.parse` accepts.
 *
 * @param mostDepth levels of objects and lists that are allowed
 * @returns a reason such as `the name "a" comes twice`; undefined for a text in order
 */
export function jsonFault(text: string, mostDepth: number): string | undefined {
  /** Names of each open object; undefined for an open list. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (letter === "{" || letter === "[") {
      if (open.length === mostDepth) return `it is nested more than ${mostDepth} levels deep`;
      open.push(letter === "{" ? new Set() : undefined);
    } else if (letter === "}" || letter === "]") open.pop();
    else if (letter === '"') {
      const start = at++;
      while (text[at] !== '"' && at < text.length) at += text[at] === "\\" ? 2 : 1;
      const names = open.at(-1);
      if (!names || !/^\s*:/.test(text.slice(at + 1, at + 64))) continue;
      const name: string = JSON.parse(text.slice(start, at + 1));
      if (names.has(name)) return `the name ${JSON.stringify(name.slice(0, 80))} comes twice`;
      names.add(name);
    }
  }
}
