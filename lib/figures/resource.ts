/**
 * CPU over time.
 *
 * @module
 */

import { armName, type Scenario } from "../scenario.ts";
import type { CpuPoint } from "../stats/cpu.ts";
import { composeFigure, type Figure } from "./figure.ts";
import { atLevels, formatList, formatPercent } from "../wording/format.ts";
import { caption, emptyFigure, type FigureOptions } from "./options.ts";
import { INK, SERVICE_COLOR } from "./theme.ts";
import { drawTimeLines, meanInWindow } from "./time_lines.ts";

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
  const quotas = services.flatMap((service) => {
    const quota = quotaOf(service, scenario);
    return quota === null ? [] : [{ service, quota }];
  });
  const lines = points.map(({ service, timeS, cores }) => ({
    name: service,
    timeS,
    value: cores,
  }));
  const body = drawTimeLines(lines, (service) => SERVICE_COLOR[service] ?? INK, {
    title: "quota",
    values: quotas.map(({ service, quota }) => ({ name: service, value: quota })),
  });
  const meanOf = (service: string) => meanInWindow(lines, service);
  const atQuota = quotas.filter(({ service, quota }) => meanOf(service) > AT_QUOTA * quota);
  const name = scenario === undefined ? "" : `, ${armName(scenario)} ${atLevels([scenario])}`;
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
