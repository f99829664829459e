/** What figures of a study have in common: options, measures, captions, sentences on failures. */

import { levelLabel, type LoadLevel, PATHS } from "../scenario.ts";
import type { StudyContext } from "../stats/context.ts";
import { leastRequests } from "../stats/latency.ts";
import { isLowerBound, shortCause } from "../stats/summarise.ts";
import type { Estimate, PathRatio, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { axisWords, captionWords, figureTitles, legendWords } from "../wording/figures.ts";
import {
  latencyComparisons,
  pathClaim,
  type Percentile,
  percentileOf,
  rangeClaim,
  throughputComparisons,
} from "./claims.ts";
import { composeFigure, type Drawing, type Figure, type LegendEntry } from "./figure.ts";
import { INK, OUTCOME_STYLE, PATH_STYLE } from "./style.ts";
import { formatBound } from "../wording/format.ts";

/**
 * Options of a figure over scenarios. A `Study` has all of these fields but `title`, so that it can
 * be given as it is: `throughputFigure(study.scenarios, study)`.
 */
export interface FigureOptions {
  /** The single runs, drawn as small dots. @default none */
  runs?: readonly RunSummary[];
  /** The scenarios, where these are not what is drawn. @default none */
  scenarios?: readonly ScenarioSummary[];
  /** Pooled over direct, for the claim and the pairing into facets. @default none */
  ratios?: readonly PathRatio[];
  /** The circumstances that the caption names. @default none */
  context?: StudyContext;
  /** A title to use instead of the claim that is computed. @default computed */
  title?: string;
}

/** The windows of a study, or the slices of arms that took turns. */
export function describeWindows(
  { windowS, turns }: Pick<StudyContext, "windowS" | "turns">,
): string {
  return turns === null ? captionWords.windows(windowS) : captionWords.slices(turns.sliceS);
}

/**
 * A caption: its own parts, as far as they are texts, then window, limits and what else holds for the
 * whole study.
 */
export function caption(parts: readonly (string | null | false)[], context?: StudyContext): string {
  const all = [...parts];
  if (context !== undefined) {
    const { database, network, cores, cpuSets, functionalCheck } = context;
    const shared = cores !== null && captionWords.sharedCores(cores);
    all.push(
      describeWindows(context),
      database,
      network,
      cores !== null && cpuSets.length > 0 ? captionWords.ownCores : shared,
      functionalCheck && captionWords.functionalCheck,
    );
  }
  return captionWords.all(all.filter((part) => typeof part === "string"));
}

/** The loops of some scenarios: closed at numbers of users, open at arrival rates. */
export function loopsOf(levels: readonly LoadLevel[]): "closed" | "open" | "both" {
  const open = levels.filter(({ users }) => users === null).length;
  if (open === 0) return "closed";
  return open === levels.length ? "open" : "both";
}

/** Service time in a closed loop, response time in an open one, `latency` where there are both. */
export function latencyName(levels: readonly LoadLevel[]): string {
  const { service: closed, response: open, latency: both } = measureWords;
  return { closed, open, both }[loopsOf(levels)];
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

function cellsOf(
  scenarios: readonly ScenarioSummary[],
  describe = (own: readonly ScenarioSummary[]) => claimWords.cell(own[0]!.arm, own),
): string[] {
  return [...Map.groupBy(scenarios, ({ arm }) => arm).values()].map((own) => describe(own));
}

/** Which scenarios have too few requests for a percentile; null where all have enough. */
export function tooFewRequests(
  scenarios: readonly ScenarioSummary[],
  percentile: Percentile,
): string | null {
  const few = scenarios.filter((one) => one.n > 0 && percentileOf(one, percentile) === null);
  if (few.length === 0) return null;
  return captionWords.tooFewRequests(percentile, leastRequests(percentile), cellsOf(few));
}

/** What every scenario's failed runs died of, one sentence for each cause. */
export function failureSentences(scenarios: readonly ScenarioSummary[]): string[] {
  const failed = scenarios.filter(({ failedRuns }) => failedRuns > 0);
  const alike = Map.groupBy(failed, (one) => {
    const extent = one.n === 0 ? "" : `${one.failedRuns} of ${one.n + one.failedRuns}`;
    return [one.arm, extent, shortCause(one)].join("\n");
  });
  return [...alike.values()].map((own) => {
    const { arm, n, failedRuns } = own[0]!;
    const [cell, cause] = [claimWords.cell(arm, own), shortCause(own[0]!)];
    return n === 0
      ? claimWords.cellFailed(cell, cause)
      : claimWords.runsFailed(cell, failedRuns, n + failedRuns, cause);
  });
}

/** Which scenarios have rejected runs, one sentence for each reason. */
export function rejectionSentences(scenarios: readonly ScenarioSummary[]): string[] {
  const rejected = scenarios.filter(({ rejectedRuns }) => rejectedRuns > 0);
  // What was seen differs from run to run; what stands before the colon is the reason.
  const byReason = Map.groupBy(rejected, ({ rejection }) => rejection!.split(": ")[0]!);
  return [...byReason].map(([reason, own]) => {
    const cells = cellsOf(own, describeRejected);
    return own.length === 1
      ? claimWords.because(cells[0]!, own[0]!.rejection!)
      : claimWords.shared(reason, cells);
  });
}

/** `Shop direct at 100 and 1000 users (3 of 10 runs)`, of one arm. */
function describeRejected(own: readonly ScenarioSummary[]): string {
  const runs = own.reduce((sum, { rejectedRuns }) => sum + rejectedRuns, 0);
  const all = own.reduce((sum, one) => sum + one.n + one.failedRuns + one.rejectedRuns, 0);
  const cell = claimWords.cell(own[0]!.arm, own);
  return runs === all ? cell : claimWords.runsOf(cell, runs, all);
}

const OUTCOMES = ["failed", "rejected"] as const;

/** How the runs of a scenario ended that do not count. */
export function outcomesOf(
  { failedRuns, rejectedRuns }: Pick<ScenarioSummary, "failedRuns" | "rejectedRuns">,
): typeof OUTCOMES[number][] {
  const runs = { failed: failedRuns, rejected: rejectedRuns };
  return OUTCOMES.filter((outcome) => runs[outcome] > 0);
}

export function outcomeLegend(scenarios: readonly ScenarioSummary[]): LegendEntry[] {
  const outcomes = new Set(scenarios.flatMap(outcomesOf));
  return OUTCOMES.filter((outcome) => outcomes.has(outcome))
    .map((outcome) => ({ label: claimWords[outcome], mark: { ...OUTCOME_STYLE[outcome], r: 4 } }));
}

/** A figure that says what there is nothing of: an empty study must not break a report. */
export function emptyFigure(title: string, context?: StudyContext): Figure {
  return composeFigure({ title, caption: caption([captionWords.nothing], context) });
}

/** Instead of a figure without rows, and in a functional check, which is too short to compare. */
export function noticeFigure(
  rows: readonly unknown[],
  title: string,
  measure: string,
  context?: StudyContext,
): Figure | null {
  if (rows.length === 0) return emptyFigure(title, context);
  if (!context?.functionalCheck) return null;
  return composeFigure({
    title: figureTitles.checkOnly(measure),
    caption: captionWords[context.turns === null ? "tooShort" : "tooFewSlices"](context.windowS),
  });
}

export interface Measure {
  name: string;
  /** The value of a scenario; null when no run succeeded. */
  estimate: (scenario: ScenarioSummary) => Estimate | null;
  run: (run: RunSummary) => number | null;
  axis: string;
  /** The percentile that is drawn, which can be a lower bound; null for another measure. */
  percentile: Percentile | null;
  note: string | null;
  claim: (ratios: readonly PathRatio[]) => string;
}

export const THROUGHPUT: Measure = {
  name: measureWords.throughput,
  estimate: ({ rps }) => rps,
  run: ({ rps }) => rps,
  axis: axisWords.throughput,
  percentile: null,
  note: null,
  claim: (ratios) => pathClaim(measureWords.throughput, throughputComparisons(ratios)),
};

/** A percentile of the latency that these scenarios have. */
export function latencyMeasure(
  scenarios: readonly ScenarioSummary[],
  percentile: Percentile,
): Measure {
  const name = measureWords.percentile(percentile, latencyName(scenarios));
  return {
    name: measureWords.latency,
    estimate: (scenario) => percentileOf(scenario, percentile),
    run: ({ responseMs, serviceMs }) => (responseMs ?? serviceMs)[`p${percentile}`],
    axis: measureWords.percentile(percentile, axisWords.latency[loopsOf(scenarios)]),
    percentile,
    note: tooFewRequests(scenarios, percentile),
    claim: (ratios) => rangeClaim(name, latencyComparisons(ratios, scenarios, percentile)),
  };
}

/** The values of scenarios as they are drawn, with their texts; null where there is none. */
export function valuesOf(scenarios: readonly ScenarioSummary[], { estimate, percentile }: Measure) {
  return scenarios.map((scenario) => {
    const { arm, path } = scenario;
    const none: Record<keyof Estimate, number | null> = { value: null, low: null, high: null };
    const known = estimate(scenario) ?? none;
    const bound = percentile !== null && isLowerBound(scenario, percentile);
    const text = known.value === null ? "" : formatBound(known.value, bound);
    const style = PATH_STYLE[path];
    const level = levelLabel(scenario);
    // Where the value with its interval ends.
    const end = known.high ?? known.value;
    return { scenario, arm, level, path, ...style, ...known, end, bound, text };
  });
}

export type Value = ReturnType<typeof valuesOf>[number];

/** Intervals beyond twice the largest value would flatten everything else. */
export function scaleOf(values: readonly Value[], logAbove: number) {
  const known = values.flatMap(({ value }) => value ?? []);
  const largest = Math.max(...known, 0) || 1;
  const smallest = Math.min(...known.filter((value) => value > 0), largest);
  const isLog = largest / smallest > logAbove;
  const ends = values.flatMap(({ low, high }) => [low ?? [], high ?? []].flat());
  const top = Math.min(Math.max(largest, ...ends), 2 * largest);
  const bottom = isLog ? Math.max(Math.min(smallest, ...ends), smallest / 3) / 1.5 : 0;
  const domain: [number, number] = [bottom, top];
  return { isLog, domain, isClipped: ends.some((end) => end < bottom || end > top) };
}

/** The values of which runs do not count, once for each way in which these ended. */
export function outcomeRows<V extends Value>(values: readonly V[]) {
  return values.flatMap((value) => {
    const isWhole = value.scenario.n === 0;
    return outcomesOf(value.scenario).slice(0, isWhole ? 1 : 2)
      .map((outcome, i) => ({ ...value, outcome, isWhole, i }));
  });
}

interface Drawn {
  body: Drawing;
  isLog: boolean;
  /** Whether spreads reach beyond the scale. */
  isClipped: boolean;
  /** The end of the subtitle. */
  reading: string;
  legend?: LegendEntry[];
  /** The mark of both paths. @default {each one's own} */
  symbol?: "square";
}

/** The two paths, further entries, what failed or was rejected, and lower bounds. */
function pathLegend(
  scenarios: readonly ScenarioSummary[],
  percentile: number | null,
  { legend = [], symbol }: Drawn,
): LegendEntry[] {
  const hasBound = percentile !== null &&
    scenarios.some((scenario) => scenario.n > 0 && isLowerBound(scenario, percentile));
  const bound = { r: 4.5, fill: "#fff", stroke: INK };
  return [
    ...PATHS.filter((path) => scenarios.some((scenario) => scenario.path === path))
      .map((path) => ({
        label: path,
        mark: { fill: PATH_STYLE[path].color, symbol: symbol ?? PATH_STYLE[path].symbol },
      })),
    ...legend,
    ...outcomeLegend(scenarios),
    ...(hasBound ? [{ label: legendWords.lowerBound, mark: bound }] : []),
  ];
}

/** A measure over scenarios with its claim and its caption, drawn where there is something to compare. */
export function measureFigure(
  scenarios: readonly ScenarioSummary[],
  measure: Measure,
  { ratios = [], context, title }: FigureOptions,
  draw: () => Drawn,
): Figure {
  const notice = noticeFigure(scenarios, figureTitles.noRun, measure.name, context);
  if (notice !== null) return notice;
  const drawn = draw();
  const spread = measure.percentile === null ? "interval" : "range";
  const byBlock = spread === "interval" && ratios.some(({ blocks }) => blocks > 0);
  const counts = scenarios.map(({ n }) => n).filter((n) => n > 0);
  const noSpread = counts.length > 0 && captionWords.noSpread(spread);
  return composeFigure({
    title: title ?? measure.claim(ratios),
    subtitle: axisWords.measure(measure.axis, drawn.isLog, drawn.reading),
    legend: pathLegend(scenarios, measure.percentile, drawn),
    body: drawn.body,
    failures: failureSentences(scenarios),
    rejections: rejectionSentences(scenarios),
    caption: caption([
      counts.length === 0 ? captionWords.noRun : captionWords.runsPerCell(counts),
      counts.some((n) => n > 1) ? captionWords.spread[byBlock ? "blocks" : spread] : noSpread,
      measure.percentile !== null && describeLoop(scenarios),
      measure.note,
      drawn.isClipped && captionWords.longSpread(spread),
    ], context),
  });
}
