/** Where the time of a mean request went, a stacked bar for each scenario. */

import * as Plot from "@observablehq/plot";
import { levelLabel, loadLevels } from "../scenario.ts";
import { type Stage, STAGES, type Waterfall, type WaterfallPart } from "../stats/waterfall.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles, stageWords } from "../wording/figures.ts";
import { capitalise, formatNumber } from "../wording/format.ts";
import { framed, gridLines, INK, LABELS, LINE_COLOR, MUTED, numbers, textWidth } from "./style.ts";
import {
  BODY_WIDTH,
  composeFigure,
  type Drawing,
  drawPlot,
  type Figure,
  type LegendEntry,
  stack,
} from "./figure.ts";
import { caption, type FigureOptions, noticeFigure } from "./options.ts";

/** The colour of each stage, that of whose time it is, and of the text on it. */
const STAGE_STYLE: Record<Stage, [fill: string, ink?: string]> = {
  generator_lag: [LINE_COLOR.locust, "#fff"],
  http: ["#f1f3f5"],
  rest: ["#f1f3f5"],
  app: [LINE_COLOR.app, "#fff"],
  held: ["#8f3f00", "#fff"],
  app_pool: ["#f2a65a"],
  connect: ["#f0d264"],
  pgbouncer_queue: [LINE_COLOR.pgbouncer, "#fff"],
  pgbouncer_starved: ["#00543d", "#fff"],
  pgbouncer_server: ["#86c1e8"],
  database_wait: ["#86c1e8"],
  execution: [LINE_COLOR.postgres, "#fff"],
};

const FONT_SIZE = 12;

/** The parts of a bar; what the clocks of three programs make negative is nothing. */
function segmentsOf({ arm, parts }: Waterfall, msPerPixel: number) {
  let to = 0;
  return parts.filter(({ ms }) => ms > 0).map(({ stage, ms, measured }) => {
    const from = to;
    to += ms;
    const value = formatNumber(ms);
    const room = ms / msPerPixel - 8;
    const { label } = stageWords[stage];
    const text = [`${label} ${value}`, value].find((text) => textWidth(text, FONT_SIZE) <= room);
    const [fill, ink = INK] = STAGE_STYLE[stage];
    return { arm, measured, from, to, middle: (from + to) / 2, fill, ink, text };
  });
}

function barMarks(segments: ReturnType<typeof segmentsOf>): Plot.Markish[] {
  const bar = { y: "arm", x1: "from", x2: "to", fill: "fill" };
  const dashed = { stroke: MUTED, strokeDasharray: "3 3", inset: 0.75 };
  const value = { y: "arm", x: "middle", text: "text", fill: "ink", fontSize: FONT_SIZE };
  const parts = segments.filter(({ measured }) => measured);
  const remainders = segments.filter(({ measured }) => !measured);
  return [
    Plot.barX(parts, { ...bar, stroke: "#fff", ariaDescription: "part" }),
    Plot.barX(remainders, { ...bar, ...dashed, ariaDescription: "remainder" }),
    Plot.text(segments, { ...value, ariaDescription: "value" }),
  ];
}

function drawLevel(level: string, rows: readonly Waterfall[], marginLeft: number): Drawing {
  // Negative parts are not drawn, so that a bar can be longer than its total.
  const ends = rows.map(({ parts }) => parts.reduce((sum, { ms }) => sum + Math.max(0, ms), 0));
  const most = Math.max(...ends);
  const totals = rows.map(({ totalMs }) => `${formatNumber(totalMs)}\u00a0ms`);
  const marginRight = 14 + Math.max(...totals.map((text) => 1.1 * textWidth(text, 12.5)));
  const msPerPixel = most / (BODY_WIDTH - marginLeft - marginRight);
  const bold = { fontWeight: 600, textAnchor: "start" } as const;
  const title = { frameAnchor: "top-left", dx: -marginLeft, dy: -22, fontSize: 13 } as const;
  const total = { y: "arm", x: ends, dx: 8, fontSize: 12.5, fill: INK, stroke: "#fff" };
  return drawPlot({
    ...framed(36 * rows.length, [30, marginRight, 26, marginLeft]),
    x: { domain: [0, most] },
    y: { domain: rows.map(({ arm }) => arm), padding: 0.22 },
    marks: [
      Plot.gridX(gridLines(6)),
      Plot.axisX(numbers(6)),
      Plot.axisY({ ...LABELS, fontSize: 13 }),
      Plot.text([level], { ...bold, ...title, ariaDescription: "level" }),
      ...barMarks(rows.flatMap((row) => segmentsOf(row, msPerPixel))),
      Plot.text(rows, { ...bold, ...total, text: totals, ariaDescription: "total" }),
    ],
  });
}

function largest({ parts }: Waterfall): { stage: Stage; ms: number } {
  return parts.reduce((most, part) => part.ms > most.ms ? part : most);
}

function claim(rows: readonly Waterfall[]): string {
  const share = (row: Waterfall) => largest(row).ms / row.totalMs;
  const [first] = rows;
  if (rows.length === 1) {
    const cell = claimWords.cell(first!.arm, [first!]);
    return figureTitles.largestOfOne(cell, largest(first!).stage, share(first!));
  }
  const counts = [...Map.groupBy(rows, (row) => largest(row).stage)]
    .map(([stage, { length: n }]) => ({ stage, n }))
    .sort((a, b) => b.n - a.n);
  return counts.length === 1
    ? figureTitles.largestOfAll(counts[0]!.stage, rows.map(share))
    : figureTitles.largest(counts, rows.length);
}

/** The legend of stages; the frame of a remainder is dashed as on its bar. */
function legendOf(stages: readonly Stage[], parts: readonly WaterfallPart[]): LegendEntry[] {
  const dashed = { stroke: MUTED, strokeWidth: 1, strokeDasharray: "2 2" };
  return stages.map((stage) => {
    const isLeft = parts.some((part) => part.stage === stage && !part.measured);
    return {
      label: stageWords[stage].label,
      mark: { symbol: "square", fill: STAGE_STYLE[stage][0], ...(isLeft ? dashed : {}) },
    };
  });
}

/**
 * Where the time of a mean request went: a stacked bar for each scenario, its parts in the order in
 * which a request meets them, as long together as the mean service time; what clients waited in
 * PgBouncer that it never served comes on top, for each answer. The part that is left when
 * all measured ones are taken off is pale in a dashed frame. Each load level has a scale of its own.
 *
 * @param rows What `waterfalls()` tells of a study.
 * @param options The study itself will do.
 */
export function waterfallFigure(
  rows: readonly Waterfall[],
  { context, title }: Pick<FigureOptions, "context" | "title"> = {},
): Figure {
  const notice = noticeFigure(rows, figureTitles.noWaterfall, measureWords.whereTimeWent, context);
  if (notice !== null) return notice;
  const parts = rows.flatMap((row) => row.parts).filter(({ ms }) => ms > 0);
  const stages = STAGES.filter((stage) => parts.some((part) => part.stage === stage));
  const marginLeft = 12 + Math.max(...rows.map(({ arm }) => textWidth(arm, 13)));
  const levels = Map.groupBy(rows, levelLabel);
  return composeFigure({
    title: title ?? capitalise(claim(rows)),
    subtitle: axisWords.waterfall,
    legend: legendOf(stages, parts),
    body: stack(
      loadLevels(rows).map(levelLabel)
        .map((level) => drawLevel(level, levels.get(level)!, marginLeft)),
    ),
    caption: caption([
      captionWords.runsPerBar(rows.map(({ n }) => n)),
      captionWords.dashed,
      stages.includes("pgbouncer_starved") && captionWords.starved,
    ], context),
  });
}
