/**
 * Pooled over direct throughput, one row for each comparison.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { ratioVerdict } from "../stats/ratio.ts";
import { levelLabel, type LoadLevel } from "../scenario.ts";
import type { PathRatio } from "../stats/summary.ts";
import { pairName, pathClaim, throughputComparisons, whatFailed } from "./claims.ts";
import { BODY_WIDTH, composeFigure, type Drawing, drawPlot, type Figure } from "./figure.ts";
import {
  atLevels,
  formatInterval,
  formatList,
  formatRatio,
  formatRatioEnd,
  formatSpan,
} from "./format.ts";
import { caption, emptyFigure, type FigureOptions } from "./options.ts";
import { FAILED, GRID, INK, MUTED, PATH_STYLE } from "./theme.ts";
import { textWidth, wrapText } from "./text.ts";

interface Row {
  key: string;
  label: string;
  value: number;
  low: number;
  high: number;
  clear: boolean;
  color: string;
  text: string;
}

const ROW_HEIGHT = 26;

function labelOf(ratio: PathRatio): string {
  const { label, reuse } = ratio;
  const name = label.includes("reuse=") ? label : `${label}, ${reuse}`;
  return `${name}, ${levelLabel(ratio)}`;
}

function rowsOf(ratios: readonly PathRatio[]): Row[] {
  return ratios.flatMap((pair) => {
    if (pair.ratio === null) return [];
    const { value, low, high } = pair.ratio;
    const verdict = ratioVerdict(pair.ratio);
    const clear = verdict === "higher" || verdict === "lower";
    return [{
      key: `${pair.direct} ${pair.pooled}`,
      label: labelOf(pair),
      value,
      low: low ?? value,
      high: high ?? value,
      clear,
      color: clear ? PATH_STYLE[verdict === "higher" ? "pooled" : "direct"].color : MUTED,
      text: `${formatRatio(value)} ${
        low === null ? "(one run)" : formatInterval(pair.ratio, formatRatioEnd)
      }`,
    }];
  });
}

/** Ticks that read as ratios: 0.5, 1, 2, … or finer where everything is near 1. */
function ratioTicks(low: number, high: number): number[] {
  const all = high / low > 3
    ? [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    : [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5];
  return all.filter((tick) => tick >= low && tick <= high);
}

function drawForest(ratios: readonly PathRatio[]): { body: Drawing; clipped: boolean } {
  const rows = rowsOf(ratios);
  const missing = ratios.filter((pair) => pair.ratio === null)
    .map((pair) => ({ key: `${pair.direct} ${pair.pooled}`, pair }));
  const keys = ratios.map((pair) => `${pair.direct} ${pair.pooled}`);
  const labels = new Map(
    ratios.map((pair, i) => [keys[i]!, wrapText(labelOf(pair), 250, 13)]),
  );
  const lines = Math.max(...[...labels.values()].map((label) => label.length));
  const values = rows.map((row) => row.value);
  // Intervals more than fourfold beyond all values would flatten the rest; they are cut there.
  const low = Math.max(
    Math.min(...rows.map((row) => row.low), 0.85),
    Math.min(...values, 1) / 4,
  ) / 1.1;
  const high = Math.min(
    Math.max(...rows.map((row) => row.high), 1.18),
    Math.max(...values, 1) * 4,
  ) * 1.1;
  const within = (value: number) => Math.min(high, Math.max(low, value));
  const ticks = ratioTicks(low, high);
  const marginTop = 28;
  const marginBottom = 26;
  const body = drawPlot({
    width: BODY_WIDTH,
    height: marginTop + marginBottom + ratios.length * (ROW_HEIGHT + 15 * (lines - 1)),
    marginTop,
    marginBottom,
    marginLeft: 12 + Math.max(...[...labels.values()].flat().map((line) => textWidth(line, 13))),
    marginRight: 14 + Math.max(...rows.map((row) => textWidth(row.text, 13)), 110),
    x: { type: "log", domain: [low, high], axis: null },
    y: { domain: keys, axis: null, padding: 0.5, type: "point" },
    color: { type: "identity" },
    marks: [
      Plot.ruleX(ticks, { stroke: GRID }),
      Plot.ruleX([1], { stroke: INK, strokeDasharray: "4 3", ariaDescription: "no difference" }),
      // An axis mark would leave out labels of a logarithmic scale as it sees fit.
      Plot.text(ticks, {
        x: (tick: number) => tick,
        frameAnchor: "bottom",
        dy: 17,
        text: (tick: number) => `${tick}×`,
        fontSize: 12,
        fill: MUTED,
        ariaDescription: "tick",
      }),
      Plot.axisY({
        label: null,
        tickSize: 0,
        fontSize: 13,
        color: INK,
        tickFormat: (key: string) => labels.get(key)!.join("\n"),
      }),
      Plot.text(["pooled faster →"], {
        x: () => 1,
        frameAnchor: "top",
        textAnchor: "start",
        dx: 8,
        dy: -18,
        text: (text: string) => text,
        fontSize: 12,
        fill: MUTED,
      }),
      Plot.text(["← direct faster"], {
        x: () => 1,
        frameAnchor: "top",
        textAnchor: "end",
        dx: -8,
        dy: -18,
        text: (text: string) => text,
        fontSize: 12,
        fill: MUTED,
      }),
      Plot.ruleY(rows.filter((row) => row.high > row.low), {
        y: "key",
        x1: (row: Row) => within(row.low),
        x2: (row: Row) => within(row.high),
        stroke: "color",
        strokeWidth: 2.5,
        ariaDescription: "interval",
      }),
      Plot.dot(rows, {
        y: "key",
        x: "value",
        r: 5,
        fill: (row: Row) => row.clear ? row.color : "#fff",
        stroke: "color",
        strokeWidth: 2,
        ariaDescription: "ratio",
      }),
      Plot.text(rows, {
        y: "key",
        text: "text",
        frameAnchor: "right",
        textAnchor: "start",
        dx: 12,
        fontSize: 13,
        fill: INK,
      }),
      Plot.dot(missing, {
        y: "key",
        x: () => 1,
        symbol: "times",
        r: 5,
        stroke: FAILED,
        strokeWidth: 2,
        ariaDescription: "failed",
      }),
      Plot.text(missing, {
        y: "key",
        text: ({ pair }: { pair: PathRatio }) => whatFailed(pair),
        frameAnchor: "right",
        textAnchor: "start",
        dx: 12,
        fontSize: 13,
        fill: FAILED,
      }),
    ],
  });
  return { body, clipped: rows.some((row) => row.low < low || row.high > high) };
}

/**
 * Pooled over direct throughput for each framework and load, with the line of no
 * difference. Filled dots are differences beyond the interval, open ones are not.
 *
 * @param ratios The ratios of a study.
 * @param options The study itself will do.
 */
export function ratioFigure(
  ratios: readonly PathRatio[],
  options: Omit<FigureOptions, "ratios" | "runs"> = {},
): Figure {
  if (ratios.length === 0) {
    return emptyFigure("No pair of direct and pooled arms to compare", options.context);
  }
  const { body, clipped } = drawForest(ratios);
  const compared = ratios.filter((pair) => pair.n > 0).map((pair) => pair.n);
  const unequal = [...new Set(ratios.flatMap((pair) => pair.differences))];
  const causes = new Map<string, { pair: PathRatio; levels: LoadLevel[] }>();
  for (const pair of ratios.filter((pair) => pair.missing !== null)) {
    const key = `${pairName(pair)} ${pair.missing}`;
    const cause = causes.get(key) ?? { pair, levels: [] };
    cause.levels.push(pair);
    causes.set(key, cause);
  }
  return composeFigure({
    title: options.title ??
      pathClaim("throughput", throughputComparisons(ratios), options.context),
    subtitle: "Throughput, pooled over direct, logarithmic scale",
    legend: [
      { label: "interval excludes 1×", color: INK, symbol: "circle" },
      {
        label: compared.includes(1) ? "no clear difference, or one run" : "no clear difference",
        color: MUTED,
        symbol: "ring",
      },
    ],
    body,
    failures: [...causes.values()].map(({ pair, levels }) =>
      `${pairName(pair)} ${atLevels(levels)}: ${pair.missing}`
    ),
    caption: caption(
      [
        compared.length === 0
          ? "no round to compare"
          : `n = ${formatSpan(compared, String)} ${
            Math.max(...compared) === 1 ? "round" : "rounds"
          } per row`,
        compared.every((n) => n === 1)
          ? "a single round has no interval"
          : "geometric mean of the ratios paired by round, 95 % t interval of their logarithms" +
            (compared.length > 1 ? `, not corrected for ${compared.length} comparisons` : ""),
        unequal.length === 0
          ? []
          : [`${formatList(unequal)} differs between the paths: not the path's effect alone`],
        clipped ? ["intervals reach beyond the scale"] : [],
      ].flat(),
      options.context,
    ),
  });
}
