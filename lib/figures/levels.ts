/**
 * A measure against the load: one small plot for each framework, both paths in it.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { levelLabel, type LoadLevel, loadLevels, type Path } from "../scenario.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type { Estimate, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import { TICK_BELOW, TICK_BESIDE } from "./axes.ts";
import { type Facet, FACET_HEADER, facetsOf, gridOptions, placeOf } from "./facets.ts";
import { BODY_WIDTH, composeFigure, type Drawing, drawPlot, type Figure } from "./figure.ts";
import { claimWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles, legendWords } from "../wording/figures.ts";
import { formatNumber } from "../wording/format.ts";
import {
  caption,
  describeLoop,
  describeN,
  describeSpread,
  emptyFigure,
  failureSentences,
  type FigureOptions,
  pathLegend,
  rejectionSentences,
} from "./options.ts";
import { linearTicks, logTicks } from "./scales.ts";
import { FAILED, GRID, INK, MUTED, PATH_STYLE, REJECTED } from "./theme.ts";
import { textWidth, wrapLabel } from "./text.ts";

/** What is drawn against the load. */
export interface Measure {
  /** The value of a scenario; null when no run succeeded. */
  estimate: (scenario: ScenarioSummary) => Estimate | null;
  /** The value of one run. */
  run: (run: RunSummary) => number | null;
  /** The axis: name and unit. */
  axis: string;
  /** The percentile that is drawn, which can be a lower bound; null for another measure. */
  percentile: number | null;
  /** A further part of the caption. @default none */
  note?: string | null;
}

/** One mark's place and value. */
interface Point {
  fx: number;
  fy: number;
  path: Path;
  /** Its place on the axis; see {@linkcode placesOf}. */
  level: string;
  value: number | null;
  low: number | null;
  high: number | null;
  /** Why there is no value; null where there is one. */
  without: "failed" | "rejected" | null;
  /** What became of some runs of a scenario that has a value. */
  partly: ("failed" | "rejected")[];
  bound: boolean;
}

/** Where the levels stand on the axis of each small plot. */
interface Places {
  domain: string[];
  of: (facet: Facet, scenario: ScenarioSummary) => string;
  /** What each place is called, in each small plot. */
  labels: { facet: number; place: string; text: string }[];
}

/**
 * One axis for all small plots, or where their levels differ, as arrival rates by each pair's
 * capacity do, an axis for each: its first level, its second, and so on.
 */
function placesOf(facets: Facet[]): Places {
  const all = loadLevels(facets.flatMap((facet) => facet.scenarios)).map(levelLabel);
  const own = facets.map((facet) => loadLevels(facet.scenarios).map(levelLabel));
  const same = own.every((levels) => levels.length === all.length);
  const most = Math.max(...own.map((levels) => levels.length));
  return {
    domain: same ? all : Array.from({ length: most }, (_, i) => String(i)),
    of: (facet, scenario) => {
      const level = levelLabel(scenario);
      return same ? level : String(own[facets.indexOf(facet)]!.indexOf(level));
    },
    labels: own.flatMap((levels, facet) =>
      levels.map((text, i) => ({ facet, place: same ? text : String(i), text }))
    ),
  };
}

const SHIFT: Record<Path, number> = { direct: -8, pooled: 8 };
/** Above this ratio of largest to smallest value, a logarithmic scale shows both. */
const LOG_ABOVE = 20;

/** Where values lie: error bars beyond twice the largest value would flatten everything else. */
function scaleOf(points: Point[], loose: number[], bounded: boolean, labelsBelow: boolean) {
  const values = [...points.flatMap((point) => point.value ?? []), ...loose];
  const largest = Math.max(...values, 0) || 1;
  const smallest = Math.min(...values.filter((value) => value > 0), largest);
  const log = bounded && largest / smallest > LOG_ABOVE;
  const ends = points.flatMap((point) => [point.low, point.high]).filter((end) => end !== null);
  const top = Math.min(Math.max(largest, ...ends), 2 * largest);
  const low = log ? Math.max(smallest / 2, Math.min(smallest, ...ends.filter((e) => e > 0))) : 0;
  // Crosses of failures stand on the axis; on a logarithmic scale they need room below the values.
  const failures = points.some((point) => point.without !== null || point.partly.length > 0);
  const room = failures ? Math.sqrt(largest / smallest) : labelsBelow ? 2.5 : 1.5;
  const domain: [number, number] = log ? [low / room, top * 1.4] : [0, top * 1.08];
  return { log, domain, clipped: ends.some((end) => end > domain[1] || end < domain[0]) };
}

function pointsOf(facets: Facet[], places: Places, columns: number, measure: Measure): Point[] {
  return facets.flatMap((facet, i) =>
    facet.scenarios.map((scenario): Point => {
      const estimate = measure.estimate(scenario);
      const { n, failedRuns, rejectedRuns } = scenario;
      return {
        ...placeOf(i, columns),
        path: scenario.path,
        level: places.of(facet, scenario),
        value: estimate?.value ?? null,
        low: estimate?.low ?? null,
        high: estimate?.high ?? null,
        without: n > 0 ? null : failedRuns > 0 ? "failed" : "rejected",
        partly: n === 0 ? [] : [
          ...(failedRuns > 0 ? ["failed" as const] : []),
          ...(rejectedRuns > 0 ? ["rejected" as const] : []),
        ],
        bound: measure.percentile !== null && isLowerBound(scenario, measure.percentile),
      };
    })
  );
}

/** Marks of one path: line, interval, dot, runs; shifted so that the two paths do not overlap. */
function pathMarks(
  path: Path,
  points: Point[],
  domain: [number, number],
  labelled: boolean,
): Plot.Markish[] {
  const { color, symbol } = PATH_STYLE[path];
  const own = points.filter((point) => point.path === path);
  const dx = SHIFT[path];
  const at = { x: "level", fx: "fx", fy: "fy", dx };
  const within = (value: number) => Math.min(domain[1], Math.max(domain[0], value));
  const drawn = own.filter((point) => point.value !== null);
  return [
    // A failed level interrupts the line: what lies between is not known.
    Plot.line(own, { ...at, y: "value", stroke: color, strokeWidth: 1.5, strokeOpacity: 0.55 }),
    Plot.ruleX(drawn.filter((point) => point.low !== null && point.high !== null), {
      ...at,
      y1: (point: Point) => within(point.low!),
      y2: (point: Point) => within(point.high!),
      stroke: color,
      strokeWidth: 2,
      ariaDescription: "interval",
    }),
    Plot.dot(drawn.filter((point) => !point.bound), {
      ...at,
      y: "value",
      fill: color,
      stroke: "#fff",
      strokeWidth: 1,
      r: 5,
      symbol,
      ariaDescription: "scenario",
    }),
    Plot.dot(drawn.filter((point) => point.bound), {
      ...at,
      y: "value",
      fill: "#fff",
      stroke: color,
      strokeWidth: 2,
      r: 4.5,
      symbol,
      ariaDescription: "lower bound",
    }),
    Plot.text(drawn.filter((point) => point.bound && !labelled), {
      ...at,
      dx: dx * 2.2,
      y: "value",
      text: () => "≥",
      fill: color,
      fontSize: 14,
      fontWeight: 600,
    }),
    ...(labelled ? valueLabels(path, points) : []),
  ];
}

/** The values of one path: beside their marks, or where levels are close, above and below them. */
function valueLabels(path: Path, points: Point[]): Plot.Markish[] {
  const drawn = points.filter((point) => point.path === path && point.value !== null);
  const close = new Set(points.map((point) => point.level)).size > 2;
  const isHigher = (point: Point) =>
    points.every(({ fx, fy, level, value }) =>
      fx !== point.fx || fy !== point.fy || level !== point.level || (value ?? 0) <= point.value!
    );
  const side = path === "direct" ? -1 : 1;
  const label = (own: Point[], place: { dx: number; dy: number }, textAnchor: "start" | "end") =>
    Plot.text(own, {
      x: "level",
      y: "value",
      fx: "fx",
      fy: "fy",
      ...place,
      text: (point: Point) => (point.bound ? "≥ " : "") + formatNumber(point.value!),
      textAnchor: close ? "middle" : textAnchor,
      fill: PATH_STYLE[path].color,
      stroke: "#fff",
      strokeWidth: 3,
      fontSize: 12,
      fontWeight: 600,
      ariaDescription: "value",
    });
  const anchor = path === "direct" ? "end" : "start";
  if (!close) return [label(drawn, { dx: side * 20, dy: 0 }, anchor)];
  return [
    label(drawn.filter(isHigher), { dx: side * 10, dy: -14 }, anchor),
    label(drawn.filter((point) => !isHigher(point)), { dx: side * 10, dy: 14 }, anchor),
  ];
}

/** The marks of what failed and of what gates rejected. */
const WITHOUT = {
  failed: { symbol: "times", stroke: FAILED },
  rejected: { symbol: "triangle", stroke: REJECTED },
} as const;

/**
 * Marks of failures and rejections: on the axis, where no value could be. A scenario of which only
 * some runs failed or were rejected has a small one below its value.
 */
function failureMarks(points: Point[], floor: number): Plot.Markish[] {
  return (["direct", "pooled"] as const).flatMap((path) =>
    (["failed", "rejected"] as const).flatMap((kind) => {
      const { symbol, stroke } = WITHOUT[kind];
      const own = points.filter((point) => point.path === path);
      const whole = own.filter((point) => point.without === kind);
      const partly = own.filter((point) => point.partly.includes(kind));
      const at = { x: "level", fx: "fx", fy: "fy", dx: SHIFT[path], y: () => floor };
      const mark = { ...at, symbol, stroke };
      // Where both are, one stands above the other.
      const up = (point: Point) => point.partly.length > 1 && kind === "rejected";
      return [
        Plot.dot(whole, { ...mark, dy: -8, strokeWidth: 2, r: 5, ariaDescription: kind }),
        // Upright, so that it stays in its own column however close the levels are.
        Plot.text(whole, {
          ...at,
          dy: -17,
          text: (point: Point) => claimWords.path(point.path, kind),
          rotate: -90,
          textAnchor: "start",
          fill: stroke,
          fontSize: 11,
        }),
        ...[true, false].flatMap((raised) => {
          const marked = partly.filter((point) => up(point) === raised);
          return [
            Plot.dot(marked, {
              ...mark,
              dy: raised ? -48 : -6,
              strokeWidth: 1.5,
              r: 3,
              ariaDescription: `partly ${kind}`,
            }),
            Plot.text(marked, {
              ...at,
              dy: raised ? -54 : -12,
              text: () => legendWords.partly,
              rotate: -90,
              textAnchor: "start",
              fill: stroke,
              stroke: "#fff",
              strokeWidth: 3,
              fontSize: 11,
            }),
          ];
        }),
      ];
    })
  );
}

/** The single runs of scenarios that have several. */
function runsOf(
  facets: Facet[],
  places: Places,
  columns: number,
  measure: Measure,
  runs: readonly RunSummary[],
) {
  return facets.flatMap((facet, i) =>
    facet.scenarios.filter(({ n }) => n > 1).flatMap((scenario) =>
      runs.filter((run) => run.scenarioId === scenario.scenarioId && run.status === "ok")
        .map((run) => ({
          ...placeOf(i, columns),
          path: scenario.path,
          level: places.of(facet, scenario),
          value: measure.run(run),
        }))
    ).filter((dot) => dot.value !== null)
  );
}

/** What each small plot shows, above it, and the room that this needs. */
function headerOf(facets: Facet[], columns: number): { marks: Plot.Markish[]; height: number } {
  const width = BODY_WIDTH / columns - 24;
  const headers = facets.map(({ label, note }, i) => ({
    ...placeOf(i, columns),
    label: wrapLabel(label, width, 13).join("\n"),
    note: wrapLabel(note, width, 12).join("\n"),
  }));
  const most = (key: "label" | "note") =>
    Math.max(...headers.map((header) => header[key].split("\n").length));
  const noteLines = most("note");
  const labels = Plot.text(headers, {
    ...FACET_HEADER,
    text: "label",
    dy: -12 - 15 * noteLines,
    fontSize: 13,
    fontWeight: 600,
    fill: INK,
    ariaDescription: "facet",
  });
  const notes = { ...FACET_HEADER, text: "note", dy: -9, fontSize: 12, fill: MUTED };
  return {
    marks: [labels, Plot.text(headers, notes)],
    height: 16 + 16 * most("label") + 15 * noteLines,
  };
}

/** The numbers at both axes. */
function axisMarks(ticks: number[], rows: number[], places: Places, columns: number) {
  const beside = rows.flatMap((fy) => ticks.map((tick) => ({ fx: 0, fy, tick })));
  const below = places.labels
    .map(({ facet, place, text }) => ({ ...placeOf(facet, columns), place, text }));
  return [
    // An axis mark would leave out labels of a logarithmic scale as it sees fit.
    Plot.text(beside, {
      ...TICK_BESIDE,
      fx: "fx",
      fy: "fy",
      y: "tick",
      text: ({ tick }: { tick: number }) => formatNumber(tick),
      ariaDescription: "tick",
    }),
    Plot.text(below, {
      ...TICK_BELOW,
      fx: "fx",
      fy: "fy",
      x: "place",
      text: "text",
      ariaDescription: "level",
    }),
  ];
}

function drawLevels(
  facets: Facet[],
  measure: Measure,
  runs: readonly RunSummary[],
): { body: Drawing; clipped: boolean; log: boolean } {
  const columns = facets.length <= 3 ? facets.length : facets.length === 4 ? 2 : 3;
  const rows = Math.ceil(facets.length / columns);
  const places = placesOf(facets);
  const points = pointsOf(facets, places, columns, measure);
  const dots = runsOf(facets, places, columns, measure, runs);
  const { log, domain, clipped } = scaleOf(
    points,
    dots.map((dot) => dot.value!),
    measure.percentile !== null,
    places.domain.length > 2,
  );
  const header = headerOf(facets, columns);
  const grid = gridOptions(columns, rows, rows === 1 ? 230 : 170, header.height);
  const ticks = log ? logTicks(domain) : linearTicks(domain[1], 5);
  const marginLeft = 14 + textWidth(formatNumber(domain[1]), 12);
  const labelled = columns * places.domain.length <= 9;
  const body = drawPlot({
    ...grid,
    // One or two small plots stay small: they read like the others.
    width: columns < 3 ? Math.min(BODY_WIDTH, marginLeft + columns * 380) : BODY_WIDTH,
    marginLeft,
    x: { type: "point", domain: places.domain, axis: null, padding: 0.6 },
    y: { type: log ? "log" : "linear", domain, axis: null },
    marks: [
      Plot.gridY({ stroke: GRID, strokeOpacity: 1, ticks }),
      Plot.ruleY([domain[0]], { stroke: MUTED }),
      ...axisMarks(ticks, grid.fy.domain, places, columns),
      ...header.marks,
      ...(["direct", "pooled"] as const).map((path) =>
        Plot.dot(dots.filter((dot) => dot.path === path), {
          x: "level",
          y: "value",
          fx: "fx",
          fy: "fy",
          dx: 1.9 * SHIFT[path],
          r: 2,
          fill: PATH_STYLE[path].color,
          fillOpacity: 0.5,
          ariaDescription: "run",
        })
      ),
      ...pathMarks("direct", points, domain, labelled),
      ...pathMarks("pooled", points, domain, labelled),
      ...failureMarks(points, domain[0]),
    ],
  });
  return { body, clipped, log };
}

/** What the levels are: numbers of users, or arrival rates, or both. */
function levelKind(levels: readonly LoadLevel[]): "users" | "rates" | "both" {
  const rates = levels.filter(({ users }) => users === null).length;
  if (rates === 0) return "users";
  return rates === levels.length ? "rates" : "both";
}

/**
 * Draws a measure against the load.
 *
 * @param scenarios The scenarios.
 * @param measure What is drawn.
 * @param title The claim.
 * @param options Runs, ratios, context.
 */
export function levelsFigure(
  scenarios: readonly ScenarioSummary[],
  measure: Measure,
  title: string,
  options: FigureOptions,
): Figure {
  if (scenarios.length === 0) return emptyFigure(figureTitles.noRun, options.context);
  // A copy has one load level and no other path: it belongs to the comparisons alone.
  const facets = facetsOf(
    scenarios.filter(({ scenario }) => !scenario.replica),
    options.ratios ?? [],
  );
  const { body, clipped, log } = drawLevels(facets, measure, options.runs ?? []);
  const several = scenarios.some((scenario) => scenario.n > 1);
  const spread = measure.percentile === null ? "interval" : "range";
  const runs = several && (options.runs?.length ?? 0) > 0;
  return composeFigure({
    title: options.title ?? title,
    subtitle: axisWords.by(measure.axis, log, levelKind(scenarios)),
    legend: pathLegend(
      scenarios,
      runs ? [{ label: legendWords.singleRuns, color: INK, symbol: "dot" }] : [],
      measure.percentile,
    ),
    body,
    failures: failureSentences(scenarios),
    rejections: rejectionSentences(scenarios),
    caption: caption(
      [
        describeN(scenarios),
        describeSpread(scenarios, spread),
        measure.percentile === null ? [] : [describeLoop(scenarios)],
        measure.note ?? [],
        clipped ? [captionWords.longSpread(spread)] : [],
      ].flat(),
      options.context,
    ),
  });
}
