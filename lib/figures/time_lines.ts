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

/** Levels, and what such a level is called. */
interface TimeLevels {
  title: string;
  values: readonly TimeLevel[];
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

/** Each line's name and mean, where it ends. */
function endsOf(points: readonly TimePoint[]) {
  return [...new Set(points.map(({ name }) => name))].map((name) => ({
    name,
    value: points.findLast((point) => point.name === name)!.value,
    text: legendWords.mean(name, meanInWindow(points, name)),
  }));
}

/** The window's start, and what is before it. */
function warmUpMarks(): Plot.Markish[] {
  return [
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
  ];
}

/** Levels; lines of one level share its rule, and its label. */
function levelMarks({ title, values }: TimeLevels, color: (name: string) => string) {
  const firsts = values.filter(({ value }, i) =>
    values.findIndex((level) => level.value === value) === i
  );
  return [
    Plot.ruleY(values, {
      y: "value",
      stroke: ({ name }: TimeLevel) => color(name),
      strokeDasharray: "5 3",
      strokeWidth: 1.5,
      ariaDescription: title,
    }),
    Plot.text(firsts, {
      y: "value",
      text: ({ value }: TimeLevel) => {
        const having = values.filter((level) => level.value === value).map(({ name }) => name);
        return legendWords.limit(title, having, value);
      },
      frameAnchor: "left",
      textAnchor: "start",
      dx: 6,
      dy: -8,
      fill: ({ name }: TimeLevel) => color(name),
      stroke: "#fff",
      strokeWidth: 3,
    }),
  ];
}

/**
 * Draws lines over time, each with its name and its window's mean at its end.
 *
 * @param points The lines' values; at least one.
 * @param color The colour of each line.
 * @param levels Levels that they cannot pass.
 * @param marginRight Room for the labels, in pixels.
 */
export function drawTimeLines(
  points: readonly TimePoint[],
  color: (name: string) => string,
  levels: TimeLevels,
  marginRight = 110,
): ReturnType<typeof drawPlot> {
  const times = points.map((point) => point.timeS);
  const [firstS, lastS] = [Math.min(0, ...times), Math.max(0, ...times)];
  const all = [...points, ...levels.values].map(({ value }) => value);
  const top = 1.08 * Math.max(0.1, ...all);
  const [height, marginTop, marginBottom] = [300, 16, 40];
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
      ...(firstS < 0 ? warmUpMarks() : []),
      ...levelMarks(levels, color),
      Plot.line(points, {
        x: "timeS",
        y: "value",
        z: "name",
        stroke: ({ name }: TimePoint) => color(name),
        strokeWidth: 2,
        ariaDescription: "service",
      }),
      Plot.text(spread(endsOf(points), top / (height - marginTop - marginBottom)), {
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
