/**
 * Where the time of a mean request went, a stacked bar for each scenario.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { levelLabel, loadLevels } from "../scenario.ts";
import { type Stage, STAGES, type Waterfall } from "../stats/waterfall.ts";
import { TICK_BELOW } from "./axes.ts";
import {
  BODY_WIDTH,
  composeFigure,
  type Drawing,
  drawPlot,
  type Figure,
  type LegendEntry,
} from "./figure.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles, stageWords } from "../wording/figures.ts";
import { capitalise, formatNumber } from "../wording/format.ts";
import { caption, checkFigure, emptyFigure, type FigureOptions } from "./options.ts";
import { linearTicks } from "./scales.ts";
import { textWidth } from "./text.ts";
import { GRID, INK, MUTED, SERVICE_COLOR } from "./theme.ts";

/** The colour of each stage: that of whose time it is. */
const STAGE_COLOR: Record<Stage, string> = {
  generator_lag: SERVICE_COLOR.locust!,
  http: "#f1f3f5",
  rest: "#f1f3f5",
  app: SERVICE_COLOR.app!,
  app_pool: "#f2a65a",
  connect: "#f0d264",
  pgbouncer_queue: SERVICE_COLOR.pgbouncer!,
  pgbouncer_starved: "#00543d",
  pgbouncer_server: "#86c1e8",
  database_wait: "#86c1e8",
  execution: SERVICE_COLOR.postgres!,
};

/** Stages on which text is white. */
const DARK: Stage[] = ["generator_lag", "app", "pgbouncer_queue", "pgbouncer_starved", "execution"];

const ROW_HEIGHT = 36;
const FONT_SIZE = 12;

/** A part as it is drawn. */
interface Segment {
  arm: string;
  stage: Stage;
  measured: boolean;
  /** Where it begins and ends, in milliseconds from the bar's begin. */
  from: number;
  to: number;
  /** What stands on it; empty where it is too narrow. */
  text: string;
}

/** The parts of a bar; what the clocks of three programs make negative is nothing. */
function segmentsOf({ arm, parts }: Waterfall, msPerPixel: number): Segment[] {
  let at = 0;
  return parts.filter(({ ms }) => ms > 0).map(({ stage, ms, measured }) => {
    const value = formatNumber(ms);
    const room = ms / msPerPixel - 8;
    const texts = [`${stageWords[stage].label} ${value}`, value];
    const text = texts.find((text) => textWidth(text, FONT_SIZE) <= room) ?? "";
    const from = at;
    at += ms;
    return { arm, stage, measured, from, to: at, text };
  });
}

/** The parts of all bars, with what stands on them. */
function barMarks(segments: Segment[]): Plot.Markish[] {
  const bar = {
    y: "arm",
    x1: "from",
    x2: "to",
    fill: ({ stage }: Segment) => STAGE_COLOR[stage],
  };
  return [
    Plot.barX(segments.filter(({ measured }) => measured), {
      ...bar,
      stroke: "#fff",
      strokeWidth: 1,
      ariaDescription: "part",
    }),
    Plot.barX(segments.filter(({ measured }) => !measured), {
      ...bar,
      stroke: MUTED,
      strokeDasharray: "3 3",
      inset: 0.75,
      ariaDescription: "remainder",
    }),
    Plot.text(segments.filter(({ text }) => text !== ""), {
      y: "arm",
      text: "text",
      fontSize: FONT_SIZE,
      ariaDescription: "value",
      x: ({ from, to }: Segment) => (from + to) / 2,
      fill: ({ stage }: Segment) => DARK.includes(stage) ? "#fff" : INK,
    }),
  ];
}

/** The bars of one load level, with a scale of their own. */
function drawLevel(level: string, rows: readonly Waterfall[], marginLeft: number): Drawing {
  const most = Math.max(...rows.map(({ totalMs }) => totalMs));
  const totals = rows.map(({ totalMs }) => `${formatNumber(totalMs)}\u00a0ms`);
  const marginRight = Math.max(...totals.map((text) => 1.1 * textWidth(text, 12.5))) + 14;
  const [marginTop, marginBottom] = [30, 26];
  const msPerPixel = most / (BODY_WIDTH - marginLeft - marginRight);
  const ticks = linearTicks(most, 6);
  return drawPlot({
    width: BODY_WIDTH,
    height: marginTop + marginBottom + rows.length * ROW_HEIGHT,
    marginTop,
    marginBottom,
    marginLeft,
    marginRight,
    x: { domain: [0, most], axis: null },
    y: { domain: rows.map(({ arm }) => arm), padding: 0.22, axis: null },
    color: { type: "identity" },
    marks: [
      Plot.gridX({ ticks, stroke: GRID, strokeOpacity: 1 }),
      Plot.text(ticks, {
        ...TICK_BELOW,
        x: (tick: number) => tick,
        text: (tick: number) => formatNumber(tick),
      }),
      Plot.axisY({ label: null, tickSize: 0, fontSize: 13, color: INK }),
      Plot.text([level], {
        text: (text: string) => text,
        frameAnchor: "top-left",
        dx: -marginLeft,
        dy: -22,
        fontSize: 13,
        fontWeight: 600,
        textAnchor: "start",
        ariaDescription: "level",
      }),
      ...barMarks(rows.flatMap((row) => segmentsOf(row, msPerPixel))),
      Plot.text(rows, {
        y: "arm",
        x: "totalMs",
        textAnchor: "start",
        dx: 8,
        fontSize: 12.5,
        fontWeight: 600,
        fill: INK,
        stroke: "#fff",
        strokeWidth: 3,
        ariaDescription: "total",
        text: (_: Waterfall, i: number) => totals[i]!,
      }),
    ],
  });
}

/** Drawings below each other. */
function stack(drawings: readonly Drawing[]): Drawing {
  let height = 0;
  const markup = drawings.map((drawing) => {
    const group = `<g transform="translate(0,${height})">${drawing.markup}</g>`;
    height += drawing.height;
    return group;
  });
  return { markup: markup.join(""), width: BODY_WIDTH, height };
}

/** The largest part of a bar. */
function largest({ parts }: Waterfall): { stage: Stage; ms: number } {
  return parts.reduce((most, part) => part.ms > most.ms ? part : most);
}

/** Where the largest part of the time went, in one sentence without its full stop. */
function claim(rows: readonly Waterfall[]): string {
  const share = (row: Waterfall) => largest(row).ms / row.totalMs;
  const [first] = rows;
  if (rows.length === 1) {
    const cell = claimWords.cell(first!.arm, [first!]);
    return figureTitles.largestOfOne(cell, largest(first!).stage, share(first!));
  }
  const groups = [...Map.groupBy(rows, (row) => largest(row).stage)]
    .sort(([, a], [, b]) => b.length - a.length);
  const [[stage, own]] = groups as [[Stage, Waterfall[]]];
  if (groups.length === 1) return figureTitles.largestOfAll(stage, own.map(share));
  const counts = groups.map(([stage, { length }]) => ({ stage, n: length }));
  return figureTitles.largest(counts, rows.length);
}

/** Options of {@linkcode waterfallFigure}; a `Study` will do. */
export type WaterfallFigureOptions = Pick<FigureOptions, "context" | "title">;

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
  options: WaterfallFigureOptions = {},
): Figure {
  const { context, title } = options;
  if (rows.length === 0) return emptyFigure(figureTitles.noWaterfall, context);
  const check = checkFigure(measureWords.whereTimeWent, context);
  if (check !== null) return check;
  const stages = STAGES.filter((stage) =>
    rows.some(({ parts }) => parts.some((part) => part.stage === stage && part.ms > 0))
  );
  const legend = stages.map((stage): LegendEntry => {
    const left = rows.some(({ parts }) =>
      parts.some((one) => one.stage === stage && !one.measured)
    );
    const { label } = stageWords[stage];
    return { label, color: STAGE_COLOR[stage], symbol: left ? "frame" : "square" };
  });
  const marginLeft = Math.max(...rows.map(({ arm }) => textWidth(arm, 13))) + 12;
  const drawings = loadLevels(rows).map((level) => {
    const label = levelLabel(level);
    return drawLevel(label, rows.filter((row) => levelLabel(row) === label), marginLeft);
  });
  return composeFigure({
    title: title ?? capitalise(claim(rows)),
    subtitle: axisWords.waterfall,
    legend,
    body: stack(drawings),
    caption: caption([
      captionWords.runsPerBar(rows.map(({ n }) => n)),
      captionWords.dashed,
      ...(stages.includes("pgbouncer_starved") ? [captionWords.starved] : []),
    ], context),
  });
}
