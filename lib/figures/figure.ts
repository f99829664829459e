/**
 * A figure: one SVG with everything in it, shown inline by Jupyter and written as PNG for others.
 */

import { fileURLToPath } from "node:url";
import * as Plot from "@observablehq/plot";
import { Resvg } from "@resvg/resvg-js";
import { parseHTML } from "linkedom";
import { captionWords, figureTitles } from "../wording/figures.ts";
import {
  BOLD,
  escapeXml,
  FAILED,
  FONT,
  INK,
  MUTED,
  REJECTED,
  textWidth,
  wrapLabel,
} from "./style.ts";

/** A figure, ready to be shown, embedded or written. */
export class Figure {
  /**
   * @param svg One self-contained element without ids, classes or styles that could leak.
   * @param title The claim.
   * @param alt What is shown, for those who cannot see it.
   */
  constructor(readonly svg: string, readonly title: string, readonly alt: string) {}

  /**
   * The figure as PNG, with the shipped font: the same on every machine.
   *
   * @param scale Pixels per SVG unit. @default 2
   */
  png(scale = 2): Uint8Array<ArrayBuffer> {
    const image = new Resvg(this.svg, {
      fitTo: { mode: "zoom", value: scale },
      font: {
        fontFiles: ["400Regular", "600SemiBold"].map(fontFile),
        loadSystemFonts: false,
        defaultFontFamily: "Source Sans 3",
      },
    });
    return new Uint8Array(image.render().asPng());
  }

  /** How Jupyter shows it. */
  [Symbol.for("Jupyter.display")](): Record<string, string> {
    return { "image/svg+xml": this.svg, "text/plain": this.title };
  }

  /** The claim, as in a log. */
  toString(): string {
    return figureTitles.figure(this.title);
  }
}

function fontFile(weight: string): string {
  const name = `@expo-google-fonts/source-sans-3/${weight}/SourceSans3_${weight}.ttf`;
  return fileURLToPath(import.meta.resolve(name));
}

export interface Drawing {
  markup: string;
  height: number;
}

/** An entry of a legend, its mark as Plot's dot draws it. */
export interface LegendEntry {
  label: string;
  mark: Plot.DotOptions;
}

export const LINE_SYMBOL = {
  draw(context: CanvasPath) {
    context.moveTo(-8, 0);
    context.lineTo(8, 0);
  },
};

export interface FigureParts {
  title: string;
  /** What is plotted, with its unit. */
  subtitle?: string;
  legend?: LegendEntry[];
  body?: Drawing;
  /** Sentences in the colour of failure, such as causes. */
  failures?: string[];
  rejections?: string[];
  caption: string;
}

const WIDTH = 820;
const PADDING = 16;
/** The width that a body may use. */
export const BODY_WIDTH: number = WIDTH - 2 * PADDING;

const { document } = parseHTML("<!doctype html><html><body></body></html>");

/** Draws a plot as a piece of SVG without its own root, style and class. */
export function drawPlot(options: Plot.PlotOptions & { height: number }): Drawing {
  const root = Plot.plot({
    width: BODY_WIDTH,
    ...options,
    document: document as unknown as Document,
  });
  for (const style of root.querySelectorAll("style")) style.remove();
  // Plot's root sets these; the group stands in for it.
  const attributes = `font-family="${FONT}" font-size="12" text-anchor="middle" fill="${INK}"`;
  const markup = root.innerHTML.replaceAll("currentColor", INK);
  return { markup: `<g ${attributes}>${markup}</g>`, height: options.height };
}

/**
 * A plot of your own, shown inline by Jupyter and saved by `png()` like every other figure.
 *
 * @param options Observable Plot's options; `title` and `caption` become the figure's. Width defaults
 * to 788 and height to 300 pixels.
 *
 * @example
 * ```ts
 * import * as Plot from "@observablehq/plot";
 * import { plot } from "poolscope";
 *
 * const rows = [{ users: 10, rps: 90 }, { users: 100, rps: 310 }];
 * const marks = [Plot.lineY(rows, { x: "users", y: "rps" })];
 * console.assert(plot({ title: "Throughput by users", marks }).svg.startsWith("<svg"));
 * ```
 */
export function plot(
  { title = "", caption = "", ...options }: Plot.PlotOptions & { title?: string; caption?: string },
): Figure {
  return composeFigure({ title, body: drawPlot({ height: 300, ...options }), caption });
}

export function stack(drawings: readonly Drawing[]): Drawing {
  let height = 0;
  const markup = drawings.map((drawing) => {
    const group = `<g transform="translate(0,${height})">${drawing.markup}</g>`;
    height += drawing.height;
    return group;
  });
  return { markup: markup.join(""), height };
}

function drawText(text: string, size: number, fill: string, weight = 400): Drawing {
  const lineHeight = Math.round(1.38 * size);
  const lines = wrapLabel(text, weight > 400 ? BODY_WIDTH / BOLD : BODY_WIDTH, size);
  const style = `font-size="${size}" font-weight="${weight}" fill="${fill}"`;
  const markup = lines.map((line, i) =>
    `<text y="${(i + 0.75) * lineHeight}" ${style}>${escapeXml(line)}</text>`
  );
  return { markup: markup.join(""), height: lines.length * lineHeight };
}

function drawLegend(entries: readonly LegendEntry[]): Drawing {
  let [left, y] = [0, 15];
  const marks = entries.map(({ label, mark }) => {
    const width = textWidth(label, 13) + 38;
    if (left > 0 && left + width > BODY_WIDTH) [left, y] = [0, y + 20];
    const at = { x: left + 8, y };
    left += width;
    return [
      Plot.dot([label], { r: 5, strokeWidth: 2, ...mark, ...at }),
      Plot.text([label], { ...at, dx: 14, textAnchor: "start", fontSize: 13 }),
    ];
  });
  const pixels = { type: "identity", axis: null } as const;
  return drawPlot({ height: y + 9, margin: 0, x: pixels, y: pixels, marks });
}

/** Puts the parts of a figure together into one SVG. */
export function composeFigure(
  { title, subtitle, legend = [], body, failures = [], rejections = [], caption }: FigureParts,
): Figure {
  const { markup, height: inner } = stack([
    drawText(title, 18, INK, 600),
    ...(subtitle === undefined ? [] : [drawText(subtitle, 13, MUTED)]),
    ...(legend.length === 0 ? [] : [drawLegend(legend)]),
    { markup: "", height: 8 },
    ...(body === undefined ? [] : [body]),
    { markup: "", height: 4 },
    ...failures.map((failure) => drawText(captionWords.failure(failure), 12.5, FAILED)),
    ...rejections.map((rejection) => drawText(captionWords.rejection(rejection), 12.5, REJECTED)),
    drawText(caption, 12, MUTED),
  ]);
  const height = Math.ceil(inner + PADDING * 1.75);
  const alt = [title, subtitle].filter(Boolean).join(". ");
  const label = escapeXml(alt);
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `role="img" aria-label="${label}" font-family="${FONT}" style="max-width:100%;height:auto">` +
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>` +
    `<g transform="translate(${PADDING},${PADDING})">${markup}</g></svg>`;
  return new Figure(svg, title, alt);
}
