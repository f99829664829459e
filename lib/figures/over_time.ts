/** CPU and connections over the time of one run. */

import * as Plot from "@observablehq/plot";
import { armName, type Scenario } from "../scenario.ts";
import type { StudyContext } from "../stats/context.ts";
import type { ConnectionPoint, CpuPoint } from "../stats/readings.ts";
import { claimWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles, legendWords } from "../wording/figures.ts";
import { framed, gridLines, INK, LABELS, LINE_COLOR, MUTED, numbers } from "./style.ts";
import { composeFigure, type Drawing, drawPlot, type Figure } from "./figure.ts";
import { caption, emptyFigure, type FigureOptions } from "./options.ts";

interface TimePoint {
  name: string;
  timeS: number;
  value: number;
}

/** What is drawn of a run: lines, each with its name and its window's mean at its end. */
interface TimeLines {
  claim: string;
  subtitle: string;
  note: string;
  points: readonly TimePoint[];
  /** What a level is called that lines cannot pass. */
  limit: string;
  limits: readonly { name: string; value: number }[];
  /** Room for the labels at the lines' ends, in pixels. */
  marginRight: number;
}

/** Options of a figure of one run. */
export interface RunFigureOptions extends Pick<FigureOptions, "context" | "title"> {
  /** The scenario, for its limits and its name. @default no limit is drawn */
  scenario?: Scenario;
}

/** A service above this share of its quota sits at it. */
const AT_QUOTA = 0.9;

function colorOf(name: string): string {
  return (LINE_COLOR as Record<string, string>)[name] ?? INK;
}

function meanInWindow(points: readonly TimePoint[], name: string): number {
  const own = points.filter((point) => point.name === name && point.timeS > 0);
  return own.reduce((sum, { value }) => sum + value, 0) / Math.max(1, own.length);
}

/** Each line's name and mean where it ends, so far apart that none covers another. */
function endsOf(points: readonly TimePoint[], apart: number) {
  let free = -Infinity;
  const ends = [...new Map(points.map(({ name, value }) => [name, value]))];
  return ends.sort(([, a], [, b]) => a - b).map(([name, value]) => {
    const y = Math.max(value, free);
    free = y + apart;
    return { name, y, text: legendWords.mean(name, meanInWindow(points, name)) };
  });
}

/** Levels; lines of one level share its rule, and its label. */
function limitMarks({ limit, limits }: TimeLines): Plot.Markish[] {
  const levels = [...Map.groupBy(limits, ({ value }) => value)].map(([value, members]) => {
    const names = members.map(({ name }) => name);
    return { value, color: colorOf(names[0]!), text: legendWords.limit(limit, names, value) };
  });
  const rule = { stroke: "color", strokeDasharray: "5 3", strokeWidth: 1.5 };
  const above = { frameAnchor: "left", dx: 6, dy: -8, fill: "color", stroke: "#fff" } as const;
  return [
    Plot.ruleY(levels, { y: "value", ...rule, ariaDescription: limit }),
    Plot.text(levels, { y: "value", ...above, text: "text" }),
  ];
}

function drawTimeLines(lines: TimeLines, context: StudyContext | undefined): Drawing {
  const { points, limits, marginRight } = lines;
  const stroke = ({ name }: { name: string }) => colorOf(name);
  const line = { x: "timeS", y: "value", z: "name", stroke, strokeWidth: 2 };
  const times = points.map(({ timeS }) => timeS);
  const [firstS, lastS] = [Math.min(0, ...times), Math.max(0, ...times)];
  const top = 1.08 * Math.max(0.1, ...[...points, ...limits].map(({ value }) => value));
  const height = 244;
  const ends = endsOf(points, 15 * top / height);
  const beside = { frameAnchor: "right", textAnchor: "start", dx: 8, fontSize: 13 } as const;
  const before = { frameAnchor: "top", textAnchor: "end", dx: -6, dy: -12, fill: MUTED } as const;
  const since = context?.turns ? "sinceBlocks" : "sinceWindow";
  const below = { labelAnchor: "center", labelArrow: "none", ticks: 8, color: MUTED } as const;
  return drawPlot({
    ...framed(height, [16, marginRight, 40, 44]),
    x: { domain: [firstS, Math.max(lastS, firstS + 1)] },
    y: { domain: [0, top] },
    marks: [
      Plot.gridY(gridLines(5)),
      Plot.ruleY([0], { stroke: MUTED }),
      Plot.axisY(numbers(5)),
      Plot.axisX({ ...LABELS, ...below, label: axisWords[since] }),
      Plot.ruleX(firstS < 0 ? [0] : [], { stroke: MUTED, ariaDescription: "window start" }),
      Plot.text(firstS < 0 ? [legendWords.warmUp] : [], { x: 0, ...before }),
      ...limitMarks(lines),
      Plot.line(points, { ...line, ariaDescription: "service" }),
      Plot.text(ends, { ...beside, y: "y", text: "text", fontWeight: 600, fill: stroke }),
    ],
  });
}

/** A figure of one run, its claim with its scenario where that is known. */
function timeFigure(lines: TimeLines, { scenario, context, title }: RunFigureOptions): Figure {
  const { claim, subtitle, note } = lines;
  const claimed = scenario === undefined
    ? claim
    : figureTitles.ofCell(claim, claimWords.cell(armName(scenario), [scenario]));
  return composeFigure({
    title: title ?? claimed,
    subtitle,
    body: drawTimeLines(lines, context),
    caption: caption([captionWords.oneRun, note], context),
  });
}

/**
 * The CPU use of each service over one run, with quotas and the window's start. The title names the
 * services that sat at their quota during the window.
 *
 * @param cpu Rows of `Study.cpu`.
 * @param options The scenario for its quotas, the context for the caption.
 */
export function resourceFigure(cpu: readonly CpuPoint[], options: RunFigureOptions = {}): Figure {
  if (cpu.length === 0) return emptyFigure(figureTitles.noCpu, options.context);
  const points = cpu.map(({ service, timeS, cores }) => ({ name: service, timeS, value: cores }));
  const { dbCpus, appCpus, pgbouncerCpus } = options.scenario ?? ({} as Partial<Scenario>);
  const quotas = new Map([["postgres", dbCpus], ["app", appCpus], ["pgbouncer", pgbouncerCpus]]);
  const limits = [...new Set(cpu.map(({ service }) => service))].flatMap((name) => {
    const value = quotas.get(name) ?? null;
    return value === null ? [] : [{ name, value }];
  });
  const atQuota = limits
    .map(({ name, value }) => ({ service: name, share: meanInWindow(points, name) / value }))
    .filter(({ share }) => share > AT_QUOTA);
  const noneAt = limits.length === 0 ? figureTitles.noQuota : figureTitles.noneAtQuota;
  const claim = atQuota.length === 0 ? noneAt : figureTitles.atQuota(atQuota);
  const texts = { claim, subtitle: axisWords.cpu, note: captionWords.host };
  return timeFigure(
    { ...texts, points, limit: legendWords.quota, limits, marginRight: 110 },
    options,
  );
}

/**
 * What connections did over one run: those of PostgreSQL that executed, waited for a lock or were idle
 * in a transaction, and PgBouncer's server connections in use with the clients that waited for one.
 * Kinds of which there were none are left out.
 *
 * @param readings Rows of `Study.connections`.
 * @param options The scenario for its pool size, the context for the caption.
 */
export function connectionsFigure(
  readings: readonly ConnectionPoint[],
  options: RunFigureOptions = {},
): Figure {
  const { scenario, context } = options;
  const inUse = new Set(readings.filter((one) => one.connections > 0).map(({ kind }) => kind));
  const points = readings.filter(({ kind }) => inUse.has(kind))
    .map(({ kind, timeS, connections }) => ({ name: kind, timeS, value: connections }));
  if (points.length === 0) return emptyFigure(figureTitles.noConnection, context);
  const poolSize = scenario?.path === "pooled" ? scenario.defaultPoolSize : null;
  const limits = poolSize === null ? [] : [{ name: "sv_active", value: poolSize }];
  const mean = (kind: ConnectionPoint["kind"]) => meanInWindow(points, kind);
  const claim = poolSize === null
    ? figureTitles.executed(mean("active"))
    : figureTitles.inUse(mean("sv_active"), poolSize, mean("cl_waiting"));
  const texts = { claim, subtitle: axisWords.connections, note: captionWords.eachSecond };
  return timeFigure(
    { ...texts, points, limit: "default_pool_size", limits, marginRight: 170 },
    options,
  );
}
