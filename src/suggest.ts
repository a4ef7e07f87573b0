/** Words of users in messages: guesses what a mistyped name was meant to be, and keeps long ones short. */

/** A text as messages show it. */
export function shorten(text: string): string {
  return text.length > 80 ? text.slice(0, 77) + "…" : text;
}

function editDistance(one: string, other: string): number {
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const substitution = previous[column - 1] + (one[row - 1] === other[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[other.length];
}

/** Characters of a name that somebody may have mistyped; comparing takes time with the square of them. */
const longestName = 100;

/**
 * The candidate that a name most likely stands for: the fewest edits away, at most a third of the name, or one
 * that starts with the name; undefined when nothing is near.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > longestName) return undefined;
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  if (best !== undefined || name.length < 3) return best;
  return [...candidates].find((candidate) => candidate.toLowerCase().startsWith(wanted));
}
