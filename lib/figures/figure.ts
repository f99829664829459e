/**
 * A figure: one SVG with everything in it, shown inline by Jupyter and written as PNG for others.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import * as Plot from "@observablehq/plot";
import { Resvg } from "@resvg/resvg-js";
import { parseHTML } from "linkedom";
import { captionWords, figureTitles } from "../wording/figures.ts";
import { FAILED, FONT, INK, MUTED, REJECTED } from "./theme.ts";
import { BOLD, escapeXml, textWidth, wrapLabel } from "./text.ts";

/** A figure, ready to be shown, embedded or written. */
export class Figure {
  /** The SVG: one self-contained element without ids, classes or styles that could leak. */
  readonly svg: string;
  /** The claim. */
  readonly title: string;
  /** What is shown, for those who cannot see it. */
  readonly alt: string;

  /**
   * @param svg A self-contained SVG element.
   * @param title The claim.
   * @param alt What is shown, for those who cannot see it.
   */
  constructor(svg: string, title: string, alt: string) {
    this.svg = svg;
    this.title = title;
    this.alt = alt;
  }

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

/** A piece of SVG and the room that it needs. */
export interface Drawing {
  markup: string;
  width: number;
  height: number;
}

/** An entry of a legend. */
export interface LegendEntry {
  label: string;
  color: string;
  symbol: "circle" | "square" | "frame" | "ring" | "dot" | "times" | "triangle" | "line" | "dash";
}

/** The parts of a figure, from top to bottom. */
export interface FigureParts {
  /** The claim. */
  title: string;
  /** What is plotted, with its unit. */
  subtitle?: string;
  legend?: LegendEntry[];
  body: Drawing;
  /** Sentences in the colour of failure, such as causes. */
  failures?: string[];
  /** What gates rejected, and why, a line each. @default none */
  rejections?: string[];
  /** n, the interval, the limits. */
  caption: string;
  /** What is shown, for those who cannot see it. @default title and subtitle */
  alt?: string;
}

/** The width of every figure. */
export const WIDTH = 820;
const PADDING = 16;
/** The width that a body may use. */
export const BODY_WIDTH: number = WIDTH - 2 * PADDING;

const { document } = parseHTML("<!doctype html><html><body></body></html>");

/**
 * Draws a plot as a piece of SVG without its own root, style and class.
 *
 * @param options As for `Plot.plot`; a width, a height and no title.
 */
export function drawPlot(
  options: Plot.PlotOptions & { width: number; height: number },
): Drawing {
  const root = Plot.plot({ ...options, document: document as unknown as Document });
  for (const style of root.querySelectorAll("style")) style.remove();
  // Plot's root sets these; the group stands in for it.
  const attributes = `font-family="${FONT}" font-size="12" text-anchor="middle" fill="${INK}"`;
  const markup = root.innerHTML.replaceAll("currentColor", INK);
  return {
    markup: `<g ${attributes}>${markup}</g>`,
    width: options.width,
    height: options.height,
  };
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
  { title = "", caption = "", ...options }: Omit<Plot.PlotOptions, "title" | "caption"> & {
    title?: string;
    caption?: string;
  },
): Figure {
  return composeFigure({
    title,
    body: drawPlot({ width: BODY_WIDTH, height: 300, ...options }),
    caption,
  });
}

function legendSymbol({ symbol, color }: LegendEntry, x: number, y: number): string {
  const at = `transform="translate(${x},${y})"`;
  switch (symbol) {
    case "circle":
      return `<circle ${at} r="5" fill="${color}"/>`;
    case "square":
      return `<rect ${at} x="-4.5" y="-4.5" width="9" height="9" fill="${color}"/>`;
    case "frame":
      return `<rect ${at} x="-5" y="-5" width="10" height="10" fill="${color}" stroke="${MUTED}" stroke-dasharray="2 2"/>`;
    case "ring":
      return `<circle ${at} r="4.5" fill="#fff" stroke="${color}" stroke-width="2"/>`;
    case "dot":
      return `<circle ${at} r="2.5" fill="${color}" fill-opacity="0.5"/>`;
    case "times":
      return `<path ${at} d="M-4,-4L4,4M-4,4L4,-4" stroke="${color}" stroke-width="2"/>`;
    case "triangle":
      return `<path ${at} d="M0,-5L4.8,3.5H-4.8Z" fill="#fff" stroke="${color}" stroke-width="2"/>`;
    case "line":
      return `<path ${at} d="M-8,0H8" stroke="${color}" stroke-width="2"/>`;
    case "dash":
      return `<path ${at} d="M-8,0H8" stroke="${color}" stroke-width="1.5" stroke-dasharray="4 3"/>`;
  }
}

/**
 * Puts the parts of a figure together into one SVG.
 *
 * @param parts Title, legend, body, caption.
 */
export function composeFigure(parts: FigureParts): Figure {
  const inner: string[] = [];
  let y = PADDING;
  const lines = (
    text: string,
    style: { size: number; height: number; fill: string; weight?: number },
  ) => {
    const width = style.weight === undefined ? BODY_WIDTH : BODY_WIDTH / BOLD;
    for (const line of wrapLabel(text, width, style.size)) {
      y += style.height;
      const weight = style.weight === undefined ? "" : ` font-weight="${style.weight}"`;
      inner.push(
        `<text x="${PADDING}" y="${
          y - style.height * 0.25
        }" font-size="${style.size}"${weight} fill="${style.fill}">${escapeXml(line)}</text>`,
      );
    }
  };
  lines(parts.title, { size: 18, height: 24, fill: INK, weight: 600 });
  if (parts.subtitle !== undefined) {
    lines(parts.subtitle, { size: 13, height: 18, fill: MUTED });
  }
  if (parts.legend !== undefined && parts.legend.length > 0) {
    y += 24;
    let x = PADDING;
    for (const entry of parts.legend) {
      const width = textWidth(entry.label, 13) + 38;
      if (x > PADDING && x + width > WIDTH - PADDING) {
        x = PADDING;
        y += 20;
      }
      inner.push(legendSymbol(entry, x + 8, y - 9));
      inner.push(
        `<text x="${x + 22}" y="${y - 4.5}" font-size="13" fill="${INK}">${
          escapeXml(entry.label)
        }</text>`,
      );
      x += width;
    }
  }
  y += 8;
  inner.push(`<g transform="translate(${PADDING},${y})">${parts.body.markup}</g>`);
  y += parts.body.height + 4;
  for (const failure of parts.failures ?? []) {
    lines(captionWords.failure(failure), { size: 12.5, height: 17, fill: FAILED });
  }
  for (const rejection of parts.rejections ?? []) {
    lines(captionWords.rejection(rejection), { size: 12.5, height: 17, fill: REJECTED });
  }
  lines(parts.caption, { size: 12, height: 17, fill: MUTED });
  const height = Math.ceil(y + PADDING * 0.75);
  const alt = parts.alt ?? [parts.title, parts.subtitle].filter(Boolean).join(". ");
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `role="img" aria-label="${
      escapeXml(alt)
    }" font-family="${FONT}" style="max-width:100%;height:auto">` +
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>${inner.join("")}</svg>`;
  return new Figure(svg, parts.title, alt);
}
