/** The comparison of all arms at each load: the two plots of the report's folder. */

import * as Plot from "@observablehq/plot";
import { levelLabel, loadLevels } from "../scenario.ts";
import type { PathRatio, ScenarioSummary } from "../stats/summary.ts";
import { claimWords } from "../wording/claims.ts";
import { axisWords } from "../wording/figures.ts";
import {
  framed,
  gridLines,
  INK,
  LABELS,
  logTicks,
  MUTED,
  numbers,
  OUTCOME_STYLE,
  rowLabels,
  textWidth,
} from "./style.ts";
import { facetsOf } from "./facets.ts";
import { BODY_WIDTH, drawPlot, type Figure } from "./figure.ts";
import {
  type FigureOptions,
  latencyMeasure,
  type Measure,
  measureFigure,
  outcomeRows,
  scaleOf,
  THROUGHPUT,
  type Value,
  valuesOf,
} from "./options.ts";

/** Above this ratio of largest to smallest latency, a logarithmic scale shows both. */
const LOG_ABOVE = 8;
const AT = { y: "arm", fx: "level" };

function valueMarks(cells: readonly Value[], isBar: boolean): Plot.Markish[] {
  const dotFill = ({ bound, color }: Value) => bound ? "#fff" : color;
  const scenario = { ...AT, fill: isBar ? "color" : dotFill, ariaDescription: "scenario" };
  const dot = { x: "value", symbol: "symbol", r: 5, stroke: "color", strokeWidth: 2 };
  const interval = { x1: "low", x2: "end", stroke: isBar ? INK : "color", strokeWidth: 2 };
  const text = { x: "end", text: "text", textAnchor: "start", fontWeight: 600 } as const;
  const label = { dx: isBar ? 6 : 9, fill: INK, stroke: "#fff", ariaDescription: "value" };
  return [
    isBar ? Plot.barX(cells, { ...scenario, x1: 0, x2: "value" }) : null,
    Plot.ruleY(cells, { ...AT, ...interval, ariaDescription: "interval" }),
    isBar ? null : Plot.dot(cells, { ...scenario, ...dot }),
    Plot.text(cells, { ...AT, ...text, ...label }),
  ];
}

/** Marks of failures and rejections: right of the values, or at the axis where there is none. */
function outcomeMarks(cells: readonly Value[]): Plot.Markish[] {
  return outcomeRows(cells).flatMap((cell) => {
    const { outcome, isWhole, i } = cell;
    const style = OUTCOME_STYLE[outcome];
    if (!isWhole) {
      const dx = 20 + 13 * i + textWidth(cell.text, 12);
      const mark = { ...style, r: 3.5, ariaDescription: `partly ${outcome}` };
      return [Plot.dot([cell], { ...AT, ...mark, x: "end", dx })];
    }
    const at = { ...AT, frameAnchor: "left" } as const;
    const text = { text: [claimWords[outcome]], textAnchor: "start", fill: style.stroke } as const;
    return [
      Plot.dot([cell], { ...at, ...style, dx: 10, r: 5, strokeWidth: 2, ariaDescription: outcome }),
      Plot.text([cell], { ...at, ...text, dx: 20 }),
    ];
  });
}

function drawComparison(
  scenarios: readonly ScenarioSummary[],
  measure: Measure,
  ratios: readonly PathRatio[],
) {
  const cells = valuesOf(scenarios, measure);
  const isBar = measure.percentile === null;
  // Arms that are compared stand together, whatever the order of the plan.
  const inPairs = facetsOf(scenarios, ratios).flatMap((facet) => facet.scenarios);
  const labels = rowLabels(inPairs.map(({ arm }) => ({ key: arm, label: arm })), 190);
  const levels = loadLevels(scenarios).map(levelLabel);
  const marginLeft = 10 + labels.width;
  const columnWidth = Math.min(420, (BODY_WIDTH - marginLeft) / levels.length);
  const frame = columnWidth - 24;
  const { isLog, domain, isClipped } = scaleOf(cells, isBar ? Infinity : LOG_ABOVE);
  const ticks = isLog ? logTicks(domain, frame / 45) : frame / 80;
  // The values stand right of their intervals.
  const texts = 16 + Math.max(...cells.map(({ text }) => textWidth(text, 12)), 44);
  const insetRight = Math.min(texts, 0.65 * frame);
  const level = { fontSize: 13, fontWeight: 600, ariaDescription: "level" };
  const body = drawPlot({
    width: marginLeft + columnWidth * levels.length,
    ...framed(labels.heightOf(30), [34, 4, 26, marginLeft]),
    fx: { domain: levels, padding: 0.06 },
    y: { domain: labels.keys, padding: 0.3 },
    x: { type: isLog ? "log" : "linear", domain, insetRight, clamp: true },
    marks: [
      Plot.gridX(gridLines(ticks)),
      Plot.frame({ anchor: "left", stroke: MUTED }),
      Plot.axisX(numbers(ticks)),
      Plot.axisFx({ ...LABELS, ...level, frameAnchor: "top-left", textAnchor: "start" }),
      Plot.axisY(labels.axis),
      ...valueMarks(cells, isBar),
      ...outcomeMarks(cells),
    ],
  });
  const drawn = { body, isLog, isClipped };
  return isBar
    ? { ...drawn, reading: axisWords.more, symbol: "square" as const }
    : { ...drawn, reading: axisWords.less };
}

function comparisonFigure(
  scenarios: readonly ScenarioSummary[],
  measure: Measure,
  options: FigureOptions,
): Figure {
  const draw = () => drawComparison(scenarios, measure, options.ratios ?? []);
  return measureFigure(scenarios, measure, options, draw);
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
  return comparisonFigure(scenarios, THROUGHPUT, options);
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
  return comparisonFigure(scenarios, latencyMeasure(scenarios, 95), options);
}
