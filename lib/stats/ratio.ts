/**
 * Comparisons as ratios.
 *
 * @module
 */

import { meanInterval } from "./interval.ts";
import type { Estimate } from "./summary.ts";

/** Two values of one round. */
export interface Pair {
  /** What is compared with. */
  base: number;
  /** What is compared. */
  other: number;
}

/**
 * The geometric mean of `other / base` over rounds, with the t interval of the logarithms. Pairing
 * by round removes what both runs of a round share, such as a machine that slowed down meanwhile;
 * logarithms make ×2 and ÷2 equally far from 1.
 *
 * @returns Null without pairs; no interval with one.
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
  for (const { base, other } of pairs) {
    if (!(base > 0 && other > 0)) {
      throw new RangeError(`Cannot take ratio ${other}/${base}: both must be above 0`);
    }
  }
  const logs = meanInterval(pairs.map(({ base, other }) => Math.log(other / base)), confidence);
  if (logs === null) return null;
  return {
    value: Math.exp(logs.value),
    low: logs.low === null ? null : Math.exp(logs.low),
    high: logs.high === null ? null : Math.exp(logs.high),
  };
}

/**
 * How the runs of two arms lie to each other: `above` or `below` when every run of the one is beyond
 * every run of the other, else `overlap`; `few` with less than four runs each, `single` with one,
 * `none` without.
 */
export type RangeRelation = "above" | "below" | "overlap" | "few" | "single" | "none";

/** Below this number of runs, ranges that lie apart say little: that is chance in 1 of 10 cases at 3. */
export const MIN_RUNS = 4;

/**
 * Describes two medians by the ranges of their runs. This is no test: it is not corrected for the
 * number of such descriptions that a report makes.
 *
 * @param base The median with its range, and how many runs it has.
 * @param other Likewise.
 * @returns How `other` lies to `base`.
 */
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
