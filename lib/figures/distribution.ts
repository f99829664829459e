/**
 * The distribution of latency.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { compareLevels } from "../scenario.ts";
import type { LatencyPoint } from "../stats/distribution.ts";
import type { ScenarioSummary } from "../stats/summary.ts";
import { latencyComparisons, rangeClaim } from "./claims.ts";
import { BODY_WIDTH, composeFigure, drawPlot, type Figure } from "./figure.ts";
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
  const labels = (point: LatencyPoint) => {
    const pairs = (options.ratios ?? []).filter(({ direct, pooled }) =>
      direct === point.scenarioId || pooled === point.scenarioId
    );
    return pairs.length > 0
      ? pairs.map((pair) => pair.label)
      : [point.arm.replace(/ (direct|pooled)(?=,|$)/, "")];
  };
  const facets = [...new Set(points.flatMap(labels))];
  const columns = Math.min(3, facets.length);
  const rows = Math.ceil(facets.length / columns);
  const placed = points.flatMap((point) =>
    labels(point).map((label) => {
      const i = facets.indexOf(label);
      return { ...point, fx: i % columns, fy: Math.floor(i / columns) };
    })
  );
  const shown = points[0]!;
  const times = points.map((point) => point.ms);
  const domain: [number, number] = [
    Math.max(0.1, Math.min(...times)) / 1.1,
    Math.max(...times) * 1.1,
  ];
  const ticks = logTicks(domain, 5);
  const levels = [0, 25, 50, 75, 95];
  const headers = facets.map((facet, i) => ({
    fx: i % columns,
    fy: Math.floor(i / columns),
    text: wrapLabel(facet, BODY_WIDTH / columns - 40, 13).join("\n"),
  }));
  const headerHeight = 14 + 16 * Math.max(1, ...headers.map((h) => h.text.split("\n").length));
  const marginBottom = 28;
  const frameHeight = 210;
  const gap = headerHeight + marginBottom;
  const cells = Array.from({ length: rows }, (_, fy) => fy);
  const body = drawPlot({
    width: columns < 3 ? Math.min(BODY_WIDTH, 46 + columns * 370) : BODY_WIDTH,
    height: rows * (frameHeight + gap),
    marginTop: headerHeight,
    marginLeft: 46,
    marginRight: 8,
    marginBottom,
    fx: { domain: Array.from({ length: columns }, (_, i) => i), axis: null, padding: 0.08 },
    fy: {
      domain: cells,
      axis: null,
      paddingInner: rows === 1 ? 0 : gap / (frameHeight + gap),
      paddingOuter: 0,
    },
    x: { type: "log", domain, axis: null },
    y: { domain: [0, 100], axis: null },
    marks: [
      Plot.ruleY(levels, { stroke: GRID }),
      Plot.ruleY([0], { stroke: MUTED }),
      Plot.text(cells.flatMap((fy) => levels.map((level) => ({ fx: 0, fy, level }))), {
        fx: "fx",
        fy: "fy",
        y: "level",
        text: ({ level }: { level: number }) => `${level}%`,
        frameAnchor: "left",
        textAnchor: "end",
        dx: -8,
        fontSize: 12,
        fill: MUTED,
      }),
      Plot.text(headers.flatMap(({ fx, fy }) => ticks.map((tick) => ({ fx, fy, tick }))), {
        fx: "fx",
        fy: "fy",
        x: "tick",
        text: ({ tick }: { tick: number }) => `${formatNumber(tick)}`,
        frameAnchor: "bottom",
        dy: 16,
        fontSize: 12,
        fill: MUTED,
      }),
      Plot.text(headers, {
        fx: "fx",
        fy: "fy",
        text: "text",
        frameAnchor: "top-left",
        lineAnchor: "bottom",
        dy: -8,
        fontSize: 13,
        fontWeight: 600,
        fill: INK,
      }),
      ...(["direct", "pooled"] as const).map((path) =>
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
    subtitle: axisWords.share[shown.arrivalRate === null ? "answers" : "due"](latency),
    legend: (["direct", "pooled"] as const)
      .filter((path) => points.some((point) => point.path === path))
      .map((path) => ({
        label: path,
        color: PATH_STYLE[path].color,
        symbol: path === "direct" ? "dash" : "line",
      })),
    body,
    failures: failureSentences(level),
    caption: caption([
      captionWords.pooledRequests(total),
      captionWords.shapes,
    ], options.context),
  });
}
