/**
 * CPU over time.
 *
 * @module
 */

import type { Scenario } from "../scenario.ts";
import type { CpuPoint } from "../stats/cpu.ts";
import { composeFigure, type Figure } from "./figure.ts";
import { axisWords, captionWords, figureTitles, legendWords } from "../wording/figures.ts";
import { caption, emptyFigure, type FigureOptions } from "./options.ts";
import { INK, SERVICE_COLOR } from "./theme.ts";
import { drawTimeLines, meanInWindow, ofScenario } from "./time_lines.ts";

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
  if (points.length === 0) return emptyFigure(figureTitles.noCpu, options.context);
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
    title: legendWords.quota,
    values: quotas.map(({ service, quota }) => ({ name: service, value: quota })),
  });
  const meanOf = (service: string) => meanInWindow(lines, service);
  const atQuota = quotas.filter(({ service, quota }) => meanOf(service) > AT_QUOTA * quota);
  const claim = quotas.length === 0
    ? figureTitles.noQuota
    : atQuota.length === 0
    ? figureTitles.noneAtQuota
    : figureTitles.atQuota(
      atQuota.map(({ service, quota }) => ({ service, share: meanOf(service) / quota })),
    );
  return composeFigure({
    title: options.title ?? ofScenario(claim, scenario),
    subtitle: axisWords.cpu,
    body,
    caption: caption([captionWords.oneRun, captionWords.host], options.context),
  });
}
