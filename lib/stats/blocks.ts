/**
 * Ratios of two arms that stand side by side: in each block both have a slice of load, and the pair
 * is started several times (a randomised complete block design, repeated).
 *
 * - The estimate is the ratio of the sums over all blocks of all starts. Its noise is that of the
 *   linearised differences of the blocks (Cochran, Sampling Techniques, 3rd ed. 1977, §6.3), so that a
 *   slice without an answer counts as any other. A start weighs what it has of all answers.
 * - Starts differ beyond what their blocks explain, by memory layout or by what else the machine did
 *   (Kalibera & Jones, "Rigorous benchmarking in reasonable time", ISMM 2013). With two or three
 *   starts a comparison alone hardly knows by how much; all comparisons of a family, on one machine with
 *   one software, are taken to share this variance. It is estimated by analysis of variance, each
 *   comparison weighted by its precision: unweighted, one noisy comparison hides it from all others.
 * - The degrees of freedom are Satterthwaite's ("An approximate distribution of estimates of variance
 *   components", Biometrics Bulletin 2(6), 1946) for the mean squares that the variance is made of:
 *   the variance between starts is itself a difference of mean squares, so that what its blocks add to
 *   its uncertainty counts. Taken as known with all its starts' degrees, it raised 7 to 8% false
 *   alarms instead of 5%. Where no difference between starts shows, all blocks are one sample.
 * - A comparison whose starts differ more than the others' would hide among them, so its squared error is
 *   at least half of what its own starts say. The whole of that, X in units of what blocks explain, would
 *   widen intervals by 14% where starts are alike: of three, X has an exponential distribution of mean 1,
 *   and the mean of √max(1, cX) is 1.14 with c = 1, and 1.03 with c = 1/2. Starts that agree by chance are
 *   beyond its reach: where one comparison of six has starts that differ by far more than its blocks, its
 *   95% interval misses in up to 26% of studies; without this, in up to 47%.
 *
 * `blocks_test.ts` simulates families of studies. Six comparisons of three starts raise 2.6% false alarms
 * where starts are alike (a variance cannot be estimated below 0) and 4.3% at most where they differ; it
 * is 6% where the comparisons' noise differs eightfold, or with two comparisons of two starts. Of
 * one start each, the family knows no variance between starts: a deviation of 3% between them, in
 * blocks of 14%, makes 5% false alarms 16%.
 */

import { logRatio, type Moments, momentsOf, type Pair } from "./interval.ts";

/** The two arms in one round. */
export interface RoundPair extends Pair {
  /** The round's number, from 1. */
  round: number;
  /** The rates in each block that both arms have; absent in the consecutive design. */
  blocks?: readonly Pair[];
}

/** The logarithm of a ratio from its rounds; `deviation / √n` is its standard error. */
export interface RatioMoments extends Moments {
  /** Blocks behind the ratio; 0 in the consecutive design. */
  blocks: number;
  /**
   * The most starts of any comparison of the family: with 1, how much starts differ is unknown and
   * not in the standard error. 0 in the consecutive design, where each round is a start.
   */
  starts: number;
  /** What of the squared error starts differ by, 0 to 1, however many blocks each has; else 0. */
  startsShare: number;
}

/** The share of what its own starts say below which no comparison's squared error is. */
const OWN_SHARE = 1 / 2;

/** Below this variance of logarithms, weights no longer tell one comparison from another. */
const MIN_VARIANCE = 1e-12;

type BlockParts = NonNullable<ReturnType<typeof analyseBlocks>>;

function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Sums of squares within and between the starts of one comparison; null without blocks for them. */
function analyseBlocks(pairs: readonly RoundPair[]) {
  const starts = pairs.map(({ blocks = [] }) => {
    const base = sumOf(blocks.map((block) => block.base));
    const other = sumOf(blocks.map((block) => block.other));
    const n = blocks.length;
    const z = blocks.map((block) => n * (block.other / other - block.base / base));
    return { n, base, other, squares: sumOf(z.map((value) => value ** 2)) };
  });
  const counts = starts.map(({ n }) => n);
  const blocks = sumOf(counts);
  const within = blocks - starts.length;
  if (counts.includes(0) || within < 1) return null;
  const totalOf = (arm: keyof Pair) => sumOf(starts.map((start) => start[arm]));
  const [base, other] = [totalOf("base"), totalOf("other")];
  const logs = starts.map(logRatio);
  const center = sumOf(logs.map((log, i) => counts[i]! * log)) / blocks;
  const shares = sumOf(counts.map((n) => (n / blocks) ** 2));
  const between = starts.length - 1;
  // A start has that share of the ratio that it has of the answers.
  const weights = starts.map((start) => (start.base / base + start.other / other) / 2);
  return {
    n: starts.length,
    blocks,
    mean: logRatio({ base, other }),
    withinSquares: sumOf(starts.map(({ squares }) => squares)),
    within,
    betweenSquares: sumOf(logs.map((log, i) => counts[i]! * (log - center) ** 2)),
    between,
    /** Blocks of a start on average, as the mean square between starts counts them. */
    perStart: blocks * (1 - shares) / between,
    /** What the variances of blocks and between starts are multiplied by in that of the mean. */
    ofBlocks: sumOf(weights.map((weight, i) => weight ** 2 / counts[i]!)),
    ofStarts: sumOf(weights.map((weight) => weight ** 2)),
    variance: sumOf(starts.map(({ squares }) => squares)) / within,
  };
}

/** The variance between starts of one comparison alone, of two starts or more; below 0 by chance. */
function excessOf({ betweenSquares, between, variance, perStart }: BlockParts): number {
  return (betweenSquares / between - variance) / perStart;
}

/** The variance between starts of a family, and the weight of each comparison in it. */
function betweenStarts(family: readonly BlockParts[]) {
  let estimate = 0;
  let weights: number[] = [];
  // The weights depend on what they estimate: first as without any, then as estimated so far.
  for (let pass = 0; pass < 2; pass++) {
    const known = Math.max(0, estimate);
    const raw = family.map(({ between, perStart, variance }) =>
      between / (known + Math.max(MIN_VARIANCE, variance) / perStart) ** 2
    );
    weights = raw.map((weight) => weight / sumOf(raw));
    estimate = sumOf(family.map((one, i) => weights[i]! * excessOf(one)));
  }
  return { family, weights, estimate };
}

/** The squared error of a comparison's mean where its starts differ by this variance. */
function squaredErrorOf({ variance, ofBlocks, ofStarts }: BlockParts, between: number): number {
  return variance * ofBlocks + between * ofStarts;
}

/** The squared error of a comparison's mean as the whole family shows it, with its degrees of freedom. */
function familyError(one: BlockParts, starts: ReturnType<typeof betweenStarts>) {
  const { blocks, ofBlocks, ofStarts, within, variance, withinSquares, betweenSquares } = one;
  const { family, weights, estimate } = starts;
  if (!(estimate > 0)) {
    return {
      squaredError: (withinSquares + betweenSquares) / (blocks - 1) * ofBlocks,
      df: blocks - 1,
    };
  }
  const squaredError = squaredErrorOf(one, estimate);
  let spread = 0;
  let isOwnCounted = false;
  for (const [i, other] of family.entries()) {
    const { between, perStart } = other;
    const factor = ofStarts * weights[i]! / perStart;
    spread += (factor * (other.variance + perStart * estimate)) ** 2 / between;
    const own = other === one ? ofBlocks : 0;
    spread += ((own - factor) * other.variance) ** 2 / other.within;
    isOwnCounted ||= other === one;
  }
  if (!isOwnCounted) spread += (variance * ofBlocks) ** 2 / within;
  // To a tenth, downwards, so that quantiles are looked up rather than computed again.
  const df = Math.max(1, Math.floor(10 * squaredError ** 2 / spread) / 10);
  return { squaredError, df };
}

/**
 * The logarithms of the ratios of a family, each from its rounds: with the blocks of both arms where
 * every round has them, and else, as in the consecutive design, from one ratio a round.
 *
 * @param family The rounds of each comparison.
 *
 * @example
 * ```ts
 * import { estimateRatios } from "poolscope";
 *
 * const blocks = [121, 109, 100].map((other) => ({ base: 100, other }));
 * const [ratio] = estimateRatios([[{ round: 1, base: 100, other: 110, blocks }]]);
 * console.assert(Math.abs(Math.exp(ratio!.mean) - 1.1) < 1e-12 && ratio!.df === 2);
 * ```
 */
export function estimateRatios(family: readonly (readonly RoundPair[])[]): RatioMoments[] {
  const parts = family.map(analyseBlocks);
  const known = parts.filter((one) => one !== null);
  const starts = Math.max(0, ...known.map(({ n }) => n));
  const between = betweenStarts(known.filter(({ n }) => n > 1));
  return parts.map((one, i) => {
    if (one === null) {
      return { ...momentsOf(family[i]!.map(logRatio)), blocks: 0, starts: 0, startsShare: 0 };
    }
    const { n, blocks, mean } = one;
    const { squaredError, df } = familyError(one, between);
    const least = n < 2 ? 0 : OWN_SHARE * squaredErrorOf(one, excessOf(one));
    const error = Math.max(squaredError, least);
    const startsShare = error > 0 ? Math.max(0, 1 - squaredErrorOf(one, 0) / error) : 0;
    return { n, mean, deviation: Math.sqrt(n * error), df, blocks, starts, startsShare };
  });
}
