/**
 * What figures of a study have in common: their options, captions and the sentences on failures.
 *
 * @module
 */

import type { LoadLevel } from "../scenario.ts";
import type { StudyContext } from "../stats/context.ts";
import { leastRequests } from "../stats/latency.ts";
import { isLowerBound, shortCause } from "../stats/summarise.ts";
import type { PathRatio, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import { type Percentile, percentileOf } from "./claims.ts";
import { atLevels, formatCount, formatList, formatSpan } from "../wording/format.ts";
import { composeFigure, type Figure, type LegendEntry } from "./figure.ts";
import { FAILED, INK, PATH_STYLE, REJECTED } from "./theme.ts";

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

/** How many runs that count are behind each scenario: `n = 5 runs per cell`. */
export function describeN(scenarios: readonly ScenarioSummary[]): string {
  const counts = scenarios.filter((scenario) => scenario.n > 0).map((scenario) => scenario.n);
  if (counts.length === 0) return "no run counts";
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
  const cells = new Map<string, { arm: string; levels: LoadLevel[]; what: string }>();
  for (const scenario of scenarios) {
    const { arm, n, failedRuns } = scenario;
    if (failedRuns === 0) continue;
    const extent = n === 0 ? " failed" : `, ${failedRuns} of ${n + failedRuns} runs failed`;
    const what = `${extent}: ${shortCause(scenario)}`;
    const cell = cells.get(`${arm} ${what}`) ?? { arm, levels: [], what };
    cell.levels.push(scenario);
    cells.set(`${arm} ${what}`, cell);
  }
  return [...cells.values()].map(({ arm, levels, what }) => `${arm} ${atLevels(levels)}${what}`);
}

/**
 * Which latency scenarios have: service time in a closed loop, response time in an open one.
 *
 * @returns `latency` where there are both.
 */
export function latencyName(levels: readonly LoadLevel[]): string {
  const open = levels.filter(({ users }) => users === null).length;
  if (open === 0) return "service time";
  return open === levels.length ? "response time" : "latency";
}

/** The latency's name as an axis has it: from when to when. */
export function latencyAxis(levels: readonly LoadLevel[]): string {
  const name = latencyName(levels);
  if (name === "service time") return "service time of correct answers in ms";
  return name === "response time"
    ? "response time in ms, from when a request was due"
    : "latency in ms: service time at users, response time at arrival rates";
}

/** What sets the pace of some scenarios: think time in a closed loop, arrivals in an open one. */
export function describeLoop(
  scenarios: readonly Pick<ScenarioSummary, "scenario" | "ownUsers">[],
): string {
  const loops = scenarios.map(({ scenario, ownUsers }) => {
    const { arrivalRate, arrivals, thinkTimeMinS: min, thinkTimeMaxS: max } = scenario;
    if (arrivalRate !== null) return `open loop, ${arrivals} arrivals`;
    if (ownUsers) return "closed loop, paced by its own locustfile";
    if (max === 0) return "closed loop, no think time";
    return `closed loop, think time ${min === max ? min : `${min} to ${max}`}\u00a0s`;
  });
  return [...new Set(loops)].join("; ");
}

/** Which scenarios have too few requests for a percentile; null where all have enough. */
export function tooFewRequests(
  scenarios: readonly ScenarioSummary[],
  percentile: Percentile,
): string | null {
  const few = scenarios.filter((scenario) =>
    scenario.n > 0 && percentileOf(scenario, percentile) === null
  );
  if (few.length === 0) return null;
  const arms = [...new Set(few.map(({ arm }) => arm))].map((arm) =>
    `${arm} ${atLevels(few.filter((scenario) => scenario.arm === arm))}`
  );
  return `P${percentile} needs ${
    leastRequests(percentile).toLocaleString("en")
  } requests per run, and is not shown where there were fewer: ${formatList(arms)}`;
}

/** Which scenarios have rejected runs, one sentence for each reason. */
export function rejectionSentences(scenarios: readonly ScenarioSummary[]): string[] {
  const rejected = scenarios.filter(({ rejectedRuns }) => rejectedRuns > 0);
  // What was seen differs from run to run; what stands before the colon is the reason.
  const reasonOf = ({ rejection }: ScenarioSummary) => rejection!.split(": ")[0]!;
  return [...new Set(rejected.map(reasonOf))].map((reason) => {
    const own = rejected.filter((scenario) => reasonOf(scenario) === reason);
    if (own.length === 1) return `${describeRejected(own)}: ${own[0]!.rejection}`;
    const arms = [...new Set(own.map(({ arm }) => arm))];
    const cells = arms.map((arm) => describeRejected(own.filter((one) => one.arm === arm)));
    return `${reason}: ${formatList(cells)}`;
  });
}

/** `Shop direct at 100 and 1000 users (3 of 10 runs)`, of one arm. */
function describeRejected(own: readonly ScenarioSummary[]): string {
  const runs = own.reduce((sum, { rejectedRuns }) => sum + rejectedRuns, 0);
  const all = own.reduce((sum, one) => sum + one.n + one.failedRuns + one.rejectedRuns, 0);
  return `${own[0]!.arm} ${atLevels(own)}${runs === all ? "" : ` (${runs} of ${all} runs)`}`;
}

/**
 * The legend of the two paths, and of failures and lower bounds where there are some.
 *
 * @param scenarios What is drawn.
 * @param extra Further entries, after the paths.
 * @param percentile The percentile that the figure shows, which can be a lower bound. @default none
 */
export function pathLegend(
  scenarios: readonly ScenarioSummary[],
  extra: LegendEntry[] = [],
  percentile: number | null = null,
): LegendEntry[] {
  const paths = (["direct", "pooled"] as const)
    .filter((path) => scenarios.some((scenario) => scenario.path === path))
    .map((path): LegendEntry => ({ label: path, ...PATH_STYLE[path] }));
  const failed = scenarios.some((scenario) => scenario.failedRuns > 0);
  const lowerBound = percentile !== null &&
    scenarios.some((scenario) => scenario.n > 0 && isLowerBound(scenario, percentile));
  return [
    ...paths,
    ...extra,
    ...(failed ? [{ label: "failed", color: FAILED, symbol: "times" as const }] : []),
    ...(scenarios.some((scenario) => scenario.rejectedRuns > 0)
      ? [{ label: "rejected", color: REJECTED, symbol: "triangle" as const }]
      : []),
    ...(lowerBound
      ? [{ label: "≥ lower bound: too many unfinished", color: INK, symbol: "ring" as const }]
      : []),
  ];
}

/**
 * What stands for a figure that compares in a functional check: its windows are too short for that.
 *
 * @param measure What is not compared.
 * @param context The study's circumstances.
 * @returns Null for a study that is no functional check.
 */
export function checkFigure(measure: string, context?: StudyContext): Figure | null {
  if (!context?.functionalCheck) return null;
  return composeFigure({
    title: `Functional check only: ${measure} is not compared`,
    body: { markup: "", width: 0, height: 0 },
    caption: `Windows of ${context.windowS}\u00a0s are too short for that.`,
  });
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
