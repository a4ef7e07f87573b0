/** The text without the byte-order mark with which some editors begin a file, and which no JSON parser takes. */
export function withoutMark(text: string): string {
  return text.replace(/^\ufeff/, "");
}
