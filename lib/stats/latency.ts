/**
 * The latencies of one run: which requests they are of, which percentiles they allow, and how far
 * these are exact.
 *
 * @module
 */

import { nearestRank } from "./percentile.ts";
import { sortWholeNumbers } from "./sort.ts";
import type { WindowCut } from "./window.ts";

/** The percentiles of a summary, by name, in per cent. */
export const PERCENTS = { p50: 50, p90: 90, p95: 95, p99: 99, "p99.9": 99.9 } as const;

/** The name of one of {@linkcode PERCENTS}. */
export type PercentileName = keyof typeof PERCENTS;

/** Percentiles in milliseconds; null where there are too few requests beyond one. */
export type LatencyMs = Record<PercentileName, number | null>;

/**
 * A percentile needs so many requests beyond it. With fewer it is little more than one of the
 * largest values: P95 needs 400 requests, P99 2,000 and P99.9 20,000.
 */
export const MIN_BEYOND = 20;

/** Requests that a percentile needs. */
export function leastRequests(percent: number): number {
  // The first factor absorbs the rounding of percentages that have decimals.
  return Math.ceil(MIN_BEYOND * 100 / (100 - percent) * (1 - 1e-12));
}

/** The times of some requests, ascending; none where the column is missing. */
export function sortedUs(column: Float64Array | null, places: Uint32Array): Float64Array {
  if (column === null) return new Float64Array();
  const values = new Float64Array(places.length);
  for (let i = 0; i < places.length; i++) values[i] = column[places[i]!]!;
  return sortWholeNumbers(values);
}

/**
 * The exact nearest-rank percentiles of sorted times.
 *
 * @param sorted Times in microseconds, ascending.
 */
export function percentilesMs(sorted: Float64Array): LatencyMs {
  return Object.fromEntries(
    Object.entries(PERCENTS).map(([name, percent]) => [
      name,
      sorted.length < leastRequests(percent)
        ? null
        : sorted[nearestRank(sorted.length, percent)]! / 1000,
    ]),
  ) as LatencyMs;
}

/**
 * Response times of an open loop: those of correct answers, and for requests that had none when the
 * load ended, how long they had waited by then. Leaving these out would hide the slowest.
 *
 * @returns Sorted times in microseconds, and up to which percentile they can be told: from some
 * request without an answer on, each is only a lower bound. 100 where there is none such.
 */
export function responseTimes(
  { requests, correct, unfinished, dropped }: WindowCut,
): { sorted: Float64Array; exactUpTo: number } {
  const { responseUs } = requests;
  const answered = sortedUs(responseUs, correct);
  const waiting = [...sortedUs(responseUs, unfinished), ...sortedUs(responseUs, dropped)];
  if (waiting.length === 0) return { sorted: answered, exactUpTo: 100 };
  const sorted = Float64Array.from([...answered, ...waiting]).sort();
  const first = Math.min(...waiting);
  const below = sorted.findIndex((value) => value >= first);
  const exact = 100 * below / sorted.length;
  return { sorted, exactUpTo: Math.max(exact, knownUpTo(sorted, answered)) };
}

/** As near as 1% or 2 ms, the two ends of what a percentile can be are one value. */
const SAME = { factor: 1.01, us: 2000 };

/**
 * The last of the percentiles that are the same, whether the requests without an answer had it the
 * moment the load ended or never: a few that were just sent then decide nothing.
 */
function knownUpTo(sorted: Float64Array, answered: Float64Array): number {
  let known = 0;
  for (const percent of Object.values(PERCENTS)) {
    const rank = nearestRank(sorted.length, percent);
    const atMost = answered[rank] ?? Infinity;
    const atLeast = sorted[rank]!;
    if (atMost > Math.max(SAME.factor * atLeast, atLeast + SAME.us)) return known;
    known = percent;
  }
  return 100;
}
