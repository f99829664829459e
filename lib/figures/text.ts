/**
 * Text in SVG, which does not wrap by itself.
 *
 * @module
 */

/** Escapes text for XML. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** Widths in em of Source Sans 3, by kind of letter. */
const WIDTHS: [RegExp, number][] = [
  [/[ijl.,:;'|!()[\]tfr ]/, 0.29],
  [/[mwMW%@—→]/, 0.82],
  [/[A-Z]/, 0.59],
];

/** How much wider DejaVu Sans is, the widest of the fonts that a page may fall back to. */
const FALLBACK = 1.27;

/** How much wider bold letters are. */
export const BOLD = 1.14;

/** At most how wide a text is, in pixels, whichever font the page finds. */
export function textWidth(text: string, size: number): number {
  let em = 0;
  for (const char of text) em += WIDTHS.find(([kind]) => kind.test(char))?.[1] ?? 0.51;
  return em * size * FALLBACK;
}

/** Breaks a text into lines of at most `width` pixels, between words; a no-break space holds. */
export function wrapLabel(text: string, width: number, size: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/[ \n]+/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && textWidth(longer, size) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return line === "" ? lines : [...lines, line];
}
