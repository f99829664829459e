/**
 * Latency against the arrival rate: what clients wait at equal load on both paths.
 *
 * @module
 */

import type { Plan } from "../plan.ts";
import type { PathRatio, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import type { StudyContext } from "../stats/context.ts";
import { measureWords } from "../wording/claims.ts";
import { axisWords, figureTitles } from "../wording/figures.ts";
import { latencyComparisons, type Percentile, percentileOf, rangeClaim } from "./claims.ts";
import type { Figure } from "./figure.ts";
import { levelsFigure } from "./levels.ts";
import { checkFigure, emptyFigure, tooFewRequests } from "./options.ts";

/** An open loop in numbers; a `Study` that `runOpenLoop()` returned is one. */
export interface OpenLoopResults {
  plan: Plan;
  scenarios: readonly ScenarioSummary[];
  ratios: readonly PathRatio[];
  runs: readonly RunSummary[];
  context: StudyContext;
}

/** The highest percentile up to P95 that every successful scenario has enough requests for. */
export function openLoopPercentile(scenarios: readonly ScenarioSummary[]): Percentile {
  const known = (percentile: Percentile) =>
    scenarios.every((one) => one.n === 0 || percentileOf(one, percentile) !== null);
  return ([95, 90] as const).find(known) ?? 50;
}

/** What the comparison claims, in one sentence without its full stop. */
export function openLoopClaim(
  { scenarios, ratios }: OpenLoopResults,
  percentile: Percentile,
): string {
  const comparisons = latencyComparisons(ratios, scenarios, percentile);
  return rangeClaim(
    measureWords.atEqualRates(measureWords.percentile(percentile, measureWords.response)),
    comparisons,
  );
}

/**
 * Response time against the arrival rate, a small plot for each framework with both paths in it, at
 * the same rates. It counts from when a request was due, so that what queues before a slow service
 * is in it. The scale is logarithmic when the values differ more than twentyfold.
 *
 * @param results What `runOpenLoop()` returned.
 * @param options Which percentile. @default the highest up to P95 that all scenarios allow
 */
export function openLoopFigure(
  results: OpenLoopResults | null,
  options: { percentile?: Percentile; title?: string } = {},
): Figure {
  if (results === null) return emptyFigure(figureTitles.noOpenLoop);
  const { scenarios, plan } = results;
  const check = checkFigure(measureWords.latencyAtEqualLoad, results.context);
  if (check !== null) return check;
  const percentile = options.percentile ?? openLoopPercentile(scenarios);
  const rates = plan.purpose.replace(/^Open loop: /, "").replace(/\.$/, "");
  const few = tooFewRequests(scenarios, percentile);
  return levelsFigure(
    scenarios,
    {
      estimate: (scenario) => percentileOf(scenario, percentile),
      run: (run) => run.responseMs?.[`p${percentile}`] ?? null,
      axis: measureWords.percentile(percentile, axisWords.response),
      percentile,
      note: few === null ? rates : `${rates}; ${few}`,
    },
    openLoopClaim(results, percentile),
    { ...results, title: options.title },
  );
}
