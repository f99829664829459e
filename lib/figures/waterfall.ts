/**
 * Where the time of a mean request went, a stacked bar for each scenario.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import { levelLabel, loadLevels } from "../scenario.ts";
import { type Stage, STAGES, type Waterfall } from "../stats/waterfall.ts";
import {
  BODY_WIDTH,
  composeFigure,
  type Drawing,
  drawPlot,
  type Figure,
  type LegendEntry,
} from "./figure.ts";
import {
  atLevels,
  capitalise,
  formatCount,
  formatList,
  formatNumber,
  formatPercent,
  formatSpan,
} from "../wording/format.ts";
import { caption, checkFigure, emptyFigure, type FigureOptions } from "./options.ts";
import { linearTicks } from "./scales.ts";
import { textWidth } from "./text.ts";
import { GRID, INK, MUTED, SERVICE_COLOR } from "./theme.ts";

/** A stage's name on a bar and in the legend, in a sentence, and its colour: that of whose time it is. */
const STYLE: Record<Stage, { label: string; within: string; color: string }> = {
  generator_lag: {
    label: "generator lag",
    within: "the generator's lag",
    color: SERVICE_COLOR.locust!,
  },
  http: {
    label: "HTTP, waiting for a worker",
    within: "HTTP and waiting for a worker",
    color: "#f1f3f5",
  },
  rest: { label: "everything else", within: "what was not measured apart", color: "#f1f3f5" },
  app: { label: "app code", within: "the app's code", color: SERVICE_COLOR.app! },
  app_pool: { label: "app's pool", within: "waiting in the app's pool", color: "#f2a65a" },
  connect: { label: "connecting", within: "opening connections", color: "#f0d264" },
  pgbouncer_queue: {
    label: "PgBouncer's queue",
    within: "PgBouncer's queue",
    color: SERVICE_COLOR.pgbouncer!,
  },
  pgbouncer_starved: {
    label: "never served by PgBouncer",
    within: "waiting in PgBouncer for a server connection that never came",
    color: "#00543d",
  },
  pgbouncer_server: {
    label: "server connection",
    within: "waiting for an answer on a server connection",
    color: "#86c1e8",
  },
  database_wait: {
    label: "way to the database",
    within: "the way to the database and back",
    color: "#86c1e8",
  },
  execution: {
    label: "query execution",
    within: "query execution",
    color: SERVICE_COLOR.postgres!,
  },
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
    const texts = [`${STYLE[stage].label} ${value}`, value];
    const text = texts.find((text) => textWidth(text, FONT_SIZE) <= room) ?? "";
    const from = at;
    at += ms;
    return { arm, stage, measured, from, to: at, text };
  });
}

/** The bars of one load level, with a scale of their own. */
function drawLevel(level: string, rows: readonly Waterfall[], marginLeft: number): Drawing {
  const most = Math.max(...rows.map(({ totalMs }) => totalMs));
  const totals = rows.map(({ totalMs }) => `${formatNumber(totalMs)}\u00a0ms`);
  const marginRight = Math.max(...totals.map((text) => 1.1 * textWidth(text, 12.5))) + 14;
  const [marginTop, marginBottom] = [30, 26];
  const msPerPixel = most / (BODY_WIDTH - marginLeft - marginRight);
  const segments = rows.flatMap((row) => segmentsOf(row, msPerPixel));
  const ticks = linearTicks(most, 6);
  const bar = {
    y: "arm",
    x1: "from",
    x2: "to",
    fill: ({ stage }: Segment) => STYLE[stage].color,
  };
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
        x: (tick: number) => tick,
        text: (tick: number) => formatNumber(tick),
        frameAnchor: "bottom",
        dy: 16,
        fontSize: 12,
        fill: MUTED,
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
    return `${first!.arm} ${atLevels([first!])}: ${
      formatPercent(share(first!))
    } of a mean request is ${STYLE[largest(first!).stage].within}`;
  }
  const groups = [...Map.groupBy(rows, (row) => largest(row).stage)]
    .sort(([, a], [, b]) => b.length - a.length);
  const [[stage, own]] = groups as [[Stage, Waterfall[]]];
  if (groups.length === 1) {
    return `The largest part of a mean request is ${STYLE[stage].within} in every scenario: ${
      formatSpan(own.map(share), formatPercent)
    } of its time`;
  }
  const counts = groups.map(([stage, { length }], i) =>
    `${STYLE[stage].within} in ${
      i === 0 ? `${length} of ${formatCount(rows.length, "scenario")}` : length
    }`
  );
  return `The largest part of a mean request is ${formatList(counts)}`;
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
  if (rows.length === 0) return emptyFigure("No run tells where its time went", context);
  const check = checkFigure("where time went", context);
  if (check !== null) return check;
  const stages = STAGES.filter((stage) =>
    rows.some(({ parts }) => parts.some((part) => part.stage === stage && part.ms > 0))
  );
  const legend = stages.map((stage): LegendEntry => {
    const { label, color } = STYLE[stage];
    const left = rows.some(({ parts }) =>
      parts.some((one) => one.stage === stage && !one.measured)
    );
    return { label, color, symbol: left ? "frame" : "square" };
  });
  const marginLeft = Math.max(...rows.map(({ arm }) => textWidth(arm, 13))) + 12;
  const drawings = loadLevels(rows).map((level) => {
    const label = levelLabel(level);
    return drawLevel(label, rows.filter((row) => levelLabel(row) === label), marginLeft);
  });
  const span = formatSpan(rows.map(({ n }) => n), String);
  return composeFigure({
    title: title ?? capitalise(claim(rows)),
    subtitle: "mean service time of correct answers in ms, from its sending to its answer",
    legend,
    body: stack(drawings),
    caption: caption([
      `n = ${span} ${span === "1" ? "run" : "runs"} per bar, means of their means`,
      "dashed: what is left when the measured parts are taken off",
      ...(stages.includes("pgbouncer_starved")
        ? [
          `"${STYLE.pgbouncer_starved.label}": on top of the mean, what clients without a server waited for each answer of the others`,
        ]
        : []),
    ], context),
  });
}
