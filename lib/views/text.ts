/** Text for a terminal: how many columns it takes, cutting it, wrapping it, colouring it. */

import stringWidth from "string-width";

export type Style = "plain" | "bold" | "dim" | "ok" | "rejected" | "failed" | "running";

export type Span = readonly [text: string, style: Style];

const GRAPHEMES = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The columns that a text takes in a terminal; it must hold no control characters. */
export function displayWidth(text: string): number {
  return stringWidth(text);
}

/** A text of one line that can move no cursor: escape sequences taken out, other controls blank. */
export function plainText(text: string): string {
  // deno-lint-ignore no-control-regex -- those are what is taken out
  const escapes = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)/g;
  return text.replace(escapes, "").replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trimEnd();
}

/** As much of a text's beginning as fits into so many columns. */
function takeText(text: string, columns: number): string {
  let taken = "";
  let width = 0;
  for (const { segment: grapheme } of GRAPHEMES.segment(text)) {
    width += displayWidth(grapheme);
    if (width > columns) break;
    taken += grapheme;
  }
  return taken;
}

function firstGrapheme(text: string): string {
  return [...GRAPHEMES.segment(text)][0]!.segment;
}

/** A text of at most so many columns; what is cut off leaves an ellipsis. */
export function cutText(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  return columns < 1 ? "" : `${takeText(text, columns - 1)}…`;
}

/** A text filled up with blanks to so many columns, cut where it is longer. */
export function padText(text: string, columns: number): string {
  const cut = cutText(text, columns);
  return cut + " ".repeat(Math.max(0, columns - displayWidth(cut)));
}

export function spansWidth(spans: readonly Span[]): number {
  return displayWidth(spans.map(([text]) => text).join(""));
}

/** Spans of at most so many columns together; what is cut off leaves an ellipsis. */
export function cutSpans(spans: readonly Span[], columns: number): Span[] {
  if (spansWidth(spans) <= columns) return [...spans];
  const cut: Span[] = [];
  let left = columns - 1;
  for (const [text, style] of spans) {
    const kept = takeText(text, left);
    left -= displayWidth(kept);
    cut.push(kept === text ? [kept, style] : [`${kept}…`, style]);
    if (kept !== text) break;
  }
  return cut;
}

/**
 * A text in lines of at most so many columns, broken between words; lines after the first are
 * indented. By hand, as wrap-ansi knows no indent and breaks a path though a line of its own would
 * hold more of it.
 */
export function wrapText(text: string, columns: number, indent = "  "): string[] {
  const lines: string[] = [];
  const lead = text.slice(0, text.length - text.trimStart().length);
  let line = lead;
  for (let word of text.trimStart().split(" ")) {
    const begun = lines.length === 0 ? line !== lead : line !== indent;
    const joined = begun ? `${line} ${word}` : line + word;
    if (displayWidth(joined) <= columns) {
      line = joined;
      continue;
    }
    if (line.trim() !== "") lines.push(line);
    line = lines.length === 0 ? lead : indent;
    // A word longer than a line, such as a path, is broken where the line ends.
    while (displayWidth(line + word) > columns && columns > indent.length + 2) {
      const rest = columns - displayWidth(line);
      // A character may be wider than a line.
      const head = takeText(word, rest) || (line === indent ? firstGrapheme(word) : "");
      lines.push(line + head);
      word = word.slice(head.length);
      line = indent;
    }
    line += word;
  }
  return [...lines, line];
}

const SGR: Record<Style, string> = {
  plain: "",
  bold: "1",
  dim: "2",
  ok: "32",
  rejected: "35",
  failed: "31",
  running: "33",
};

export function paint(spans: readonly Span[], color: boolean): string {
  const joined: [string, Style][] = [];
  for (const [text, style] of spans) {
    const last = joined.at(-1);
    if (last?.[1] === style) last[0] += text;
    else if (text !== "") joined.push([text, style]);
  }
  return joined.map(([text, style]) =>
    color && SGR[style] !== "" ? `\x1b[${SGR[style]}m${text}\x1b[0m` : text
  ).join("");
}
