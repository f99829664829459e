/**
 * The comparison of all arms at each number of users: the two plots of the report's folder.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import type { Estimate, ScenarioSummary } from "../stats/summary.ts";
import { latencyComparisons, pathClaim, throughputComparisons } from "./claims.ts";
import { BODY_WIDTH, composeFigure, type Drawing, drawPlot, type Figure } from "./figure.ts";
import { formatNumber } from "./format.ts";
import { caption, describeN, failureSentences, type FigureOptions, pathLegend } from "./options.ts";
import { FAILED, GRID, INK, MUTED, PATH_STYLE } from "./theme.ts";
import { textWidth, wrapText } from "./text.ts";

interface Cell {
  scenario: ScenarioSummary;
  arm: string;
  level: number;
  color: string;
  value: number;
  low: number;
  high: number;
  text: string;
}

const ROW_HEIGHT = 30;
const LABEL_MAX = 190;

function cellsOf(
  scenarios: readonly ScenarioSummary[],
  pick: (scenario: ScenarioSummary) => Estimate | null,
  bounded: boolean,
): Cell[] {
  return scenarios.flatMap((scenario) => {
    const estimate = pick(scenario);
    if (estimate === null) return [];
    const partly = scenario.failedRuns > 0
      ? `  (${scenario.failedRuns} of ${scenario.n + scenario.failedRuns} failed)`
      : "";
    return [{
      scenario,
      arm: scenario.arm,
      level: scenario.users,
      color: PATH_STYLE[scenario.path].color,
      value: estimate.value,
      low: estimate.low ?? estimate.value,
      high: estimate.high ?? estimate.value,
      text: (bounded && scenario.censored ? "≥ " : "") + formatNumber(estimate.value) + partly,
    }];
  });
}

function drawComparison(
  scenarios: readonly ScenarioSummary[],
  cells: Cell[],
  mark: "bar" | "dot",
): { body: Drawing; clipped: boolean } {
  const arms = [...new Set(scenarios.map((scenario) => scenario.arm))];
  const levels = [...new Set(scenarios.map((scenario) => scenario.users))].sort((a, b) => a - b);
  const failed = scenarios.filter((scenario) => scenario.n === 0)
    .map((scenario) => ({ arm: scenario.arm, level: scenario.users }));
  const labels = new Map(arms.map((arm) => [arm, wrapText(arm, LABEL_MAX, 13)]));
  const marginLeft = 10 +
    Math.max(...[...labels.values()].flat().map((line) => textWidth(line, 13)));
  const lines = Math.max(...[...labels.values()].map((label) => label.length));
  const marginTop = 34;
  const marginBottom = 26;
  const columnWidth = Math.min(420, (BODY_WIDTH - marginLeft) / levels.length);
  const largest = Math.max(...cells.map((cell) => cell.value), 0) || 1;
  const furthest = Math.min(2 * largest, Math.max(largest, ...cells.map((cell) => cell.high)));
  const texts = Math.max(...cells.map((cell) => textWidth(cell.text, 12)), 60);
  const frame = columnWidth - 24;
  // The values stand right of the intervals: the scale leaves them their room.
  const end = furthest / Math.max(0.35, 1 - (texts + 10) / frame);
  const within = (value: number) => Math.min(value, end);
  const at = { y: "arm", fx: "level" };
  const body = drawPlot({
    width: marginLeft + columnWidth * levels.length,
    height: marginTop + marginBottom + arms.length * (ROW_HEIGHT + 14 * (lines - 1)),
    marginTop,
    marginBottom,
    marginLeft,
    marginRight: 4,
    fx: { domain: levels, axis: null, padding: 0.06 },
    y: { domain: arms, padding: 0.3, axis: null },
    x: { domain: [0, end] },
    marks: [
      Plot.gridX({ ticks: 4, stroke: GRID, strokeOpacity: 1 }),
      Plot.ruleX([0], { stroke: MUTED }),
      Plot.axisX({
        ticks: Math.max(2, Math.floor(frame / 70)),
        label: null,
        tickSize: 0,
        fontSize: 12,
        color: MUTED,
        tickFormat: (tick: number) => formatNumber(tick),
      }),
      Plot.axisY({
        label: null,
        tickSize: 0,
        fontSize: 13,
        color: INK,
        tickFormat: (arm: string) => labels.get(arm)!.join("\n"),
      }),
      Plot.text(levels, {
        fx: (level: number) => level,
        text: (level: number) => `${level} users`,
        frameAnchor: "top-left",
        dy: -22,
        fontSize: 13,
        fontWeight: 600,
        ariaLabel: "level",
      }),
      mark === "bar"
        ? Plot.barX(cells, { ...at, x1: 0, x2: "value", fill: "color", ariaLabel: "scenario" })
        : Plot.dot(cells, {
          ...at,
          x: "value",
          r: 5,
          fill: (cell: Cell) => cell.scenario.censored ? "#fff" : cell.color,
          stroke: "color",
          strokeWidth: 2,
          symbol: (cell: Cell) => PATH_STYLE[cell.scenario.path].symbol,
          ariaLabel: "scenario",
        }),
      Plot.ruleY(cells.filter((cell) => cell.high > cell.low), {
        ...at,
        x1: (cell: Cell) => Math.max(0, cell.low),
        x2: (cell: Cell) => within(cell.high),
        stroke: mark === "bar" ? INK : "color",
        strokeWidth: mark === "bar" ? 1.5 : 2,
        ariaLabel: "interval",
      }),
      Plot.text(cells, {
        ...at,
        x: (cell: Cell) => within(cell.high),
        text: "text",
        textAnchor: "start",
        dx: mark === "bar" ? 6 : 9,
        fontSize: 12,
        fontWeight: 600,
        stroke: "#fff",
        strokeWidth: 3,
        fill: INK,
        ariaLabel: "value",
      }),
      Plot.dot(failed, {
        ...at,
        x: () => 0,
        dx: 10,
        r: 5,
        symbol: () => "times",
        stroke: FAILED,
        strokeWidth: 2,
        ariaLabel: "failed",
      }),
      Plot.text(failed, {
        ...at,
        x: () => 0,
        dx: 20,
        text: () => "failed",
        textAnchor: "start",
        fontSize: 12,
        fill: FAILED,
      }),
    ],
    color: { type: "identity" },
    symbol: { type: "identity" },
  });
  return { body, clipped: cells.some((cell) => cell.high > end) };
}

/**
 * Throughput of every arm at each number of users: `plots/rps_comparison.png`.
 *
 * @param scenarios The scenarios of a study.
 * @param options The study itself will do.
 */
export function rpsComparisonFigure(
  scenarios: readonly ScenarioSummary[],
  options: FigureOptions = {},
): Figure {
  const cells = cellsOf(scenarios, (scenario) => scenario.rps, false);
  const { body, clipped } = drawComparison(scenarios, cells, "bar");
  const comparisons = throughputComparisons(options.ratios ?? []);
  return composeFigure({
    title: options.title ?? pathClaim("throughput", comparisons, options.context),
    subtitle: "Throughput: correct answers per second, more is better",
    legend: pathLegend(scenarios),
    body,
    failures: failureSentences(scenarios),
    caption: caption(
      [
        describeN(scenarios),
        scenarios.some((scenario) => scenario.n > 1)
          ? "lines are 95 % t intervals of the mean"
          : "a single run has no interval",
        clipped ? ["intervals reach beyond the scale"] : [],
      ].flat(),
      options.context,
    ),
  });
}

/**
 * P95 latency of every arm at each number of users: `plots/p95_latency_comparison.png`.
 *
 * @param scenarios The scenarios of a study.
 * @param options The study itself will do.
 */
export function p95ComparisonFigure(
  scenarios: readonly ScenarioSummary[],
  options: FigureOptions = {},
): Figure {
  const cells = cellsOf(scenarios, (scenario) => scenario.p95Ms, true);
  const { body, clipped } = drawComparison(scenarios, cells, "dot");
  const comparisons = latencyComparisons(options.ratios ?? [], scenarios, 95);
  return composeFigure({
    title: options.title ?? pathClaim("P95 latency", comparisons, options.context),
    subtitle: "P95 latency of correct answers in ms, less is better",
    legend: pathLegend(scenarios, [], true),
    body,
    failures: failureSentences(scenarios),
    caption: caption(
      [
        describeN(scenarios),
        scenarios.some((scenario) => scenario.n > 1)
          ? "median of the runs' percentiles, lines from smallest to largest run"
          : "a single run has no range",
        clipped ? ["ranges reach beyond the scale"] : [],
      ].flat(),
      options.context,
    ),
  });
}
