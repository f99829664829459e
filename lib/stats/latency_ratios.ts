/**
 * Ratios of latency percentiles of two arms that take turns, from batches of consecutive blocks: a
 * batch has enough requests for a percentile of its own, in both arms, and batches are paired as
 * blocks are (`blocks.ts`). Batch means of quantiles: Bischak, Kelton & Pollock, "Weighted batch means for
 * confidence intervals in steady-state simulation", Management Science 39(8), 1993, of which equal
 * weights are the simplest case.
 */

import { estimateRatios, type RoundPair } from "./blocks.ts";
import { geometricMean } from "./interval.ts";
import { leastRequests } from "./latency.ts";
import { nearestRank } from "./percentile.ts";
import type { Estimate, RunSummary } from "./summary.ts";
import type { SliceRates } from "./window.ts";

/** The percentiles that are compared, together one family beside that of throughput. */
export const COMPARED_PERCENTS = [50, 95, 99] as const;

/** Fewer batches than this are no interval, and more than the last are put together. */
const BATCHES = { least: 10, most: 20 };

/** Ratios by percentile; null where there are too few requests for enough batches. */
export type LatencyRatios = Record<typeof COMPARED_PERCENTS[number], Estimate | null>;

type Times = Pick<SliceRates, "block" | "timesUs">;

/** Slices of both arms in the blocks that both have. */
type Block = { base: Float64Array; other: Float64Array };

/** The blocks of a start in batches of at least so many requests of either arm; a rest joins the last. */
function batchesOf(blocks: readonly Block[], least: number): Block[][] {
  const batches: Block[][] = [];
  let open: Block[] = [];
  const count = (arm: keyof Block) => open.reduce((sum, block) => sum + block[arm].length, 0);
  for (const block of blocks) {
    open.push(block);
    if (Math.min(count("base"), count("other")) < least) continue;
    batches.push(open);
    open = [];
  }
  batches.at(-1)?.push(...open);
  return batches;
}

function quantile(batch: readonly Block[], arm: keyof Block, percent: number): number {
  const all = Float64Array.from(batch.flatMap((block) => [...block[arm]])).sort();
  return all[nearestRank(all.length, percent)]!;
}

function blocksOf(base: readonly Times[], other: readonly Times[]): Block[] {
  const byBlock = new Map(other.map((slice) => [slice.block, slice.timesUs]));
  return base.flatMap(({ block, timesUs }) => {
    const theirs = byBlock.get(block);
    return theirs === undefined ? [] : [{ base: timesUs, other: theirs }];
  });
}

/** A pair's batches by start, as few of each as leave no more than the most; null where too few. */
function pairBatches(
  [base, other]: readonly [string, string],
  runs: readonly RunSummary[],
  percent: number,
): RoundPair[] | null {
  const of = (id: string) =>
    new Map(
      runs.filter(({ scenarioId, status }) => scenarioId === id && status === "ok")
        .map((run) => [run.round, run]),
    );
  const others = of(other);
  const starts = [...of(base)].flatMap(([round, run]) => {
    const slices = others.get(round)?.slices;
    if (run.slices == null || slices == null) return [];
    if ([run, others.get(round)!].some(({ exactUpTo }) => exactUpTo < percent)) return [];
    return [{ round, blocks: blocksOf(run.slices, slices) }];
  });
  const cut = (times: number) =>
    starts.map(({ round, blocks }) => ({
      round,
      batches: batchesOf(blocks, times * leastRequests(percent)),
    }));
  const total = (all: ReturnType<typeof cut>) =>
    all.reduce((sum, { batches }) => sum + batches.length, 0);
  let found = cut(1);
  if (total(found) < BATCHES.least) return null;
  // Larger batches have steadier percentiles.
  for (let times = 2; total(found) > BATCHES.most; times++) {
    const larger = cut(times);
    if (total(larger) < BATCHES.least) break;
    found = larger;
  }
  const pairs = found.filter(({ batches }) => batches.length > 0).map(({ round, batches }) => {
    const blocks = batches.map((batch) => ({
      base: quantile(batch, "base", percent),
      other: quantile(batch, "other", percent),
    }));
    return { round, ...blocks[0]!, blocks };
  });
  return pairs;
}

/**
 * Ratios of the percentiles of some pairs of arms that take turns.
 *
 * @param pairs Ids of the scenarios, what is compared with first.
 * @param runs All runs of the study.
 * @param alpha Share of studies in which any of all these intervals may miss. @default 0.05
 * @returns A record for each pair; null for one without turns.
 */
export function latencyRatios(
  pairs: readonly (readonly [string, string])[],
  runs: readonly RunSummary[],
  alpha = 0.05,
): (LatencyRatios | null)[] {
  const level = alpha / (COMPARED_PERCENTS.length * Math.max(1, pairs.length));
  const inTurns = new Set(
    runs.filter(({ slices }) => slices !== null).map(({ scenarioId }) => scenarioId),
  );
  const found = pairs.map((ids) => ids.every((id) => inTurns.has(id)) ? {} as LatencyRatios : null);
  for (const percent of COMPARED_PERCENTS) {
    const batches = pairs.map((ids, i) =>
      found[i] === null ? null : pairBatches(ids, runs, percent)
    );
    const known = batches.filter((one): one is RoundPair[] => one !== null);
    const moments = new Map(estimateRatios(known).map((one, i) => [known[i], one]));
    for (const [i, own] of batches.entries()) {
      if (found[i] === null) continue;
      found[i]![percent] = own === null ? null : geometricMean(moments.get(own!)!, level);
    }
  }
  return found;
}
