/**
 * Connections over time.
 *
 * @module
 */

import type { Scenario } from "../scenario.ts";
import { CONNECTION_KINDS, type ConnectionPoint } from "../stats/connections.ts";
import { composeFigure, type Figure } from "./figure.ts";
import { axisWords, captionWords, figureTitles } from "../wording/figures.ts";
import { caption, emptyFigure, type FigureOptions } from "./options.ts";
import { CONNECTION_COLOR, INK } from "./theme.ts";
import { drawTimeLines, meanInWindow, ofScenario, type TimeLevel } from "./time_lines.ts";

/** Options of {@linkcode connectionsFigure}. */
export interface ConnectionsFigureOptions extends Pick<FigureOptions, "context" | "title"> {
  /** The scenario, for PgBouncer's pool size and its name. @default no level is drawn */
  scenario?: Scenario;
}

/**
 * What connections did over one run: those of PostgreSQL that executed, waited for a lock or were idle
 * in a transaction, and PgBouncer's server connections in use with the clients that waited for one.
 * Kinds of which there were none are left out.
 *
 * @param points Rows of `Study.connections`.
 * @param options The scenario for its pool size, the context for the caption.
 */
export function connectionsFigure(
  points: readonly ConnectionPoint[],
  options: ConnectionsFigureOptions = {},
): Figure {
  const { scenario, context } = options;
  const kinds = CONNECTION_KINDS.filter((kind) =>
    points.some((point) => point.kind === kind && point.connections > 0)
  );
  const lines = points.filter(({ kind }) => kinds.includes(kind))
    .map(({ kind, timeS, connections }) => ({ name: kind, timeS, value: connections }));
  if (lines.length === 0) return emptyFigure(figureTitles.noConnection, context);
  const values: TimeLevel[] = scenario?.path === "pooled"
    ? [{ name: "sv_active", value: scenario.defaultPoolSize }]
    : [];
  const mean = (kind: string) => meanInWindow(lines, kind);
  const claim = values.length === 0
    ? figureTitles.executed(mean("active"))
    : figureTitles.inUse(mean("sv_active"), scenario!.defaultPoolSize, mean("cl_waiting"));
  return composeFigure({
    title: options.title ?? ofScenario(claim, scenario),
    subtitle: axisWords.connections,
    body: drawTimeLines(lines, (kind) => CONNECTION_COLOR[kind] ?? INK, {
      title: "default_pool_size",
      values,
    }, 170),
    caption: caption([captionWords.oneRun, captionWords.eachSecond], context),
  });
}
