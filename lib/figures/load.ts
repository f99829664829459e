/**
 * The latencies of a load on a service that already ran.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { BODY_WIDTH, composeFigure, drawPlot, type Figure } from "./figure.ts";
import { formatNumber } from "../wording/format.ts";
import { axisWords, figureTitles } from "../wording/figures.ts";
import { caption, emptyFigure } from "./options.ts";
import { logTicks } from "./scales.ts";
import { GRID, MUTED, PATH_STYLE } from "./theme.ts";

/** What {@linkcode loadFigure} draws; a `Load` is one. */
export interface LoadCurve {
  /** Latencies in milliseconds with the share of requests that took at most so long. */
  curve: readonly { percent: number; ms: number }[];
  /** `response time` or `service time`. */
  latency: string;
  /** The claim. */
  title: string;
  /** What was loaded, and how. */
  head: string;
  /** What is wrong with it, a line each. */
  warnings: readonly string[];
}

/**
 * How long answers took, as a cumulative distribution.
 *
 * @param load What `openLoad()` returned.
 */
export function loadFigure({ curve, latency, title, head, warnings }: LoadCurve): Figure {
  if (curve.length === 0) return emptyFigure(figureTitles.noAnswer);
  const times = curve.map(({ ms }) => ms);
  const domain: [number, number] = [
    Math.max(0.01, Math.min(...times)) / 1.1,
    Math.max(...times) * 1.1,
  ];
  return composeFigure({
    title,
    subtitle: axisWords.share("requests", latency),
    body: drawPlot({
      width: BODY_WIDTH,
      height: 260,
      marginLeft: 46,
      x: { type: "log", domain },
      y: { domain: [0, 100] },
      marks: [
        Plot.ruleY([0, 25, 50, 75, 95], { stroke: GRID }),
        Plot.axisX({
          ticks: logTicks(domain),
          tickFormat: formatNumber,
          label: null,
          color: MUTED,
        }),
        Plot.axisY({
          ticks: [0, 25, 50, 75, 95],
          tickFormat: (value: number) => `${value}%`,
          label: null,
          color: MUTED,
        }),
        Plot.line(curve, {
          x: "ms",
          y: "percent",
          stroke: PATH_STYLE.pooled.color,
          strokeWidth: 2,
        }),
      ],
    }),
    failures: [...warnings],
    caption: caption([head]),
  });
}
