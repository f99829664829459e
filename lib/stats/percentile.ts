/** The percentile that Poolscope reports. */

/**
 * Place of the nearest-rank percentile in `n` sorted values, from 0: the smallest value with at
 * least `percent` per cent of all values at or below it. It is the inverse of the empirical
 * distribution function, definition 1 of Hyndman & Fan, "Sample Quantiles in Statistical Packages"
 * (The American Statistician 50(4), 1996). It is always a latency that some request really had.
 *
 * @param n How many values there are, at least 1.
 * @param percent Above 0, up to 100.
 *
 * @example
 * ```ts
 * import { nearestRank } from "poolscope";
 *
 * console.assert(nearestRank(20, 95) === 18); // the 19th of 20 values
 * ```
 */
export function nearestRank(n: number, percent: number): number {
  if (!(n >= 1) || !(percent > 0 && percent <= 100)) {
    throw new RangeError(`Cannot rank percentile ${percent} of ${n} values`);
  }
  // percent × n is computed first: 0.07 × 100 is above 7 in floating point, 7 × 100 / 100 is
  // not. The last factor absorbs the rounding of percentages that have decimals.
  const rank = Math.ceil((percent * n) / 100 * (1 - 1e-12));
  return Math.min(n, Math.max(1, rank)) - 1;
}

/**
 * The exact nearest-rank percentile of some values, by {@linkcode nearestRank}; null without values.
 *
 * @example
 * ```ts
 * import { percentile } from "poolscope";
 *
 * console.assert(percentile([15, 20, 35, 40, 50], 40) === 20);
 * ```
 */
export function percentile(values: readonly number[], percent: number): number | null {
  if (values.length === 0) return null;
  return [...values].sort((a, b) => a - b)[nearestRank(values.length, percent)]!;
}

/** The median: the middle value, or the mean of the two in the middle. Null without values. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
