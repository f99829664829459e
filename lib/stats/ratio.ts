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

/** What a ratio with its interval allows to say. */
export type Verdict = "higher" | "lower" | "unclear" | "single" | "none";

/**
 * Reads a ratio: `higher` or `lower` only when its interval excludes 1, `single` when one round
 * gave no interval, `none` when there is no ratio.
 *
 * @example
 * ```ts
 * import { ratioVerdict } from "poolscope";
 *
 * console.assert(ratioVerdict({ value: 1.2, low: 0.9, high: 1.6 }) === "unclear");
 * ```
 */
export function ratioVerdict(ratio: Estimate | null): Verdict {
  if (ratio === null) return "none";
  if (ratio.low === null || ratio.high === null) return "single";
  return ratio.low > 1 ? "higher" : ratio.high < 1 ? "lower" : "unclear";
}

/**
 * Compares two medians by the ranges of their runs: `higher` or `lower` only when every run of
 * `other` lies beyond every run of `base` and each has at least four. If both came from one
 * distribution, that would happen with probability 2 / C(8, 4) = 2.9 % at four runs each and less
 * with more (the extreme of the exact rank-sum test: Mann & Whitney, 1947).
 *
 * @param base The median with its range, and how many runs it has.
 * @param other Likewise.
 */
export function rangeVerdict(
  base: { estimate: Estimate | null; n: number },
  other: { estimate: Estimate | null; n: number },
): Verdict {
  const [a, b] = [base.estimate, other.estimate];
  if (a === null || b === null) return "none";
  if (a.low === null || a.high === null || b.low === null || b.high === null) return "single";
  if (base.n < 4 || other.n < 4) return "unclear";
  return b.low > a.high ? "higher" : b.high < a.low ? "lower" : "unclear";
}
