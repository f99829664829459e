/**
 * What figures of a study have in common: their options, captions and the sentences on failures.
 *
 * @module
 */

import type { StudyContext } from "../stats/context.ts";
import { shortCause } from "../stats/summarise.ts";
import type { PathRatio, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import { formatCount, formatList, formatSpan } from "./format.ts";
import { composeFigure, type Figure, type LegendEntry } from "./figure.ts";
import { FAILED, INK, PATH_STYLE } from "./theme.ts";

/**
 * Options of a figure over scenarios. A `Study` has all of these fields but `title`, so that it can
 * be given as it is: `throughputFigure(study.scenarios, study)`.
 */
export interface FigureOptions {
  /** The single runs, drawn as small dots. @default none */
  runs?: readonly RunSummary[];
  /** Pooled over direct, for the claim and the pairing into facets. @default none */
  ratios?: readonly PathRatio[];
  /** The circumstances that the caption names. @default none */
  context?: StudyContext;
  /** A title to use instead of the claim that is computed. @default computed */
  title?: string;
}

/** How many successful runs are behind each scenario: `n = 5 runs per cell`. */
export function describeN(scenarios: readonly ScenarioSummary[]): string {
  const counts = scenarios.filter((scenario) => scenario.n > 0).map((scenario) => scenario.n);
  if (counts.length === 0) return "no run succeeded";
  const span = formatSpan(counts, String);
  return `n = ${span} ${span === "1" ? "run" : "runs"} per cell`;
}

/** A caption: its parts, then window, limits and what else holds for the whole study. */
export function caption(parts: string[], context?: StudyContext): string {
  const all = context === undefined ? parts : [
    ...parts,
    `${context.windowS}\u00a0s windows`,
    context.database,
    context.network ?? [],
    context.cores === null
      ? []
      : context.cpuSets.length > 0
      ? ["cores of its own for each service"]
      : [`${formatCount(context.cores, "core")} shared with the load generator`],
    context.functionalCheck ? ["functional check only, no conclusion"] : [],
  ].flat();
  return `${all.join("; ")}.`;
}

/** What every scenario's failed runs died of, one sentence for each cause. */
export function failureSentences(scenarios: readonly ScenarioSummary[]): string[] {
  const cells = new Map<string, { arm: string; users: number[]; what: string }>();
  for (const scenario of scenarios) {
    const { arm, users, n, failedRuns } = scenario;
    if (failedRuns === 0) continue;
    const extent = n === 0 ? " failed" : `, ${failedRuns} of ${n + failedRuns} runs failed`;
    const what = `${extent}: ${shortCause(scenario)}`;
    const cell = cells.get(`${arm} ${what}`) ?? { arm, users: [], what };
    cell.users.push(users);
    cells.set(`${arm} ${what}`, cell);
  }
  return [...cells.values()].map(({ arm, users, what }) =>
    `${arm} at ${formatList(users.map(String))} users${what}`
  );
}

/**
 * The legend of the two paths, and of failures and lower bounds where there are some.
 *
 * @param scenarios What is drawn.
 * @param extra Further entries, after the paths.
 * @param bounded Whether the figure shows values that can be lower bounds.
 */
export function pathLegend(
  scenarios: readonly ScenarioSummary[],
  extra: LegendEntry[] = [],
  bounded = false,
): LegendEntry[] {
  const paths = (["direct", "pooled"] as const)
    .filter((path) => scenarios.some((scenario) => scenario.path === path))
    .map((path): LegendEntry => ({ label: path, ...PATH_STYLE[path] }));
  const failed = scenarios.some((scenario) => scenario.failedRuns > 0);
  const lowerBound = bounded && scenarios.some((scenario) => scenario.censored);
  return [
    ...paths,
    ...extra,
    ...(failed ? [{ label: "failed", color: FAILED, symbol: "times" as const }] : []),
    ...(lowerBound
      ? [{ label: "≥ lower bound: too many unfinished", color: INK, symbol: "ring" as const }]
      : []),
  ];
}

/**
 * A figure of nothing, which says so: an empty study must not break a report.
 *
 * @param title What there is nothing of.
 * @param context The study's circumstances.
 */
export function emptyFigure(title: string, context?: StudyContext): Figure {
  const body = { markup: "", width: 0, height: 0 };
  return composeFigure({ title, body, caption: caption(["nothing to draw"], context) });
}
