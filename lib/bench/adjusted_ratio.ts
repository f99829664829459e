/**
 * A ratio of pairs at equal values of something that disturbs both.
 *
 * @module
 */

import { meanInterval } from "../stats/interval.ts";
import { studentTQuantile } from "../stats/student_t.ts";
import type { Pair } from "../stats/ratio.ts";
import type { Estimate } from "../stats/summary.ts";

/**
 * The geometric mean of `other / base` where the covariate's ratio is 1: intercept of the regression
 * of the ratios' logarithms on those of the covariate, with its t interval of n − 2 degrees of freedom
 * (analysis of covariance; in online experiments known as CUPED: Deng et al., "Improving the
 * sensitivity of online controlled experiments by utilizing pre-experiment data", WSDM 2013). What is
 * compared must not act on the covariate.
 *
 * @param pairs What is compared.
 * @param covariates The disturbance, pair by pair.
 * @throws {RangeError} With less than three pairs.
 */
export function adjustedRatio(
  pairs: readonly Pair[],
  covariates: readonly Pair[],
  confidence = 0.95,
): Estimate {
  const n = pairs.length;
  if (n < 3) throw new RangeError(`Cannot adjust a ratio by ${n} pairs: it takes 3`);
  const logs = (all: readonly Pair[]) => all.map(({ base, other }) => Math.log(other / base));
  const [y, x] = [logs(pairs), logs(covariates)];
  const [yMean, xMean] = [meanInterval(y)!.value, meanInterval(x)!.value];
  const spread = x.reduce((sum, value) => sum + (value - xMean) ** 2, 0);
  const slope = x.reduce((sum, value, i) => sum + (value - xMean) * (y[i]! - yMean), 0) / spread;
  const intercept = yMean - slope * xMean;
  const squares = y.reduce((sum, value, i) => sum + (value - intercept - slope * x[i]!) ** 2, 0);
  const error = Math.sqrt(squares / (n - 2) * (1 / n + xMean ** 2 / spread));
  const half = studentTQuantile((1 + confidence) / 2, n - 2) * error;
  return {
    value: Math.exp(intercept),
    low: Math.exp(intercept - half),
    high: Math.exp(intercept + half),
  };
}
