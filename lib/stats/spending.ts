/**
 * How the error that a study may make is spent over its looks at the data.
 *
 * @module
 */

import { normalDensity, normalTail } from "./normal.ts";

/** Points of the grid on which the density of a test statistic is carried from look to look. */
const GRID = 401;

/**
 * Two-sided boundaries of a group-sequential test: at each look the value that the standardised
 * statistic must exceed in size, so that a test of no difference first crosses at look `k` with
 * probability `increments[k]`. Recursive integration after Armitage, McPherson & Rowe (Journal of
 * the Royal Statistical Society A 132, 1969) with the increments of Lan & DeMets ("Discrete
 * sequential boundaries for clinical trials", Biometrika 70(3), 1983).
 *
 * @param information Share of all data at each look, ascending, the last one 1.
 * @param increments Error that may be spent at each look, all above 0.
 */
export function sequentialBoundaries(
  information: readonly number[],
  increments: readonly number[],
): number[] {
  const boundaries: number[] = [];
  // The sum of observations in units in which its variance is the information; its density among
  // the tests that have not crossed yet, weighted by Simpson's rule.
  let sums = [0];
  let weights = [1];
  let before = 0;
  information.forEach((share, look) => {
    const step = Math.sqrt(share - before);
    before = share;
    const crossing = (z: number) => {
      const edge = z * Math.sqrt(share);
      let probability = 0;
      for (let i = 0; i < sums.length; i++) {
        const sum = sums[i]!;
        probability += weights[i]! *
          (normalTail((edge - sum) / step) + normalTail((edge + sum) / step));
      }
      return probability;
    };
    let low = 0;
    let high = 38;
    while (high - low > 1e-10) {
      const middle = (low + high) / 2;
      if (crossing(middle) > increments[look]!) low = middle;
      else high = middle;
    }
    const boundary = (low + high) / 2;
    boundaries.push(boundary);
    const edge = boundary * Math.sqrt(share);
    const width = 2 * edge / (GRID - 1);
    const next = Array.from({ length: GRID }, (_, i) => -edge + i * width);
    weights = next.map((sum, i) => {
      let density = 0;
      for (let j = 0; j < sums.length; j++) {
        density += weights[j]! * normalDensity((sum - sums[j]!) / step) / step;
      }
      return density * width / 3 * (i === 0 || i === GRID - 1 ? 1 : i % 2 === 1 ? 4 : 2);
    });
    sums = next;
  });
  return boundaries;
}

const known = new Map<string, number[]>();

/**
 * The nominal two-sided level at each look of a test of level `alpha`. The error is spent in
 * proportion to the data: alpha · t, the power family of Kim & DeMets ("Design and analysis of
 * group sequential tests based on the type I error spending rate function", Biometrika 74(1), 1987)
 * with exponent 1, close to Pocock's rule. It spends enough at the first look that a large
 * difference is found there, where O'Brien and Fleming's would ask for a t above 20 with five
 * degrees of freedom.
 *
 * A nominal level serves t statistics as it does normal ones, each with its own degrees of freedom:
 * the significance level approach (Jennison & Turnbull, Group Sequential Methods, 2000, §3.8). With
 * one look it is `alpha`.
 *
 * @param looks Rounds at each look, ascending.
 * @param alpha The level, between 0 and 1.
 *
 * @example
 * ```ts
 * import { nominalLevels } from "poolscope";
 *
 * console.assert(nominalLevels([5], 0.05)[0] === 0.05);
 * ```
 */
export function nominalLevels(looks: readonly number[], alpha: number): number[] {
  const last = looks.at(-1);
  const ascending = looks.every((n, i) => n > (looks[i - 1] ?? 0));
  if (last === undefined || !ascending || !(alpha > 0 && alpha < 1)) {
    throw new RangeError(`Cannot spend ${alpha} over looks at ${looks.join(", ")} rounds`);
  }
  if (looks.length === 1) return [alpha];
  const key = `${alpha} ${looks.join()}`;
  let levels = known.get(key);
  if (levels === undefined) {
    const information = looks.map((n) => n / last);
    const increments = information.map((t, i) => alpha * (t - (information[i - 1] ?? 0)));
    levels = sequentialBoundaries(information, increments).map((z) => 2 * normalTail(z));
    known.set(key, levels);
  }
  return levels;
}
