/** A ratio of pairs at equal speed of the machine. */

import { type Pair, pairedRatio } from "../stats/interval.ts";
import { studentTQuantile } from "../stats/probability.ts";
import type { Estimate } from "../stats/summary.ts";

/** Two values of one round, and how fast the machine was at each of them. */
export interface PairWithSpeed extends Pair {
  /** Speeds in any unit, above 0. */
  baseSpeed: number;
  otherSpeed: number;
}

/**
 * The geometric mean of `other / base` where the machine is equally fast at both: the intercept of a
 * line by least squares through the logarithms of the ratios over those of the speeds' ratios
 * (analysis of covariance; Fisher, Statistical Methods for Research Workers, 1932, §49.1).
 *
 * It holds only of a speed that what is compared does not act on: such an effect would be taken for
 * the machine's.
 *
 * @param pairs At least three, with different ratios of speeds.
 * @param confidence Of the interval. @default 0.95
 *
 * @example
 * ```ts
 * import { adjustedRatio } from "./adjusted_ratio.ts";
 *
 * const pair = (speed: number) => ({
 *   base: 100,
 *   other: 90 * speed,
 *   baseSpeed: 1,
 *   otherSpeed: speed,
 * });
 * const ratio = adjustedRatio([1, 1.2, 0.8].map(pair));
 * console.assert(Math.abs(ratio.value - 0.9) < 1e-9);
 * ```
 */
export function adjustedRatio(pairs: readonly PairWithSpeed[], confidence = 0.95): Estimate {
  const y = logRatios(pairs);
  const x = logRatios(pairs.map(({ baseSpeed: base, otherSpeed: other }) => ({ base, other })));
  const n = pairs.length;
  const [meanX, meanY] = [mean(x), mean(y)];
  const squaresX = sumOf(x, (value) => (value - meanX) ** 2);
  if (n < 3 || squaresX === 0) {
    throw new RangeError(`Cannot adjust ${n} pairs: take at least 3, with different speeds`);
  }
  const slope = sumOf(x, (value, i) => (value - meanX) * (y[i]! - meanY)) / squaresX;
  const intercept = meanY - slope * meanX;
  const variance = sumOf(x, (value, i) => (y[i]! - intercept - slope * value) ** 2) / (n - 2);
  const error = Math.sqrt(variance * (1 / n + meanX ** 2 / squaresX));
  const half = studentTQuantile((1 + confidence) / 2, n - 2) * error;
  return {
    value: Math.exp(intercept),
    low: Math.exp(intercept - half),
    high: Math.exp(intercept + half),
  };
}

function logRatios(pairs: readonly Pair[]): number[] {
  return pairs.map((pair) => Math.log(pairedRatio([pair])!.value));
}

function sumOf(values: readonly number[], term: (value: number, i: number) => number): number {
  return values.reduce((sum, value, i) => sum + term(value, i), 0);
}

function mean(values: readonly number[]): number {
  return sumOf(values, (value) => value) / values.length;
}
