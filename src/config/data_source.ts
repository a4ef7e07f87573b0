/** One specification of images, or several whose images make one set, in this order. */
export type DataSource = string | readonly string[];

/** The specifications of a set, at least one. */
export function specsOf(source: DataSource): readonly string[] {
  return typeof source === "string" ? [source] : source;
}

/** A set's name in messages: `folder:a + b.txt`. */
export function sourceName(source: DataSource): string {
  return specsOf(source).join(" + ");
}
