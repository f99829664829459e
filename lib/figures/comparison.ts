/**
 * The comparison of all arms at each load: the two plots of the report's folder.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { levelLabel, loadLevels } from "../scenario.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type { Estimate, PathRatio, ScenarioSummary } from "../stats/summary.ts";
import { latencyComparisons, pathClaim, rangeClaim, throughputComparisons } from "./claims.ts";
import { facetsOf } from "./facets.ts";
import { BODY_WIDTH, composeFigure, type Drawing, drawPlot, type Figure } from "./figure.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles } from "../wording/figures.ts";
import { formatNumber } from "../wording/format.ts";
import {
  caption,
  checkFigure,
  describeLoop,
  describeN,
  describeSpread,
  emptyFigure,
  failureSentences,
  type FigureOptions,
  latencyAxis,
  latencyName,
  pathLegend,
  rejectionSentences,
  tooFewRequests,
} from "./options.ts";
import { rowLabels, TICK_BELOW } from "./axes.ts";
import { linearTicks, logTicks } from "./scales.ts";
import { FAILED, GRID, INK, MUTED, PATH_STYLE, REJECTED } from "./theme.ts";
import { textWidth } from "./text.ts";

interface Cell {
  scenario: ScenarioSummary;
  arm: string;
  level: string;
  bound: boolean;
  color: string;
  value: number;
  low: number;
  high: number;
  text: string;
}

const ROW_HEIGHT = 30;
const LABEL_MAX = 190;
/** Above this ratio of largest to smallest latency, a logarithmic scale shows both. */
const LOG_ABOVE = 8;

function cellsOf(
  scenarios: readonly ScenarioSummary[],
  pick: (scenario: ScenarioSummary) => Estimate | null,
  percentile: number | null,
): Cell[] {
  return scenarios.flatMap((scenario) => {
    const estimate = pick(scenario);
    if (estimate === null) return [];
    const bound = percentile !== null && isLowerBound(scenario, percentile);
    return [{
      scenario,
      bound,
      arm: scenario.arm,
      level: levelLabel(scenario),
      color: PATH_STYLE[scenario.path].color,
      value: estimate.value,
      low: estimate.low ?? estimate.value,
      high: estimate.high ?? estimate.value,
      text: (bound ? "≥ " : "") + formatNumber(estimate.value),
    }];
  });
}

/** The mark of what failed, or of what gates rejected. */
function markOf(isFailed: boolean) {
  return {
    symbol: () => isFailed ? "times" as const : "triangle" as const,
    stroke: isFailed ? FAILED : REJECTED,
  };
}

/** The axis of the values; these stand right of their intervals, and are left their room. */
function scaleOf(cells: readonly Cell[], mark: "bar" | "dot", frame: number) {
  const largest = Math.max(...cells.map((cell) => cell.value), 0) || 1;
  const furthest = Math.min(2 * largest, Math.max(largest, ...cells.map((cell) => cell.high)));
  const texts = Math.max(...cells.map((cell) => textWidth(cell.text, 12)), 44);
  const share = Math.max(0.35, 1 - (texts + 16) / frame);
  const smallest = Math.min(...cells.map((cell) => cell.value), largest);
  const log = mark === "dot" && largest / smallest > LOG_ABOVE;
  const start = log ? Math.min(...cells.map((cell) => Math.max(cell.low, smallest / 3))) / 1.6 : 0;
  const end = log ? start * (furthest / start) ** (1 / share) : furthest / share;
  const ticks = log
    ? logTicks([start, furthest], frame / 45)
    : linearTicks(furthest, Math.max(2, frame / 80));
  return { log, start, end, furthest, ticks };
}

type Scale = ReturnType<typeof scaleOf>;

/** A cell's place, in every mark. */
const AT = { y: "arm", fx: "level" };

/** The values as bars or dots, with their intervals and texts. */
function valueMarks(cells: Cell[], mark: "bar" | "dot", { start, furthest }: Scale) {
  const isBar = mark === "bar";
  const end = (cell: Cell) => Math.min(cell.high, furthest);
  const intervals = Plot.ruleY(cells.filter((cell) => cell.high > cell.low), {
    ...AT,
    x1: (cell: Cell) => Math.max(start, cell.low),
    x2: end,
    stroke: isBar ? INK : "color",
    strokeWidth: isBar ? 1.5 : 2,
    ariaDescription: "interval",
  });
  const bars = { ...AT, x1: 0, x2: "value", fill: "color", ariaDescription: "scenario" };
  const dots = Plot.dot(cells, {
    ...AT,
    x: "value",
    r: 5,
    fill: (cell: Cell) => cell.bound ? "#fff" : cell.color,
    stroke: "color",
    strokeWidth: 2,
    symbol: (cell: Cell) => PATH_STYLE[cell.scenario.path].symbol,
    ariaDescription: "scenario",
  });
  const texts = Plot.text(cells, {
    ...AT,
    x: end,
    text: "text",
    textAnchor: "start",
    dx: isBar ? 6 : 9,
    fontSize: 12,
    fontWeight: 600,
    stroke: "#fff",
    strokeWidth: 3,
    fill: INK,
    ariaDescription: "value",
  });
  return [...(isBar ? [Plot.barX(cells, bars), intervals] : [intervals, dots]), texts];
}

/** Marks of runs that failed or were rejected, right of the value of their scenario. */
function partlyMarks(cells: readonly Cell[], { furthest }: Scale) {
  return cells.flatMap((cell) => {
    const { failedRuns, rejectedRuns } = cell.scenario;
    const kinds = [...(failedRuns > 0 ? [true] : []), ...(rejectedRuns > 0 ? [false] : [])];
    return kinds.map((isFailed, i) =>
      Plot.dot([cell], {
        ...AT,
        ...markOf(isFailed),
        x: Math.min(cell.high, furthest),
        dx: 20 + 13 * i + textWidth(cell.text, 12),
        r: 3.5,
        strokeWidth: 1.5,
        ariaDescription: isFailed ? "partly failed" : "partly rejected",
      })
    );
  });
}

/** Marks of scenarios without a value, at the axis. */
function failureMarks(scenarios: readonly ScenarioSummary[], { start }: Scale) {
  return [true, false].flatMap((isFailed) => {
    const kind = isFailed ? "failed" : "rejected";
    const mark = markOf(isFailed);
    const own = scenarios.filter(({ n, failedRuns }) => n === 0 && failedRuns > 0 === isFailed)
      .map((scenario) => ({ arm: scenario.arm, level: levelLabel(scenario) }));
    const at = { ...AT, x: () => start };
    return [
      Plot.dot(own, { ...at, ...mark, dx: 10, r: 5, strokeWidth: 2, ariaDescription: kind }),
      Plot.text(own, {
        ...at,
        dx: 20,
        text: () => claimWords[kind],
        textAnchor: "start",
        fontSize: 12,
        fill: mark.stroke,
      }),
    ];
  });
}

function drawComparison(
  scenarios: readonly ScenarioSummary[],
  cells: Cell[],
  mark: "bar" | "dot",
  ratios: readonly PathRatio[],
): { body: Drawing; log: boolean; clipped: boolean } {
  // Arms that are compared stand together, whatever the order of the plan.
  const arms = [
    ...new Set(facetsOf(scenarios, ratios).flatMap((facet) => facet.scenarios.map((s) => s.arm))),
  ];
  const levels = loadLevels(scenarios).map(levelLabel);
  const labels = rowLabels(new Map(arms.map((arm) => [arm, arm])), LABEL_MAX);
  const [marginTop, marginBottom] = [34, 26];
  const marginLeft = 10 + labels.width;
  const columnWidth = Math.min(420, (BODY_WIDTH - marginLeft) / levels.length);
  const scale = scaleOf(cells, mark, columnWidth - 24);
  const { log, start, end, ticks } = scale;
  const body = drawPlot({
    width: marginLeft + columnWidth * levels.length,
    height: marginTop + marginBottom + arms.length * (ROW_HEIGHT + 14 * (labels.lines - 1)),
    marginTop,
    marginBottom,
    marginLeft,
    marginRight: 4,
    fx: { domain: levels, axis: null, padding: 0.06 },
    y: { domain: arms, padding: 0.3, axis: null },
    x: { type: log ? "log" : "linear", domain: [start, end], axis: null },
    marks: [
      Plot.gridX({ ticks, stroke: GRID, strokeOpacity: 1 }),
      Plot.ruleX([start], { stroke: MUTED }),
      // An axis mark would leave out labels of a logarithmic scale as it sees fit.
      Plot.text(levels.flatMap((level) => ticks.map((tick) => ({ level, tick }))), {
        fx: "level",
        x: "tick",
        text: ({ tick }: { tick: number }) => formatNumber(tick),
        ...TICK_BELOW,
      }),
      labels.axis,
      Plot.text(levels, {
        fx: (level: string) => level,
        text: (level: string) => level,
        frameAnchor: "top-left",
        dy: -22,
        fontSize: 13,
        fontWeight: 600,
        ariaDescription: "level",
      }),
      ...valueMarks(cells, mark, scale),
      ...partlyMarks(cells, scale),
      ...failureMarks(scenarios, scale),
    ],
    color: { type: "identity" },
    symbol: { type: "identity" },
  });
  return { body, log, clipped: cells.some((cell) => cell.high > scale.furthest) };
}

/**
 * Throughput of every arm at each load: `plots/rps_comparison.png`.
 *
 * @param scenarios The scenarios of a study.
 * @param options The study itself will do.
 */
export function rpsComparisonFigure(
  scenarios: readonly ScenarioSummary[],
  options: FigureOptions = {},
): Figure {
  if (scenarios.length === 0) return emptyFigure(figureTitles.noRun, options.context);
  const check = checkFigure(measureWords.throughput, options.context);
  if (check !== null) return check;
  const cells = cellsOf(scenarios, (scenario) => scenario.rps, null);
  const { body, clipped } = drawComparison(scenarios, cells, "bar", options.ratios ?? []);
  const comparisons = throughputComparisons(options.ratios ?? []);
  return composeFigure({
    title: options.title ?? pathClaim(measureWords.throughput, comparisons),
    subtitle: axisWords.moreIsBetter(axisWords.throughput),
    legend: pathLegend(scenarios).map((entry) =>
      entry.symbol === "circle" ? { ...entry, symbol: "square" } : entry
    ),
    body,
    failures: failureSentences(scenarios),
    rejections: rejectionSentences(scenarios),
    caption: caption(
      [
        describeN(scenarios),
        describeSpread(scenarios, "interval"),
        clipped ? [captionWords.longSpread("interval")] : [],
      ].flat(),
      options.context,
    ),
  });
}

/**
 * P95 latency of every arm at each load: `plots/p95_latency_comparison.png`.
 *
 * @param scenarios The scenarios of a study.
 * @param options The study itself will do.
 */
export function p95ComparisonFigure(
  scenarios: readonly ScenarioSummary[],
  options: FigureOptions = {},
): Figure {
  if (scenarios.length === 0) return emptyFigure(figureTitles.noRun, options.context);
  const check = checkFigure(measureWords.latency, options.context);
  if (check !== null) return check;
  const cells = cellsOf(scenarios, (scenario) => scenario.p95Ms, 95);
  const { body, log, clipped } = drawComparison(
    scenarios,
    cells,
    "dot",
    options.ratios ?? [],
  );
  const comparisons = latencyComparisons(options.ratios ?? [], scenarios, 95);
  return composeFigure({
    title: options.title ??
      rangeClaim(measureWords.percentile(95, latencyName(scenarios)), comparisons),
    subtitle: axisWords.lessIsBetter(measureWords.percentile(95, latencyAxis(scenarios)), log),
    legend: pathLegend(scenarios, [], 95),
    body,
    failures: failureSentences(scenarios),
    rejections: rejectionSentences(scenarios),
    caption: caption(
      [
        describeN(scenarios),
        describeSpread(scenarios, "range"),
        describeLoop(scenarios),
        tooFewRequests(scenarios, 95) ?? [],
        clipped ? [captionWords.longSpread("range")] : [],
      ].flat(),
      options.context,
    ),
  });
}
