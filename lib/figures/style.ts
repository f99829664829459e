/** What all figures have: colours, symbols and type, text that wraps, margins, axes and grids. */

import type { Path } from "../scenario.ts";
import { formatNumber } from "../wording/format.ts";

export const INK = "#1f2933";
/** Captions and secondary text. */
export const MUTED = "#52606d";
export const GRID = "#e4e7eb";
/** Whatever failed. */
export const FAILED = "#c0262d";
/** What gates reject: neither a failure nor a result. */
export const REJECTED = "#8a5a00";

/** The family of every figure; the PNGs ship it, pages fall back to the system's. */
export const FONT =
  "'Source Sans 3', 'Helvetica Neue', Arial, 'Liberation Sans', system-ui, sans-serif";

/** The two paths, told apart by colour, by lightness and by symbol. */
export const PATH_STYLE: Record<Path, { color: string; symbol: "circle" | "square" }> = {
  direct: { color: "#7b8794", symbol: "circle" },
  pooled: { color: "#0a5fb4", symbol: "square" },
};

/** The marks of runs that failed, and of those that gates rejected. */
export const OUTCOME_STYLE = {
  failed: { stroke: FAILED, symbol: "times" },
  rejected: { stroke: REJECTED, symbol: "triangle" },
} as const;

/** Services, and what connections do: colours of Okabe & Ito, safe for colour-blind readers. */
export const LINE_COLOR = {
  postgres: "#0072b2",
  app: "#d55e00",
  pgbouncer: "#009e73",
  network: "#e69f00",
  locust: "#cc79a7",
  host: "#7b8794",
  "active": "#0072b2",
  "waiting for a lock": "#d55e00",
  "idle in transaction": "#cc79a7",
  "sv_active": "#009e73",
  "cl_waiting": "#e69f00",
};

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

/** Options of a plot whose frame has this height, with margins clockwise from the top. */
export function framed(
  frameHeight: number,
  [marginTop, marginRight, marginBottom, marginLeft]: [number, number, number, number],
) {
  const height = frameHeight + marginTop + marginBottom;
  return { height, marginTop, marginRight, marginBottom, marginLeft };
}

export const LABELS = { label: null, tickSize: 0 } as const;

/**
 * Options of an axis of numbers, of these or of about so many. As texts, all of them are shown; those
 * of a logarithmic scale Plot would otherwise leave out as it sees fit.
 */
export function numbers(ticks: number | number[]) {
  return { ...LABELS, ticks, text: formatNumber, color: MUTED, ariaDescription: "tick" };
}

export function gridLines(ticks: number | number[]) {
  return { ticks, stroke: GRID, strokeOpacity: 1 };
}

/** The labels of a plot's rows, in lines of at most so many pixels, and the room that they need. */
export function rowLabels(rows: readonly { key: string; label: string }[], maxWidth: number) {
  const wrapped = new Map(rows.map(({ key, label }) => [key, wrapLabel(label, maxWidth, 13)]));
  const all = [...wrapped.values()];
  const tickFormat = (key: string) => wrapped.get(key)!.join("\n");
  const lines = Math.max(...all.map((lines) => lines.length));
  return {
    keys: [...wrapped.keys()],
    axis: { ...LABELS, fontSize: 13, tickFormat },
    width: Math.max(...all.flat().map((line) => textWidth(line, 13))),
    lines,
    heightOf: (rowHeight: number) => wrapped.size * (rowHeight + 14 * (lines - 1)),
  };
}

/** 1, 2 and 5 of each power of ten, or 1 and 3, or 1 alone, whichever are at most `most`. */
export function logTicks([low, high]: [number, number], most = 7): number[] {
  let ticks: number[] = [];
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      // The division keeps 0.2 from becoming 0.2000…1.
      ticks.push(...steps.map((step) => power < 0 ? step / 10 ** -power : step * 10 ** power));
    }
    ticks = ticks.filter((tick) => tick >= low && tick <= high);
    if (ticks.length <= most) break;
  }
  return ticks;
}
