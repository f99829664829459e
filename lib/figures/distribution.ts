/** The distribution of latency: of a study's arms, and of a load on a service that already ran. */

import * as Plot from "@observablehq/plot";
import { compareLevels, type Path, PATHS } from "../scenario.ts";
import type { LatencyPoint } from "../stats/latency.ts";
import type { PathRatio } from "../stats/summary.ts";
import { measureWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles } from "../wording/figures.ts";
import { framed, gridLines, logTicks, MUTED, numbers, PATH_STYLE } from "./style.ts";
import { facetGrid, pairsOf } from "./facets.ts";
import { composeFigure, type Drawing, drawPlot, type Figure, LINE_SYMBOL } from "./figure.ts";
import {
  caption,
  emptyFigure,
  failureSentences,
  type FigureOptions,
  latencyMeasure,
  latencyName,
  noticeFigure,
} from "./options.ts";

const LINE = {
  direct: { stroke: PATH_STYLE.direct.color, strokeWidth: 2, strokeDasharray: "5 3" },
  pooled: { stroke: PATH_STYLE.pooled.color, strokeWidth: 2 },
};
const PERCENTS = [0, 25, 50, 75, 95];

/** The scales of cumulative distributions, and the marks of their axes: at most so many times. */
function shareAxes(curve: readonly { ms: number }[], most: number) {
  const times = curve.map(({ ms }) => ms);
  const domain: [number, number] = [
    Math.max(0.01, Math.min(...times)) / 1.1,
    Math.max(...times) * 1.1,
  ];
  const percents = { ...numbers(PERCENTS), text: (percent: number) => `${percent}%` };
  return {
    scales: { x: { type: "log", domain }, y: { domain: [0, 100] } } as const,
    marks: [
      Plot.gridY(gridLines(PERCENTS)),
      Plot.ruleY([0], { stroke: MUTED }),
      Plot.axisX({ ...numbers(logTicks(domain, most)), facetAnchor: null }),
      Plot.axisY(percents),
    ],
  };
}

function drawDistribution(points: readonly LatencyPoint[], ratios: readonly PathRatio[]): Drawing {
  const labelled = points.flatMap((point) =>
    pairsOf(point, ratios).map(({ label }) => ({ ...point, label }))
  );
  const labels = [...new Set(labelled.map(({ label }) => label))];
  const grid = facetGrid(labels.map((label) => ({ label, note: "" })));
  const placed = labelled.map((point) => ({
    ...point,
    ...grid.placeOf(labels.indexOf(point.label)),
  }));
  const ofPath = (path: Path) => placed.filter((point) => point.path === path);
  const { scales, marks } = shareAxes(points, 5);
  const at = { fx: "fx", fy: "fy", x: "ms", y: "percent", z: "scenarioId" };
  return drawPlot({
    ...grid.options,
    ...scales,
    marks: [
      ...marks,
      ...grid.headers,
      ...PATHS.map((path) =>
        Plot.line(ofPath(path), { ...at, ...LINE[path], ariaDescription: path })
      ),
    ],
  });
}

/**
 * How long correct answers took, as cumulative distributions: direct and pooled for each framework
 * at one load. Requests are pooled over runs, so it shows shapes, not differences.
 *
 * @param points Rows of `Study.distribution`.
 * @param options The study itself will do: its scenarios and ratios for the claim, and who failed.
 */
export function distributionFigure(
  points: readonly LatencyPoint[],
  { scenarios = [], ratios = [], context, title }: Omit<FigureOptions, "runs"> = {},
): Figure {
  const notice = noticeFigure(points, figureTitles.noLatency, measureWords.latency, context);
  if (notice !== null) return notice;
  const shown = points[0]!;
  const requests = new Map(points.map((point) => [point.scenarioId, point.requests]));
  const atLevel = scenarios.filter((scenario) => compareLevels(scenario, shown) === 0);
  const pairs = ratios.filter((ratio) => compareLevels(ratio, shown) === 0);
  const latency = latencyName([shown]);
  const claim = atLevel.length === 0
    ? figureTitles.howLong(shown)
    : figureTitles.atLevel(shown, latencyMeasure(atLevel, 95).claim(pairs));
  const paths = PATHS.filter((path) => points.some((point) => point.path === path));
  const answers = shown.arrivalRate === null ? "correct answers" : "requests due";
  return composeFigure({
    title: title ?? claim,
    subtitle: axisWords.share(answers, latency),
    legend: paths.map((path) => ({ label: path, mark: { ...LINE[path], symbol: LINE_SYMBOL } })),
    body: drawDistribution(points, ratios),
    failures: failureSentences(atLevel),
    caption: caption([
      captionWords.pooledRequests([...requests.values()].reduce((sum, n) => sum + n, 0)),
      captionWords.shapes,
    ], context),
  });
}

/** What {@linkcode loadFigure} draws; a `Load` is one. */
export interface LoadCurve {
  curve: readonly { percent: number; ms: number }[];
  latency: string;
  title: string;
  head: string;
  warnings: readonly string[];
}

/**
 * How long the answers of a load on a service that already ran took, as a cumulative distribution.
 *
 * @param load What `openLoad()` returned.
 */
export function loadFigure({ curve, latency, title, head, warnings }: LoadCurve): Figure {
  if (curve.length === 0) return emptyFigure(figureTitles.noAnswer);
  const { scales, marks } = shareAxes(curve, 7);
  return composeFigure({
    title,
    subtitle: axisWords.share("requests", latency),
    body: drawPlot({
      ...framed(230, [8, 8, 28, 46]),
      ...scales,
      marks: [...marks, Plot.line(curve, { ...LINE.pooled, x: "ms", y: "percent" })],
    }),
    failures: [...warnings],
    caption: caption([head]),
  });
}
