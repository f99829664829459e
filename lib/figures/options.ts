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
import { claimWords, measureWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles, legendWords } from "../wording/figures.ts";
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
  return counts.length === 0 ? captionWords.noRun : captionWords.runsPerCell(counts);
}

/** What the spread of several runs is, in a caption; that a single run has none. */
export function describeSpread(
  scenarios: readonly ScenarioSummary[],
  kind: keyof typeof captionWords.spread,
): string[] {
  if (scenarios.some(({ n }) => n > 1)) return [captionWords.spread[kind]];
  return scenarios.some(({ n }) => n === 1) ? [captionWords.noSpread(kind)] : [];
}

/** A caption: its parts, then window, limits and what else holds for the whole study. */
export function caption(parts: string[], context?: StudyContext): string {
  const all = context === undefined ? parts : [
    ...parts,
    captionWords.windows(context.windowS),
    context.database,
    context.network ?? [],
    context.cores === null
      ? []
      : context.cpuSets.length > 0
      ? [captionWords.ownCores]
      : [captionWords.sharedCores(context.cores)],
    context.functionalCheck ? [captionWords.functionalCheck] : [],
  ].flat();
  return captionWords.all(all);
}

/** What every scenario's failed runs died of, one sentence for each cause. */
export function failureSentences(scenarios: readonly ScenarioSummary[]): string[] {
  const sentence = (own: readonly ScenarioSummary[]) => {
    const [first] = own as [ScenarioSummary];
    const { arm, n, failedRuns } = first;
    const cell = claimWords.cell(arm, own);
    return n === 0
      ? claimWords.cellFailed(cell, shortCause(first))
      : claimWords.runsFailed(cell, failedRuns, n + failedRuns, shortCause(first));
  };
  const failed = scenarios.filter(({ failedRuns }) => failedRuns > 0);
  const alike = Map.groupBy(failed, (one) => {
    const extent = one.n === 0 ? "" : `${one.failedRuns} of ${one.n + one.failedRuns}`;
    return [one.arm, extent, shortCause(one)].join("\n");
  });
  return [...alike.values()].map(sentence);
}

function latencyKind(levels: readonly LoadLevel[]): "service" | "response" | "latency" {
  const open = levels.filter(({ users }) => users === null).length;
  if (open === 0) return "service";
  return open === levels.length ? "response" : "latency";
}

/**
 * Which latency scenarios have: service time in a closed loop, response time in an open one.
 *
 * @returns `latency` where there are both.
 */
export function latencyName(levels: readonly LoadLevel[]): string {
  return measureWords[latencyKind(levels)];
}

/** The latency's name as an axis has it: from when to when. */
export function latencyAxis(levels: readonly LoadLevel[]): string {
  return axisWords[latencyKind(levels)];
}

/** What sets the pace of some scenarios: think time in a closed loop, arrivals in an open one. */
export function describeLoop(
  scenarios: readonly Pick<ScenarioSummary, "scenario" | "ownUsers">[],
): string {
  const loops = scenarios.map(({ scenario, ownUsers }) => {
    const { arrivalRate, arrivals, thinkTimeMinS: min, thinkTimeMaxS: max } = scenario;
    if (arrivalRate !== null) return captionWords.openLoop(arrivals);
    if (ownUsers) return captionWords.ownUsers;
    return max === 0 ? captionWords.noThinkTime : captionWords.thinkTime(min, max);
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
    claimWords.cell(arm, few.filter((scenario) => scenario.arm === arm))
  );
  return captionWords.tooFewRequests(percentile, leastRequests(percentile), arms);
}

/** Which scenarios have rejected runs, one sentence for each reason. */
export function rejectionSentences(scenarios: readonly ScenarioSummary[]): string[] {
  const rejected = scenarios.filter(({ rejectedRuns }) => rejectedRuns > 0);
  // What was seen differs from run to run; what stands before the colon is the reason.
  const reasonOf = ({ rejection }: ScenarioSummary) => rejection!.split(": ")[0]!;
  return [...new Set(rejected.map(reasonOf))].map((reason) => {
    const own = rejected.filter((scenario) => reasonOf(scenario) === reason);
    if (own.length === 1) return claimWords.because(describeRejected(own), own[0]!.rejection!);
    const arms = [...new Set(own.map(({ arm }) => arm))];
    const cells = arms.map((arm) => describeRejected(own.filter((one) => one.arm === arm)));
    return claimWords.shared(reason, cells);
  });
}

/** `Shop direct at 100 and 1000 users (3 of 10 runs)`, of one arm. */
function describeRejected(own: readonly ScenarioSummary[]): string {
  const runs = own.reduce((sum, { rejectedRuns }) => sum + rejectedRuns, 0);
  const all = own.reduce((sum, one) => sum + one.n + one.failedRuns + one.rejectedRuns, 0);
  const cell = claimWords.cell(own[0]!.arm, own);
  return runs === all ? cell : claimWords.runsOf(cell, runs, all);
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
    ...(failed ? [{ label: claimWords.failed, color: FAILED, symbol: "times" as const }] : []),
    ...(scenarios.some((scenario) => scenario.rejectedRuns > 0)
      ? [{ label: claimWords.rejected, color: REJECTED, symbol: "triangle" as const }]
      : []),
    ...(lowerBound ? [{ label: legendWords.lowerBound, color: INK, symbol: "ring" as const }] : []),
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
    title: figureTitles.checkOnly(measure),
    body: { markup: "", width: 0, height: 0 },
    caption: captionWords.tooShort(context.windowS),
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
  return composeFigure({ title, body, caption: caption([captionWords.nothing], context) });
}
