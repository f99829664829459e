/** A measure against the load: one small plot for each framework, both paths in it. */

import * as Plot from "@observablehq/plot";
import type { Plan } from "../plan.ts";
import { levelLabel, loadLevels, type Path } from "../scenario.ts";
import type { RunSummary, ScenarioSummary } from "../stats/summary.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { axisWords, figureTitles, legendWords } from "../wording/figures.ts";
import { gridLines, INK, LABELS, logTicks, MUTED, numbers, OUTCOME_STYLE } from "./style.ts";
import { latencyComparisons, type Percentile, percentileOf, rangeClaim } from "./claims.ts";
import { type Facet, facetGrid, facetsOf } from "./facets.ts";
import { drawPlot, type Figure } from "./figure.ts";
import {
  emptyFigure,
  type FigureOptions,
  latencyMeasure,
  loopsOf,
  type Measure,
  measureFigure,
  outcomeRows,
  scaleOf,
  THROUGHPUT,
  valuesOf,
} from "./options.ts";

type Point = ReturnType<typeof pointsOf>[number];

/** On which side of their level a path's marks stand, and how far from it in pixels. */
const SIDE: Record<Path, number> = { direct: -1, pooled: 1 };
const SHIFT = 8;
/** Room beside the first and the last level, in levels. */
const PADDING = 0.6;
/** Above this ratio of largest to smallest value, a logarithmic scale shows both. */
const LOG_ABOVE = 20;

/** A text that stays in its own column, however close the levels are. */
const UPRIGHT = { rotate: -90, textAnchor: "start", stroke: "#fff", fontSize: 11 } as const;

/** Values with the place of their small plot, and of their level on its axis. */
function pointsOf(facets: readonly Facet[], grid: ReturnType<typeof facetGrid>, measure: Measure) {
  return facets.flatMap(({ scenarios }, i) => {
    const levels = loadLevels(scenarios).map(levelLabel);
    return valuesOf(scenarios, measure)
      .map((value) => ({ ...value, ...grid.placeOf(i), place: levels.indexOf(value.level) }));
  });
}

function runsOf(points: readonly Point[], { run: valueOf }: Measure, runs: readonly RunSummary[]) {
  return points.filter(({ scenario }) => scenario.n > 1).flatMap((point) =>
    runs.filter((run) => run.scenarioId === point.scenario.scenarioId && run.status === "ok")
      .map((run) => ({ ...point, value: valueOf(run) }))
  );
}

/** The values: beside their marks, or where levels are close, above and below them. */
function valueLabels(points: readonly Point[], at: Plot.TextOptions): Plot.Markish[] {
  const isClose = points.some(({ place }) => place > 1);
  const isLower = (point: Point) =>
    points.some(({ fx, fy, place, value }) =>
      fx === point.fx && fy === point.fy && place === point.place && value! > point.value!
    );
  const groups: (Plot.TextOptions & { isOf: (point: Point) => boolean })[] = isClose
    ? [{ isOf: isLower, dy: 14 }, { isOf: (point) => !isLower(point), dy: -14 }]
    : [
      { isOf: ({ path }) => path === "direct", textAnchor: "end", dx: -12 },
      { isOf: ({ path }) => path === "pooled", textAnchor: "start", dx: 12 },
    ];
  const label = { text: "text", fill: "color", stroke: "#fff", fontWeight: 600 };
  return groups.map(({ isOf, ...place }) =>
    Plot.text(points.filter(isOf), { ...at, ...place, ...label, ariaDescription: "value" })
  );
}

/** Marks of runs that do not count: on the axis, or small below a value that there is. */
function outcomeMarks(points: readonly Point[], at: Plot.TextOptions): Plot.Markish[] {
  const alike = Map.groupBy(
    outcomeRows(points),
    ({ outcome, isWhole, i }) => `${outcome} ${isWhole} ${i}`,
  );
  return [...alike.values()].flatMap((rows) => {
    const { outcome, isWhole, i } = rows[0]!;
    const style = OUTCOME_STYLE[outcome];
    const dy = isWhole ? -8 : -6 - 42 * i;
    const [r, strokeWidth] = isWhole ? [5, 2] : [3, 1.5];
    const text = ({ path }: Point) => isWhole ? claimWords.path(path, outcome) : legendWords.partly;
    const ariaDescription = isWhole ? outcome : `partly ${outcome}`;
    return [
      Plot.dot(rows, { ...at, ...style, r, strokeWidth, dy, ariaDescription }),
      Plot.text(rows, { ...at, ...UPRIGHT, dy: dy - r - 3, text, fill: style.stroke }),
    ];
  });
}

/** Runs, lines, intervals, values and failures; by how many levels a path's marks are shifted. */
function pointMarks(
  points: readonly Point[],
  runs: readonly Point[],
  shift: number,
  isLabelled: boolean,
): Plot.Markish[] {
  const x = (factor: number) => ({ place, path }: Point) => place + factor * SIDE[path] * shift;
  const at = { x: x(1), y: "value", fx: "fx", fy: "fy" };
  const exact = points.filter((point) => !point.bound);
  const bound = points.filter((point) => point.bound);
  const line = { z: "path", stroke: "color", strokeWidth: 1.5, strokeOpacity: 0.55 };
  const interval = { y: undefined, y1: "low", y2: "high", stroke: "color", strokeWidth: 2 };
  const dot = { symbol: "symbol", r: 5, fill: "color", stroke: "#fff", strokeWidth: 1 };
  const open = { r: 4.5, fill: "#fff", stroke: "color", strokeWidth: 2 };
  const run = { r: 2, fill: "color", fillOpacity: 0.5 };
  return [
    Plot.dot(runs, { ...at, ...run, x: x(1.9), ariaDescription: "run" }),
    // A failed level interrupts the line: what lies between is not known.
    Plot.line(points, { ...at, ...line }),
    Plot.ruleX(points, { ...at, ...interval, ariaDescription: "interval" }),
    Plot.dot(exact, { ...at, ...dot, ariaDescription: "scenario" }),
    Plot.dot(bound, { ...at, ...dot, ...open, ariaDescription: "lower bound" }),
    ...valueLabels(isLabelled ? points : bound, at),
    ...outcomeMarks(points, { ...at, y: undefined, frameAnchor: "bottom", lineAnchor: "middle" }),
  ];
}

function drawLevels(facets: readonly Facet[], measure: Measure, allRuns: readonly RunSummary[]) {
  const grid = facetGrid(facets);
  const points = pointsOf(facets, grid, measure);
  const runs = runsOf(points, measure, allRuns);
  const logAbove = measure.percentile === null ? Infinity : LOG_ABOVE;
  const { isLog, domain, isClipped } = scaleOf([...points, ...runs], logAbove);
  const last = Math.max(...points.map(({ place }) => place));
  const shift = SHIFT * (last + 2 * PADDING) / grid.frameWidth;
  const isLabelled = grid.columns * (last + 1) <= 9;
  const ticks = isLog ? logTicks(domain) : 5;
  // Marks of failures stand on the axis; on a logarithmic scale they need room below the values.
  const room = outcomeRows(points).length > 0 ? 50 : 12;
  const insetBottom = isLog ? room : 0;
  const levels = new Map(points.map((point) => [`${point.fx} ${point.fy} ${point.place}`, point]));
  const axis = { x: "place", fx: "fx", fy: "fy", facetAnchor: null, text: "level", color: MUTED };
  const body = drawPlot({
    ...grid.options,
    x: { domain: [-PADDING, last + PADDING] },
    y: { type: isLog ? "log" : "linear", domain, insetTop: 16, insetBottom, clamp: true },
    marks: [
      Plot.gridY(gridLines(ticks)),
      Plot.frame({ anchor: "bottom", stroke: MUTED }),
      Plot.axisY(numbers(ticks)),
      Plot.axisX([...levels.values()], { ...LABELS, ...axis, ariaDescription: "level" }),
      ...grid.headers,
      ...pointMarks(points, runs, shift, isLabelled),
    ],
  });
  return { body, isClipped, isLog };
}

function levelsFigure(
  scenarios: readonly ScenarioSummary[],
  measure: Measure,
  options: FigureOptions,
): Figure {
  const { runs = [], ratios = [] } = options;
  return measureFigure(scenarios, measure, options, () => {
    // A copy has one load level and no other path: it belongs to the comparisons alone.
    const facets = facetsOf(scenarios.filter(({ scenario }) => !scenario.replica), ratios);
    const single = { label: legendWords.singleRuns, mark: { r: 2.5, fill: INK, fillOpacity: 0.5 } };
    const hasRuns = runs.length > 0 && scenarios.some(({ n }) => n > 1);
    return {
      ...drawLevels(facets, measure, runs),
      reading: axisWords.by[loopsOf(scenarios)],
      legend: hasRuns ? [single] : [],
    };
  });
}

/**
 * Throughput against the load, a small plot for each framework with both paths in it.
 *
 * @param scenarios The scenarios of a study.
 * @param options The study itself will do.
 */
export function throughputFigure(
  scenarios: readonly ScenarioSummary[],
  options: FigureOptions = {},
): Figure {
  return levelsFigure(scenarios, THROUGHPUT, options);
}

/** Options of {@linkcode latencyFigure}. */
export interface LatencyFigureOptions extends FigureOptions {
  /** Which percentile. @default 95 */
  percentile?: Percentile;
}

/**
 * A latency percentile against the load, a small plot for each framework with both paths in it. The
 * scale is logarithmic when the values differ more than twentyfold.
 *
 * @param scenarios The scenarios of a study.
 * @param options The study itself will do; with a percentile: `{ ...study, percentile: 99 }`.
 */
export function latencyFigure(
  scenarios: readonly ScenarioSummary[],
  options: LatencyFigureOptions = {},
): Figure {
  return levelsFigure(scenarios, latencyMeasure(scenarios, options.percentile ?? 95), options);
}

/** An open loop in numbers; a `Study` that `runOpenLoop()` returned is one. */
export interface OpenLoopResults extends Omit<Required<FigureOptions>, "title"> {
  plan: Plan;
}

/** The highest percentile up to P95 that every successful scenario has enough requests for. */
export function openLoopPercentile(scenarios: readonly ScenarioSummary[]): Percentile {
  const isKnown = (percentile: Percentile) =>
    scenarios.every((one) => one.n === 0 || percentileOf(one, percentile) !== null);
  return ([95, 90] as const).find(isKnown) ?? 50;
}

/** What the comparison claims, in one sentence without its full stop. */
export function openLoopClaim(
  { scenarios, ratios }: OpenLoopResults,
  percentile: Percentile,
): string {
  const name = measureWords.percentile(percentile, measureWords.response);
  const comparisons = latencyComparisons(ratios, scenarios, percentile);
  return rangeClaim(measureWords.atEqualRates(name), comparisons);
}

/**
 * Response time against the arrival rate, a small plot for each framework with both paths in it, at
 * the same rates. It counts from when a request was due, so that what queues before a slow service
 * is in it. The scale is logarithmic when the values differ more than twentyfold.
 *
 * @param results What `runOpenLoop()` returned.
 * @param options Which percentile. @default the highest up to P95 that all scenarios allow
 */
export function openLoopFigure(
  results: OpenLoopResults | null,
  options: { percentile?: Percentile; title?: string } = {},
): Figure {
  if (results === null) return emptyFigure(figureTitles.noOpenLoop);
  const { scenarios, plan } = results;
  const percentile = options.percentile ?? openLoopPercentile(scenarios);
  const latency = latencyMeasure(scenarios, percentile);
  const rates = plan.purpose.replace(/^Open loop: /, "").replace(/\.$/, "");
  const measure = {
    ...latency,
    name: measureWords.latencyAtEqualLoad,
    note: latency.note === null ? rates : `${rates}; ${latency.note}`,
    claim: () => openLoopClaim(results, percentile),
  };
  return levelsFigure(scenarios, measure, { ...results, title: options.title });
}
