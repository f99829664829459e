/** The latencies of runs, which percentiles they allow, and how far these are exact. */

import type { DataFrame } from "nodejs-polars";
import { nearestRank } from "./percentile.ts";
import { sortWholeNumbers } from "./sort.ts";
import type { ScenarioSummary } from "./summary.ts";
import { cutWindow, type Window, type WindowCut } from "./window.ts";

/** The percentiles of a summary, by name, in per cent. */
export const PERCENTS = { p50: 50, p90: 90, p95: 95, p99: 99, "p99.9": 99.9 } as const;

export type PercentileName = keyof typeof PERCENTS;

/** Percentiles in milliseconds; null where there are too few requests beyond one. */
export type LatencyMs = Record<PercentileName, number | null>;

/** A percentile needs so many requests beyond it: P95 400, P99 2,000 and P99.9 20,000 requests. */
const MIN_BEYOND = 20;

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

export function perPercentile<T>(
  value: (name: PercentileName, percent: number) => T,
): Record<PercentileName, T> {
  const values = Object.entries(PERCENTS)
    .map(([name, percent]) => [name, value(name as PercentileName, percent)]);
  return Object.fromEntries(values) as Record<PercentileName, T>;
}

/** The exact nearest-rank percentiles of ascending times in microseconds. */
export function percentilesMs(sorted: Float64Array): LatencyMs {
  return perPercentile((_, percent) =>
    sorted.length < leastRequests(percent)
      ? null
      : sorted[nearestRank(sorted.length, percent)]! / 1000
  );
}

/**
 * Response times of an open loop: those of correct answers, and for requests that had none when the
 * load ended, how long they had waited by then. Leaving these out would hide the slowest.
 *
 * @returns Sorted times in microseconds, and above which percentile they are only lower bounds.
 */
export function responseTimes(
  { requests, timed, waiting: without }: WindowCut,
): { sorted: Float64Array; exactUpTo: number } {
  const { responseUs } = requests;
  const answered = sortedUs(responseUs, timed);
  const waiting = sortedUs(responseUs, without);
  if (waiting.length === 0) return { sorted: answered, exactUpTo: 100 };
  const sorted = Float64Array.from([...answered, ...waiting]).sort();
  const first = waiting[0]!;
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

export type LatencyPoint = ReturnType<typeof latencyCurve>[number];

/** The shares of a curve's points: every per cent, and finer where the tail is. */
const SHARES = [0.1, 0.5, ...Array.from({ length: 99 }, (_, i) => i + 1), 99.5, 99.9, 100];

/** The latencies of a scenario's runs, all together, as a cumulative distribution. */
export function latencyCurve(
  { scenarioId, arm, framework, path, users, arrivalRate }: ScenarioSummary,
  runs: { requests: DataFrame; window: Window }[],
) {
  const times = runs.flatMap(({ requests, window }) => [
    ...sortedLatencies(requests, window, arrivalRate !== null),
  ]);
  const level = { scenarioId, arm, framework, path, users, arrivalRate };
  return curveOf(Float64Array.from(times).sort()).map((point) => ({
    ...level,
    ...point,
    requests: times.length,
  }));
}

/** The latencies of some requests as a cumulative distribution: response times of an open loop. */
export function requestCurve(requests: DataFrame, window: Window, openLoop: boolean) {
  return curveOf(sortedLatencies(requests, window, openLoop));
}

function sortedLatencies(requests: DataFrame, window: Window, openLoop: boolean): Float64Array {
  const cut = cutWindow(requests, window, openLoop);
  return openLoop ? responseTimes(cut).sorted : sortedUs(cut.requests.serviceUs, cut.correct);
}

function curveOf(sorted: Float64Array) {
  if (sorted.length === 0) return [];
  return SHARES.map((percent) => ({
    /** Share of the requests that took at most `ms`, in per cent. */
    percent,
    /** Service time, in an open loop response time, in milliseconds. */
    ms: sorted[nearestRank(sorted.length, percent)]! / 1000,
  }));
}
