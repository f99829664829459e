/** Spends the error that a study may make over its looks at the data. */

import { memoise, normalDensity, normalTail } from "./probability.ts";

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
      const crosses = (sum: number) =>
        normalTail((edge - sum) / step) + normalTail((edge + sum) / step);
      return sums.reduce((total, sum, i) => total + weights[i]! * crosses(sum), 0);
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
      const density = sums.reduce(
        (total, from, j) => total + weights[j]! * normalDensity((sum - from) / step) / step,
        0,
      );
      return density * width / 3 * (i === 0 || i === GRID - 1 ? 1 : i % 2 === 1 ? 4 : 2);
    });
    sums = next;
  });
  return boundaries;
}

/** Levels at looks of which the last has all data; see {@linkcode nominalLevels}. */
const levelsOf = memoise((looks: readonly number[], alpha: number, exponent: number): number[] => {
  const information = looks.map((n) => n / looks.at(-1)!);
  const spent = information.map((t) => alpha * t ** exponent);
  const increments = spent.map((total, i) => total - (spent[i - 1] ?? 0));
  return sequentialBoundaries(information, increments).map((z) => 2 * normalTail(z));
});

/**
 * The nominal two-sided level at each look of a test of level `alpha`. Of the error, alpha · t to the
 * power of `exponent` is spent with a share t of the data: the power family of Kim & DeMets ("Design and
 * analysis of group sequential tests based on the type I error spending rate function", Biometrika
 * 74(1), 1987).
 *
 * - 1, close to Pocock's rule, where a look may end a comparison: it finds a large difference at the first
 *   look, where O'Brien and Fleming's would ask for a t above 20 with five degrees of freedom.
 * - 3 where all data come in any case: it leaves most to the last look. Looks at a third, two thirds and
 *   all of the data have levels of about 0.2%, 1.4% and 4.5%, so that an interval is 2% wider at the end.
 *
 * A nominal level serves t statistics as it does normal ones (Jennison & Turnbull, Group Sequential
 * Methods, 2000, §3.8).
 *
 * @param looks Rounds at each look, ascending.
 * @param alpha The level, between 0 and 1.
 * @param exponent How much of it is left to later looks, above 0. @default 1
 *
 * @example
 * ```ts
 * import { nominalLevels } from "poolscope";
 *
 * console.assert(nominalLevels([5], 0.05)[0] === 0.05);
 * ```
 */
export function nominalLevels(looks: readonly number[], alpha: number, exponent = 1): number[] {
  const ascending = looks.every((n, i) => n > (looks[i - 1] ?? 0));
  if (looks.length === 0 || !ascending || !(alpha > 0 && alpha < 1)) {
    throw new RangeError(`Cannot spend ${alpha} over looks at ${looks.join(", ")} rounds`);
  }
  return looks.length === 1 ? [alpha] : levelsOf(looks, alpha, exponent);
}
