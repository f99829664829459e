/**
 * Which of several sizes does about as well as the best of them: a selection, in which the candidate
 * that looks best looks better than it is.
 *
 * Multiple comparisons with the best (Hsu, "Constrained simultaneous confidence intervals for multiple
 * comparisons with the best", Annals of Statistics 12(3), 1984): whichever candidate is the best one,
 * only its differences from the others must be bounded. All candidates have a slice in each block, so
 * that differences are of blocks (Nelson & Matejcik, "Using common random numbers for
 * indifference-zone selection and multiple comparisons in simulation", Management Science 41(12),
 * 1995). They take all differences to have one variance; here each has its own, as a small pool is
 * steadier than a large one, and Bonferroni's inequality takes the place of the common quantile.
 */

import { estimateRatios, type RatioMoments } from "./blocks.ts";
import { criticalT } from "./probability.ts";
import type { Estimate } from "./summary.ts";

/** The rates of all candidates in the blocks of one start: a row for each block. */
export type StartOfCandidates = readonly (readonly number[])[];

/** One candidate, beside the best of all. */
export interface BesideBest {
  /** Its throughput as a share of the best one's, at most 1, with its simultaneous 95% interval. */
  share: Estimate;
  /** How probable it is that it loses no more than what is tolerated, from resampled starts and blocks. */
  probability: number;
}

export interface Selection {
  candidates: BesideBest[];
  /** The first that loses no more than what is tolerated, with 95% confidence; null where none is. */
  smallest: number | null;
  /** Those whose loss is not shown to be more than that, by place. */
  possible: number[];
  /** Whether all are shown to be within twice that of the best. */
  isFlat: boolean;
}

export interface SelectionOptions {
  /** The loss that is tolerated, as a share of the best's throughput. @default 0.05 */
  tolerated?: number;
  /** Share of studies in which any bound may fail. @default 0.05 */
  alpha?: number;
  /** Draws from [0, 1), for what is resampled. */
  uniform: () => number;
}

const RESAMPLES = 2000;

/** What a candidate may lose to the best, as a share of its throughput. */
export const TOLERATED_LOSS = 0.05;

/** Bounds of what is lost to the best, as logarithms of shares. */
function boundLosses(
  starts: readonly StartOfCandidates[],
  k: number,
  alpha: number,
): { low: number; value: number; high: number }[] {
  const pairs = Array.from({ length: k }, (_, i) => i)
    .flatMap((i) => Array.from({ length: k - i - 1 }, (_, j) => [i, i + 1 + j] as const));
  const moments = estimateRatios(pairs.map(([base, other]) =>
    starts.map((rows, i) => ({
      round: i + 1,
      base: 1,
      other: 1,
      blocks: rows.map((rates) => ({ base: rates[base]!, other: rates[other]! })),
    }))
  ));
  const of = new Map(pairs.map(([base, other], i) => [base * k + other, moments[i]!]));
  const halfOf = ({ n, deviation, df }: RatioMoments) =>
    df < 1 ? Infinity : criticalT(2 * alpha / (k - 1), df) * deviation / Math.sqrt(n);
  /** By how much one is ahead of another, and what that may be off by. */
  const ahead = (one: number, other: number) => {
    const forward = of.get(other * k + one);
    const known = forward ?? of.get(one * k + other)!;
    return { value: forward === undefined ? -known.mean : known.mean, half: halfOf(known) };
  };
  const all = Array.from({ length: k }, (_, i) => i);
  const others = (i: number) => all.filter((j) => j !== i);
  const isBestPossible = all.map((i) =>
    others(i).every((j) => ahead(i, j).value + ahead(i, j).half >= 0)
  );
  return all.map((i) => {
    const differences = others(i).map((j) => ({ ...ahead(i, j), j }));
    // Whichever is the best, it is one of those that may be.
    const rivals = differences.filter(({ j }) => isBestPossible[j]);
    return {
      low: Math.min(0, ...differences.map(({ value, half }) => value - half)),
      value: Math.min(0, ...differences.map(({ value }) => value)),
      high: isBestPossible[i] || rivals.length === 0
        ? 0
        : Math.min(0, Math.max(...rivals.map(({ value, half }) => value + half))),
    };
  });
}

/** Of how many resampled studies each candidate loses no more than what is tolerated, as a share. */
function resample(
  starts: readonly StartOfCandidates[],
  k: number,
  tolerated: number,
  uniform: () => number,
): number[] {
  const pick = <T>(from: readonly T[]) => from[Math.floor(uniform() * from.length)]!;
  const within = Array<number>(k).fill(0);
  for (let i = 0; i < RESAMPLES; i++) {
    const sums = Array<number>(k).fill(0);
    for (let start = 0; start < starts.length; start++) {
      const drawn = pick(starts);
      for (let block = 0; block < drawn.length; block++) {
        pick(drawn).forEach((rate, candidate) => sums[candidate]! += rate / drawn.length);
      }
    }
    const least = (1 - tolerated) * Math.max(...sums);
    sums.forEach((sum, candidate) => within[candidate]! += sum >= least ? 1 : 0);
  }
  return within.map((count) => count / RESAMPLES);
}

/**
 * Compares candidates with the best of them.
 *
 * @param starts All starts, each with its blocks; each candidate has an answer in some block.
 *
 * @example
 * ```ts
 * import { selectSmallest } from "poolscope";
 *
 * const blocks = [[50, 98, 100], [52, 101, 99], [49, 99, 101], [51, 102, 100]];
 * const { smallest } = selectSmallest([blocks], { uniform: Math.random });
 * console.assert(smallest === 1);
 * ```
 */
export function selectSmallest(
  starts: readonly StartOfCandidates[],
  { tolerated = TOLERATED_LOSS, alpha = 0.05, uniform }: SelectionOptions,
): Selection {
  const k = starts[0]?.[0]?.length ?? 0;
  if (k < 2) throw new RangeError(`Cannot select among ${k} candidates: two are needed`);
  const losses = boundLosses(starts, k, alpha);
  const probabilities = resample(starts, k, tolerated, uniform);
  const candidates = losses.map(({ low, value, high }, i): BesideBest => ({
    share: { value: Math.exp(value), low: Math.exp(low), high: Math.exp(high) },
    probability: probabilities[i]!,
  }));
  const isWithin = (loss: number) => ({ share }: BesideBest) => share.low! >= 1 - loss;
  const smallest = candidates.findIndex(isWithin(tolerated));
  return {
    candidates,
    smallest: smallest < 0 ? null : smallest,
    possible: candidates.flatMap(({ share }, i) => share.high! >= 1 - tolerated ? [i] : []),
    isFlat: candidates.every(isWithin(2 * tolerated)),
  };
}
