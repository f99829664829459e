/**
 * What a number of rounds can find.
 *
 * @module
 */

import { noncentralTCdf } from "./noncentral_t.ts";
import { studentTQuantile } from "./student_t.ts";

/** The share of studies in which a difference that is called detectable is found. */
export const POWER = 0.9;

/**
 * The slowdown that plans are made to find, as a ratio: what a study leaves open beyond it is too much
 * to say that it found no difference.
 */
export const RATIO_TO_FIND = 0.8;

/** More rounds than this are no advice. */
const MAX_ROUNDS = 500;

const criticals = new Map<string, number>();

/**
 * The value that a t statistic must exceed in size at a two-sided level.
 *
 * @param level Two-sided, between 0 and 1.
 * @param degrees Degrees of freedom, at least 1.
 */
export function criticalT(level: number, degrees: number): number {
  const key = `${level} ${degrees}`;
  let value = criticals.get(key);
  if (value === undefined) {
    value = studentTQuantile(1 - level / 2, degrees);
    criticals.set(key, value);
  }
  return value;
}

/**
 * Power of the paired t test of logarithms (Owen, "A survey of properties and applications of the
 * noncentral t-distribution", Technometrics 10(3), 1968): how often a true ratio is told from 1.
 *
 * @param rounds Pairs, at least 2.
 * @param deviation Standard deviation of the logarithm of a round's ratio.
 * @param ratio The true ratio, above 0.
 * @param level Two-sided level of the test.
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
  const t = criticalT(level, rounds - 1);
  return powerAt(Math.abs(Math.log(ratio)) * Math.sqrt(rounds) / deviation, rounds, t);
}

/** Power by the shift: the logarithm of the true ratio over its standard error. */
function powerAt(shift: number, rounds: number, t: number): number {
  // Beyond a shift of 37 the series would underflow; the power is then at least this.
  const known = Math.min(37, shift);
  return 1 - noncentralTCdf(t, rounds - 1, known) + noncentralTCdf(-t, rounds - 1, known);
}

const shifts = new Map<string, number | null>();

/**
 * How many standard errors a true difference must measure to be found with probability
 * {@linkcode POWER}; null when none would be, as with two rounds at a small level.
 *
 * @param rounds Pairs, at least 2.
 * @param level Two-sided level of the test.
 */
export function detectableShift(rounds: number, level: number): number | null {
  const key = `${rounds} ${level}`;
  const known = shifts.get(key);
  if (known !== undefined) return known;
  const t = criticalT(level, rounds - 1);
  let low = 0;
  let high = 37;
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (powerAt(middle, rounds, t) < POWER) low = middle;
    else high = middle;
  }
  const shift = powerAt(37, rounds, t) < POWER ? null : high;
  shifts.set(key, shift);
  return shift;
}

/**
 * The minimum detectable difference, as the ratio below 1 that is told from 1 with probability
 * {@linkcode POWER}: 0.8 means that a slowdown of 20%, and a speedup of 25%, would be found.
 *
 * @param rounds Pairs, at least 2.
 * @param deviation Standard deviation of the logarithm of a round's ratio.
 * @param level Two-sided level of the test.
 * @returns Null where no difference would be found.
 */
export function detectableRatio(rounds: number, deviation: number, level: number): number | null {
  const shift = detectableShift(rounds, level);
  return shift === null ? null : Math.exp(-shift * deviation / Math.sqrt(rounds));
}

/**
 * How many rounds in all would find a ratio with probability {@linkcode POWER} in the same noise.
 *
 * @param ratio The ratio to tell from 1, below 1.
 * @param deviation Standard deviation of the logarithm of a round's ratio.
 * @param level Two-sided level of the test.
 * @returns Null where that takes more than 500 rounds.
 *
 * @example
 * ```ts
 * import { roundsToFind } from "./detectable.ts";
 *
 * // Two runs of CV 9%: six rounds find 20% slower, as in `comparisonPower`; CV 18% takes more.
 * console.assert(roundsToFind(0.8, 0.09 * Math.SQRT2, 0.05) === 6);
 * console.assert(roundsToFind(0.8, 0.18 * Math.SQRT2, 0.05)! > 15);
 * ```
 */
export function roundsToFind(ratio: number, deviation: number, level: number): number | null {
  const finds = (rounds: number) => (detectableRatio(rounds, deviation, level) ?? 0) >= ratio;
  let [low, high] = [2, MAX_ROUNDS];
  if (!finds(high)) return null;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (finds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
