import type { ScenarioSummary } from "../stats/summary.ts";
import { measureWords } from "../wording/claims.ts";
import { latencyComparisons, type Percentile, percentileOf, rangeClaim } from "./claims.ts";
import type { Figure } from "./figure.ts";
import { levelsFigure } from "./levels.ts";
import {
  checkFigure,
  type FigureOptions,
  latencyAxis,
  latencyName,
  tooFewRequests,
} from "./options.ts";

/** Options of {@linkcode latencyFigure}. */
export interface LatencyFigureOptions extends FigureOptions {
  /** Which percentile. @default 95 */
  percentile?: Percentile;
}

/**
 * A latency percentile against the load, a small plot for each framework with both paths in it. The
 * scale is logarithmic when the values differ more than twentyfold.
 *
 * @param scenarios The scenarios of a study.
 * @param options The study itself will do; with a percentile: `{ ...study, percentile: 99 }`.
 */
export function latencyFigure(
  scenarios: readonly ScenarioSummary[],
  options: LatencyFigureOptions = {},
): Figure {
  const percentile = options.percentile ?? 95;
  const check = checkFigure(measureWords.latency, options.context);
  if (check !== null) return check;
  const comparisons = latencyComparisons(options.ratios ?? [], scenarios, percentile);
  return levelsFigure(
    scenarios,
    {
      estimate: (scenario) => percentileOf(scenario, percentile),
      run: (run) => (run.responseMs ?? run.serviceMs)[`p${percentile}`],
      axis: measureWords.percentile(percentile, latencyAxis(scenarios)),
      percentile,
      note: tooFewRequests(scenarios, percentile),
    },
    rangeClaim(measureWords.percentile(percentile, latencyName(scenarios)), comparisons),
    options,
  );
}
