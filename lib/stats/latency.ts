/**
 * The latencies of one run: which requests they are of, which percentiles they allow, and how far
 * these are exact.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import { nearestRank } from "./percentile.ts";
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
export const LEAST_BEYOND = 20;

/** Requests that a percentile needs. */
export function leastRequests(percent: number): number {
  // The first factor absorbs the rounding of percentages that have decimals.
  return Math.ceil(LEAST_BEYOND * 100 / (100 - percent) * (1 - 1e-12));
}

/** A frame's column as sorted numbers. */
export function sortedUs(frame: DataFrame, column: "service_us" | "response_us"): Float64Array {
  return Float64Array.from(frame.getColumn(column).toArray(), Number).sort();
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
 * @returns Sorted times in microseconds, and up to which percentile they are exact: from the first
 * request without an answer on, each is only a lower bound. 100 where all had one.
 */
export function responseTimes(
  { completed, unfinished, dropped }: WindowCut,
): { sorted: Float64Array; exactUpTo: number } {
  const correct = completed.filter(completed.getColumn("error").isNull());
  const answered = sortedUs(correct, "response_us");
  const waiting = [...sortedUs(unfinished, "response_us"), ...sortedUs(dropped, "response_us")];
  if (waiting.length === 0) return { sorted: answered, exactUpTo: 100 };
  const sorted = Float64Array.from([...answered, ...waiting]).sort();
  const first = Math.min(...waiting);
  const below = sorted.findIndex((value) => value >= first);
  return { sorted, exactUpTo: 100 * below / sorted.length };
}
