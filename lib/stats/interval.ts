/** Central values over rounds and ratios of them, with their intervals. */

import { median } from "./percentile.ts";
import { criticalT } from "./probability.ts";
import type { Estimate } from "./summary.ts";

export type Moments = ReturnType<typeof momentsOf>;

/**
 * The moments of some values; the standard deviation is NaN below two of them. `df` are the degrees of
 * freedom of its square.
 */
export function momentsOf(values: readonly number[]) {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { n, mean, deviation: Math.sqrt(squares / (n - 1)), df: n - 1 };
}

/** The mean with its t interval at a two-sided level: none of one value; null without values. */
export function tInterval({ n, mean, deviation, df }: Moments, level: number): Estimate | null {
  if (n === 0) return null;
  if (df < 1) return { value: mean, low: null, high: null };
  const half = criticalT(level, df) * deviation / Math.sqrt(n);
  return { value: mean, low: mean - half, high: mean + half };
}

/**
 * The mean with its t interval, which a single value has not: one run decides nothing. Null without
 * values.
 *
 * @param confidence @default 0.95
 *
 * @example
 * ```ts
 * import { meanInterval } from "poolscope";
 *
 * const { value, low, high } = meanInterval([9, 10, 11])!;
 * console.assert(value === 10 && Math.abs(high! - low! - 2 * 2.484138) < 1e-5);
 * ```
 */
export function meanInterval(values: readonly number[], confidence = 0.95): Estimate | null {
  return tInterval(momentsOf(values), 1 - confidence);
}

/**
 * Coefficient of variation: the standard deviation over the mean. Null below two values and where the
 * mean is 0.
 *
 * @example
 * ```ts
 * import { coefficientOfVariation } from "poolscope";
 *
 * console.assert(coefficientOfVariation([9, 10, 11]) === 0.1);
 * ```
 */
export function coefficientOfVariation(values: readonly number[]): number | null {
  const { n, mean, deviation } = momentsOf(values);
  return n < 2 || mean === 0 ? null : deviation / mean;
}

/**
 * The median with the smallest and largest value. The range of n independent runs covers their
 * median with probability 1 − 2^(1 − n), whatever the distribution: 94% at five runs, 97% at six
 * (David & Nagaraja, Order Statistics, §7.1). A single value has no range; null without values.
 *
 * @example
 * ```ts
 * import { medianRange } from "poolscope";
 *
 * console.assert(medianRange([3, 1, 2])!.value === 2);
 * ```
 */
export function medianRange(values: readonly number[]): Estimate | null {
  const value = median(values);
  if (value === null) return null;
  if (values.length === 1) return { value, low: null, high: null };
  return { value, low: Math.min(...values), high: Math.max(...values) };
}

/** Two values of one round; `other` is compared with `base`. */
export interface Pair {
  base: number;
  other: number;
}

/** The logarithm of `other / base`, both above 0: it makes ×2 and ÷2 equally far from 1. */
export function logRatio({ base, other }: Pair): number {
  if (base > 0 && other > 0) return Math.log(other / base);
  throw new RangeError(`Cannot take ratio ${other}/${base}: both must be above 0`);
}

/** The geometric mean of ratios with the t interval of their logarithms, at a two-sided level. */
export function geometricMean(logs: Moments, level: number): Estimate | null {
  const estimate = tInterval(logs, level);
  if (estimate === null) return null;
  const { value, low, high } = estimate;
  return {
    value: Math.exp(value),
    low: low === null ? null : Math.exp(low),
    high: high === null ? null : Math.exp(high),
  };
}

/**
 * The geometric mean of `other / base` over rounds, with the t interval of the logarithms. Pairing
 * by round removes what both runs of a round share, such as a machine that slowed down meanwhile. Null
 * without pairs; no interval with one.
 *
 * @param confidence Of the interval. @default 0.95
 *
 * @example
 * ```ts
 * import { pairedRatio } from "poolscope";
 *
 * const ratio = pairedRatio([{ base: 100, other: 200 }, { base: 100, other: 50 }])!;
 * console.assert(Math.abs(ratio.value - 1) < 1e-12);
 * ```
 */
export function pairedRatio(pairs: readonly Pair[], confidence = 0.95): Estimate | null {
  return geometricMean(momentsOf(pairs.map(logRatio)), 1 - confidence);
}

/**
 * How the runs of two arms lie to each other: `above` or `below` when every run of the one is beyond
 * every run of the other, else `overlap`; `few` with less than four runs each, `single` with one,
 * `none` without.
 */
export type RangeRelation = "above" | "below" | "overlap" | "few" | "single" | "none";

/** Below this number of runs, ranges that lie apart say little: that is chance in 1 of 10 cases at 3. */
export const MIN_RUNS = 4;

/** Describes how a median lies to another, by the ranges of their `n` runs; this is no test. */
export function compareRanges(
  base: { estimate: Estimate | null; n: number },
  other: { estimate: Estimate | null; n: number },
): RangeRelation {
  const [a, b] = [base.estimate, other.estimate];
  if (a === null || b === null) return "none";
  if (a.low === null || a.high === null || b.low === null || b.high === null) return "single";
  if (base.n < MIN_RUNS || other.n < MIN_RUNS) return "few";
  return b.low > a.high ? "above" : b.high < a.low ? "below" : "overlap";
}
