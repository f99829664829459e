/**
 * The distribution of latency.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { compareLevels, PATHS } from "../scenario.ts";
import type { LatencyPoint } from "../stats/distribution.ts";
import type { PathRatio, ScenarioSummary } from "../stats/summary.ts";
import { latencyComparisons, rangeClaim } from "./claims.ts";
import { TICK_BELOW, TICK_BESIDE } from "./axes.ts";
import { FACET_HEADER, gridOptions, placeOf } from "./facets.ts";
import { BODY_WIDTH, composeFigure, type Drawing, drawPlot, type Figure } from "./figure.ts";
import { measureWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles } from "../wording/figures.ts";
import { formatNumber } from "../wording/format.ts";
import {
  caption,
  checkFigure,
  emptyFigure,
  failureSentences,
  type FigureOptions,
  latencyName,
} from "./options.ts";
import { logTicks } from "./scales.ts";
import { GRID, INK, MUTED, PATH_STYLE } from "./theme.ts";
import { wrapLabel } from "./text.ts";

/** Options of {@linkcode distributionFigure}. */
export interface DistributionFigureOptions
  extends Pick<FigureOptions, "context" | "ratios" | "title"> {
  /** The scenarios, for the claim and to name those that failed. @default none */
  scenarios?: readonly ScenarioSummary[];
}

/** What is drawn together: the framework, or a pair's label. */
function labelsOf(point: LatencyPoint, ratios: readonly PathRatio[]): string[] {
  const pairs = ratios.filter(({ direct, pooled }) =>
    direct === point.scenarioId || pooled === point.scenarioId
  );
  return pairs.length > 0
    ? pairs.map((pair) => pair.label)
    : [point.arm.replace(/ (direct|pooled)(?=,|$)/, "")];
}

/** Shares of requests that are labelled. */
const PERCENTS = [0, 25, 50, 75, 95];

/** The labels of the axes: shares beside each row, times below each small plot. */
function axisMarks(rows: number[], facets: { fx: number; fy: number }[], ticks: number[]) {
  const beside = rows.flatMap((fy) => PERCENTS.map((percent) => ({ fx: 0, fy, percent })));
  return [
    Plot.text(beside, {
      ...TICK_BESIDE,
      fx: "fx",
      fy: "fy",
      y: "percent",
      text: ({ percent }: { percent: number }) => `${percent}%`,
    }),
    Plot.text(facets.flatMap(({ fx, fy }) => ticks.map((tick) => ({ fx, fy, tick }))), {
      ...TICK_BELOW,
      fx: "fx",
      fy: "fy",
      x: "tick",
      text: ({ tick }: { tick: number }) => formatNumber(tick),
    }),
  ];
}

function drawDistribution(
  points: readonly LatencyPoint[],
  ratios: readonly PathRatio[],
): Drawing {
  const facets = [...new Set(points.flatMap((point) => labelsOf(point, ratios)))];
  const columns = Math.min(3, facets.length);
  const placed = points.flatMap((point) =>
    labelsOf(point, ratios).map((label) => ({
      ...point,
      ...placeOf(facets.indexOf(label), columns),
    }))
  );
  const times = points.map((point) => point.ms);
  const domain: [number, number] = [
    Math.max(0.1, Math.min(...times)) / 1.1,
    Math.max(...times) * 1.1,
  ];
  const headers = facets.map((facet, i) => ({
    ...placeOf(i, columns),
    text: wrapLabel(facet, BODY_WIDTH / columns - 40, 13).join("\n"),
  }));
  const headerHeight = 14 + 16 * Math.max(1, ...headers.map((h) => h.text.split("\n").length));
  const grid = gridOptions(columns, Math.ceil(facets.length / columns), 210, headerHeight);
  return drawPlot({
    ...grid,
    width: columns < 3 ? Math.min(BODY_WIDTH, 46 + columns * 370) : BODY_WIDTH,
    marginLeft: 46,
    x: { type: "log", domain, axis: null },
    y: { domain: [0, 100], axis: null },
    marks: [
      Plot.ruleY(PERCENTS, { stroke: GRID }),
      Plot.ruleY([0], { stroke: MUTED }),
      ...axisMarks(grid.fy.domain, headers, logTicks(domain, 5)),
      Plot.text(headers, {
        ...FACET_HEADER,
        text: "text",
        dy: -8,
        fontSize: 13,
        fontWeight: 600,
        fill: INK,
      }),
      ...PATHS.map((path) =>
        Plot.line(placed.filter((point) => point.path === path), {
          fx: "fx",
          fy: "fy",
          x: "ms",
          y: "percent",
          z: "scenarioId",
          stroke: PATH_STYLE[path].color,
          strokeWidth: 2,
          strokeDasharray: path === "direct" ? "5 3" : undefined,
          ariaDescription: path,
        })
      ),
    ],
  });
}

/**
 * How long correct answers took, as cumulative distributions: direct and pooled for each framework
 * at one load. Requests are pooled over runs, so it shows shapes, not differences.
 *
 * @param points Rows of `Study.distribution`.
 * @param options The study itself will do: scenarios and ratios for the claim, context for the
 * caption.
 */
export function distributionFigure(
  points: readonly LatencyPoint[],
  options: DistributionFigureOptions = {},
): Figure {
  if (points.length === 0) {
    return emptyFigure(figureTitles.noLatency, options.context);
  }
  const check = checkFigure(measureWords.latency, options.context);
  if (check !== null) return check;
  const shown = points[0]!;
  const requests = new Map(points.map((point) => [point.scenarioId, point.requests]));
  const total = [...requests.values()].reduce((sum, n) => sum + n, 0);
  const level = (options.scenarios ?? []).filter((scenario) =>
    compareLevels(scenario, shown) === 0
  );
  const ratios = (options.ratios ?? []).filter((ratio) => compareLevels(ratio, shown) === 0);
  const latency = latencyName([shown]);
  const claim = level.length === 0 ? figureTitles.howLong(shown) : figureTitles.atLevel(
    shown,
    rangeClaim(measureWords.percentile(95, latency), latencyComparisons(ratios, level, 95)),
  );
  return composeFigure({
    title: options.title ?? claim,
    subtitle: axisWords.share(
      shown.arrivalRate === null ? "correct answers" : "requests due",
      latency,
    ),
    legend: PATHS
      .filter((path) => points.some((point) => point.path === path))
      .map((path) => ({
        label: path,
        color: PATH_STYLE[path].color,
        symbol: path === "direct" ? "dash" : "line",
      })),
    body: drawDistribution(points, options.ratios ?? []),
    failures: failureSentences(level),
    caption: caption([
      captionWords.pooledRequests(total),
      captionWords.shapes,
    ], options.context),
  });
}
