/**
 * CPU over time.
 *
 * @module
 */

import * as Plot from "@observablehq/plot";
import type { Scenario } from "../scenario.ts";
import type { CpuPoint } from "../stats/cpu.ts";
import { BODY_WIDTH, composeFigure, drawPlot, type Figure } from "./figure.ts";
import { atLevels, formatList, formatNumber, formatPercent } from "./format.ts";
import { caption, emptyFigure, type FigureOptions } from "./options.ts";
import { linearTicks } from "./scales.ts";
import { GRID, INK, MUTED, SERVICE_COLOR } from "./theme.ts";

/** A service above this share of its quota sits at it. */
const AT_QUOTA = 0.9;

/** Options of {@linkcode resourceFigure}. */
export interface ResourceFigureOptions extends Pick<FigureOptions, "context" | "title"> {
  /** The scenario, for its quotas and its name. @default no quota is drawn */
  scenario?: Scenario;
}

function quotaOf(service: string, scenario: Scenario | undefined): number | null {
  if (scenario === undefined) return null;
  const quotas: Record<string, number | null> = {
    postgres: scenario.dbCpus,
    app: scenario.appCpus,
    pgbouncer: scenario.pgbouncerCpus,
  };
  return quotas[service] ?? null;
}

/** Labels at the lines' ends, moved apart so that none covers another. */
function spread(ends: { service: string; cores: number; text: string }[], perPixel: number) {
  const apart = 15 * perPixel;
  let free = -Infinity;
  return [...ends].sort((a, b) => a.cores - b.cores).map((end) => {
    free = Math.max(end.cores, free + apart);
    return { ...end, y: free };
  });
}

/**
 * The CPU use of each service over one run, with quotas and the window's start. The title names the
 * services that sat at their quota during the window.
 *
 * @param points Rows of `Study.cpu`.
 * @param options The scenario for its quotas, the context for the caption.
 */
export function resourceFigure(
  points: readonly CpuPoint[],
  options: ResourceFigureOptions = {},
): Figure {
  if (points.length === 0) return emptyFigure("No CPU was sampled", options.context);
  const { scenario } = options;
  const services = [...new Set(points.map((point) => point.service))];
  const lastS = Math.max(0, ...points.map((point) => point.timeS));
  const firstS = Math.min(0, ...points.map((point) => point.timeS));
  const meanOf = (service: string) => {
    const own = points.filter((point) => point.service === service && point.timeS > 0);
    return own.reduce((sum, point) => sum + point.cores, 0) / Math.max(1, own.length);
  };
  const quotas = services.flatMap((service) => {
    const quota = quotaOf(service, scenario);
    return quota === null ? [] : [{ service, quota }];
  });
  const top = Math.max(
    0.1,
    ...points.map((point) => point.cores),
    ...quotas.map(({ quota }) => quota),
  ) * 1.08;
  const height = 300;
  const marginTop = 16;
  const marginBottom = 40;
  const ends = services.flatMap((service) => {
    const last = points.filter((point) => point.service === service).at(-1);
    return last === undefined
      ? []
      : [{ service, cores: last.cores, text: `${service} ${formatNumber(meanOf(service))}` }];
  });
  const color = (service: string) => SERVICE_COLOR[service] ?? INK;
  const ticks = linearTicks(top, 5);
  const body = drawPlot({
    width: BODY_WIDTH,
    height,
    marginTop,
    marginBottom,
    marginLeft: 44,
    marginRight: 110,
    x: { domain: [firstS, Math.max(lastS, firstS + 1)], axis: null },
    y: { domain: [0, top], axis: null },
    color: { type: "identity" },
    marks: [
      Plot.ruleY(ticks, { stroke: GRID }),
      Plot.ruleY([0], { stroke: MUTED }),
      Plot.text(ticks, {
        y: (tick: number) => tick,
        text: (tick: number) => formatNumber(tick),
        frameAnchor: "left",
        textAnchor: "end",
        dx: -8,
        fill: MUTED,
      }),
      Plot.axisX({
        ticks: 8,
        tickSize: 0,
        label: "seconds since the window's start",
        labelAnchor: "center",
        labelArrow: "none",
        fontSize: 12,
        color: MUTED,
      }),
      firstS < 0
        ? [
          Plot.ruleX([0], { stroke: MUTED, ariaDescription: "window start" }),
          Plot.text([0], {
            x: () => 0,
            text: () => "← warm-up",
            frameAnchor: "top",
            textAnchor: "end",
            dx: -6,
            dy: -12,
            fill: MUTED,
          }),
        ]
        : [],
      Plot.ruleY(quotas, {
        y: "quota",
        stroke: ({ service }: { service: string }) => color(service),
        strokeDasharray: "5 3",
        strokeWidth: 1.5,
        ariaDescription: "quota",
      }),
      Plot.text(quotas.filter(({ quota }, i) => quotas.findIndex((q) => q.quota === quota) === i), {
        y: "quota",
        // Services of one quota share its line, and its label.
        text: ({ quota }: { quota: number }) => {
          const having = quotas.filter((q) => q.quota === quota).map((q) => q.service);
          return `quota of ${formatList(having)}: ${quota}`;
        },
        frameAnchor: "left",
        textAnchor: "start",
        dx: 6,
        dy: -8,
        fill: ({ service }: { service: string }) => color(service),
        stroke: "#fff",
        strokeWidth: 3,
      }),
      Plot.line(points, {
        x: "timeS",
        y: "cores",
        z: "service",
        stroke: ({ service }: CpuPoint) => color(service),
        strokeWidth: 2,
        ariaDescription: "service",
      }),
      Plot.text(spread(ends, top / (height - marginTop - marginBottom)), {
        y: "y",
        text: "text",
        frameAnchor: "right",
        textAnchor: "start",
        dx: 8,
        fontSize: 13,
        fontWeight: 600,
        fill: ({ service }: { service: string }) => color(service),
      }),
    ],
  });
  const atQuota = quotas.filter(({ service, quota }) => meanOf(service) > AT_QUOTA * quota);
  const name = scenario === undefined
    ? ""
    : `, ${scenario.framework} ${scenario.path} ${atLevels([scenario])}`;
  const claim = quotas.length === 0
    ? "CPU of each service, without a quota"
    : atQuota.length === 0
    ? "No service sat at its CPU quota"
    : `${
      formatList(
        atQuota.map(({ service, quota }) =>
          `${service} (${formatPercent(meanOf(service) / quota)} of it)`
        ),
      )
    } sat at ${atQuota.length === 1 ? "its CPU quota" : "their CPU quotas"}`;
  return composeFigure({
    title: options.title ?? claim + name,
    subtitle: "CPU cores in use by each service over one run; labels give the window's mean",
    body,
    caption: caption(["one run", "host is the busy time of all cores"], options.context),
  });
}
