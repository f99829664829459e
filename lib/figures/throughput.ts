import type { ScenarioSummary } from "../stats/summary.ts";
import { measureWords } from "../wording/claims.ts";
import { axisWords } from "../wording/figures.ts";
import { pathClaim, throughputComparisons } from "./claims.ts";
import type { Figure } from "./figure.ts";
import { levelsFigure } from "./levels.ts";
import { checkFigure, type FigureOptions } from "./options.ts";

/**
 * Throughput against the load, a small plot for each framework with both paths in it.
 *
 * @param scenarios The scenarios of a study.
 * @param options The study itself will do.
 */
export function throughputFigure(
  scenarios: readonly ScenarioSummary[],
  options: FigureOptions = {},
): Figure {
  const check = checkFigure(measureWords.throughput, options.context);
  if (check !== null) return check;
  const comparisons = throughputComparisons(options.ratios ?? []);
  return levelsFigure(
    scenarios,
    {
      estimate: (scenario) => scenario.rps,
      run: (run) => run.rps,
      axis: axisWords.throughput,
      percentile: null,
    },
    pathClaim(measureWords.throughput, comparisons),
    options,
  );
}
