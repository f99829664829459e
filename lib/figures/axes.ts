/**
 * Texts at the edges of plots: what stands beside rows, and below or beside an axis.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { textWidth, wrapLabel } from "./text.ts";
import { INK, MUTED } from "./theme.ts";

/** A text at each tick, below a plot. */
export const TICK_BELOW = { frameAnchor: "bottom", dy: 16, fontSize: 12, fill: MUTED } as const;

/** A text at each tick, left of a plot. */
export const TICK_BESIDE = {
  frameAnchor: "left",
  textAnchor: "end",
  dx: -8,
  fontSize: 12,
  fill: MUTED,
} as const;

/**
 * The labels of a plot's rows, wrapped.
 *
 * @param labels The label of each row, by its key.
 * @param maxWidth What is wider goes on in a further line, in pixels.
 * @returns The axis, and the most room that one of them needs.
 */
export function rowLabels(labels: ReadonlyMap<string, string>, maxWidth: number) {
  const wrapped = new Map([...labels].map(([key, label]) => [key, wrapLabel(label, maxWidth, 13)]));
  const all = [...wrapped.values()];
  const axis = Plot.axisY({
    label: null,
    tickSize: 0,
    fontSize: 13,
    color: INK,
    tickFormat: (key: string) => wrapped.get(key)!.join("\n"),
  });
  return {
    axis,
    width: Math.max(...all.flat().map((line) => textWidth(line, 13))),
    lines: Math.max(...all.map((lines) => lines.length)),
  };
}
