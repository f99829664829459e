/**
 * Lines over the time of one run: what CPU and connections have in common.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { armName, type Scenario } from "../scenario.ts";
import { BODY_WIDTH, drawPlot } from "./figure.ts";
import { claimWords } from "../wording/claims.ts";
import { axisWords, figureTitles, legendWords } from "../wording/figures.ts";
import { formatNumber } from "../wording/format.ts";
import { linearTicks } from "./scales.ts";
import { GRID, MUTED } from "./theme.ts";

/** One value of one line. */
export interface TimePoint {
  /** The line. */
  name: string;
  /** Seconds since the window's start; negative in the warm-up. */
  timeS: number;
  value: number;
}

/** A level that lines cannot pass. */
export interface TimeLevel {
  /** The line that it is for. */
  name: string;
  value: number;
}

/** The mean of a line over the window. */
export function meanInWindow(points: readonly TimePoint[], name: string): number {
  const own = points.filter((point) => point.name === name && point.timeS > 0);
  return own.reduce((sum, { value }) => sum + value, 0) / Math.max(1, own.length);
}

/** A claim about one run, with its scenario where that is known. */
export function ofScenario(claim: string, scenario: Scenario | undefined): string {
  return scenario === undefined
    ? claim
    : figureTitles.ofCell(claim, claimWords.cell(armName(scenario), [scenario]));
}

/** Labels at the lines' ends, moved apart so that none covers another. */
function spread(ends: { name: string; value: number; text: string }[], perPixel: number) {
  const apart = 15 * perPixel;
  let free = -Infinity;
  return [...ends].sort((a, b) => a.value - b.value).map((end) => {
    free = Math.max(end.value, free + apart);
    return { ...end, y: free };
  });
}

/**
 * Draws lines over time, each with its name and its window's mean at its end.
 *
 * @param points The lines' values; at least one.
 * @param color The colour of each line.
 * @param levels Levels that they cannot pass, and what such a level is called.
 * @param marginRight Room for the labels, in pixels.
 */
export function drawTimeLines(
  points: readonly TimePoint[],
  color: (name: string) => string,
  levels: { title: string; values: readonly TimeLevel[] },
  marginRight = 110,
): ReturnType<typeof drawPlot> {
  const names = [...new Set(points.map(({ name }) => name))];
  const lastS = Math.max(0, ...points.map((point) => point.timeS));
  const firstS = Math.min(0, ...points.map((point) => point.timeS));
  const quotas = levels.values;
  const top = Math.max(
    0.1,
    ...points.map(({ value }) => value),
    ...quotas.map(({ value }) => value),
  ) * 1.08;
  const height = 300;
  const marginTop = 16;
  const marginBottom = 40;
  const ends = names.map((name) => {
    const last = points.findLast((point) => point.name === name)!;
    return {
      name,
      value: last.value,
      text: legendWords.mean(name, meanInWindow(points, name)),
    };
  });
  const ticks = linearTicks(top, 5);
  return drawPlot({
    width: BODY_WIDTH,
    height,
    marginTop,
    marginBottom,
    marginLeft: 44,
    marginRight,
    x: { domain: [firstS, Math.max(lastS, firstS + 1)], axis: null },
    y: { domain: [0, top], axis: null },
    color: { type: "identity" },
    marks: [
      Plot.ruleY(ticks, { stroke: GRID }),
      Plot.ruleY([0], { stroke: MUTED }),
      Plot.text(ticks, {
        y: (tick: number) => tick,
        text: (tick: number) => formatNumber(tick),
        frameAnchor: "left",
        textAnchor: "end",
        dx: -8,
        fill: MUTED,
      }),
      Plot.axisX({
        ticks: 8,
        tickSize: 0,
        label: axisWords.sinceWindow,
        labelAnchor: "center",
        labelArrow: "none",
        fontSize: 12,
        color: MUTED,
      }),
      firstS < 0
        ? [
          Plot.ruleX([0], { stroke: MUTED, ariaDescription: "window start" }),
          Plot.text([0], {
            x: () => 0,
            text: () => legendWords.warmUp,
            frameAnchor: "top",
            textAnchor: "end",
            dx: -6,
            dy: -12,
            fill: MUTED,
          }),
        ]
        : [],
      Plot.ruleY(quotas, {
        y: "value",
        stroke: ({ name }: TimeLevel) => color(name),
        strokeDasharray: "5 3",
        strokeWidth: 1.5,
        ariaDescription: levels.title,
      }),
      Plot.text(quotas.filter(({ value }, i) => quotas.findIndex((q) => q.value === value) === i), {
        y: "value",
        // Lines of one level share its rule, and its label.
        text: ({ value }: TimeLevel) => {
          const having = quotas.filter((level) => level.value === value).map(({ name }) => name);
          return legendWords.limit(levels.title, having, value);
        },
        frameAnchor: "left",
        textAnchor: "start",
        dx: 6,
        dy: -8,
        fill: ({ name }: TimeLevel) => color(name),
        stroke: "#fff",
        strokeWidth: 3,
      }),
      Plot.line(points, {
        x: "timeS",
        y: "value",
        z: "name",
        stroke: ({ name }: TimePoint) => color(name),
        strokeWidth: 2,
        ariaDescription: "service",
      }),
      Plot.text(spread(ends, top / (height - marginTop - marginBottom)), {
        y: "y",
        text: "text",
        frameAnchor: "right",
        textAnchor: "start",
        dx: 8,
        fontSize: 13,
        fontWeight: 600,
        fill: ({ name }: { name: string }) => color(name),
      }),
    ],
  });
}
