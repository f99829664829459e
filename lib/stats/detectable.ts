/** What a number of rounds can find. */

import { criticalT, memoise, noncentralTCdf } from "./probability.ts";

/** The share of studies in which a difference that is called detectable is found. */
export const POWER = 0.9;

/**
 * The slowdown that plans are made to find, as a ratio: what a study leaves open beyond it is too much
 * to say that it found no difference.
 */
export const RATIO_TO_FIND = 0.8;

/** More rounds than this are no advice. */
const MAX_ROUNDS = 500;

/** Beyond this shift the series of the noncentral t would underflow; the power is at least its power. */
const MAX_SHIFT = 37;

/** Power by the shift: the logarithm of the true ratio over its standard error. */
function powerAt(shift: number, df: number, level: number): number {
  const t = criticalT(level, df);
  const known = Math.min(MAX_SHIFT, shift);
  return 1 - noncentralTCdf(t, df, known) + noncentralTCdf(-t, df, known);
}

/**
 * Power of the paired t test of logarithms (Owen, "A survey of properties and applications of the
 * noncentral t-distribution", Technometrics 10(3), 1968): how often a true ratio is told from 1.
 *
 * @param rounds Pairs, at least 2.
 * @param deviation Standard deviation of the logarithm of a round's ratio.
 * @param ratio The true ratio, above 0.
 * @param level Two-sided level of the test, between 0 and 1.
 *
 * @example
 * ```ts
 * import { comparisonPower } from "poolscope";
 *
 * // Two runs of CV 9%, six rounds, one comparison: 20% slower is found in 92% of studies.
 * const power = comparisonPower(6, 0.09 * Math.SQRT2, 0.8, 0.05);
 * console.assert(power > 0.915 && power < 0.935);
 * ```
 */
export function comparisonPower(
  rounds: number,
  deviation: number,
  ratio: number,
  level: number,
): number {
  return powerAt(Math.abs(Math.log(ratio)) * Math.sqrt(rounds) / deviation, rounds - 1, level);
}

/** Standard errors of a difference that is found with probability {@linkcode POWER}, if any is. */
const detectableShift = memoise((df: number, level: number): number | null => {
  if (powerAt(MAX_SHIFT, df, level) < POWER) return null;
  let low = 0;
  let high = MAX_SHIFT;
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (powerAt(middle, df, level) < POWER) low = middle;
    else high = middle;
  }
  return high;
});

/**
 * The minimum detectable difference, as the ratio below 1 that is told from 1 with probability
 * {@linkcode POWER}: 0.8 means that a slowdown of 20%, and a speedup of 25%, would be found.
 *
 * @param df Degrees of freedom of the deviation, at least 1. @default `rounds - 1`
 */
export function detectableRatio(
  rounds: number,
  deviation: number,
  level: number,
  df = rounds - 1,
): number | null {
  const shift = detectableShift(df, level);
  return shift === null ? null : Math.exp(-shift * deviation / Math.sqrt(rounds));
}

/**
 * How many rounds, at least 2, find a ratio below 1 with probability {@linkcode POWER}; null where more
 * than 500.
 *
 * @param dfOf Degrees of freedom of so many rounds. @default one less than rounds
 */
export function roundsToFind(
  ratio: number,
  deviation: number,
  level: number,
  dfOf: (rounds: number) => number = (rounds) => rounds - 1,
): number | null {
  const finds = (rounds: number) =>
    (detectableRatio(rounds, deviation, level, dfOf(rounds)) ?? 0) >= ratio;
  let [low, high] = [2, MAX_ROUNDS];
  if (!finds(high)) return null;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (finds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
