/**
 * The distribution of latency, reduced to a curve.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import type { Framework, LoadLevel, Path } from "../scenario.ts";
import { responseTimes, sortedUs } from "./latency.ts";
import { nearestRank } from "./percentile.ts";
import type { ScenarioSummary } from "./summary.ts";
import { cutWindow, type Window } from "./window.ts";

/** One point of a scenario's cumulative distribution of latency. */
export interface LatencyPoint extends LoadLevel {
  scenarioId: string;
  arm: string;
  framework: Framework;
  path: Path;
  /** Share of the correct answers that took at most `ms`, in per cent. */
  percent: number;
  /** The service time in milliseconds; the response time in an open loop. */
  ms: number;
  /** Correct answers behind the whole curve. */
  requests: number;
}

/** Every per cent, and finer where the tail is. */
const PERCENTS = [
  0.1,
  0.5,
  ...Array.from({ length: 99 }, (_, i) => i + 1),
  99.5,
  99.9,
  100,
];

/**
 * The cumulative distribution of the service times of a scenario's correct answers, of the response
 * times of its requests in an open loop, its runs pooled. It shows shapes; a scenario's percentiles come from `summariseScenarios`.
 *
 * @param scenario The scenario.
 * @param runs The requests of each of its runs, and their windows.
 */
export function latencyCurve(
  scenario: ScenarioSummary,
  runs: { requests: DataFrame; window: Window }[],
): LatencyPoint[] {
  const times: number[] = [];
  for (const { requests, window } of runs) {
    for (const us of sortedLatencies(requests, window, scenario.arrivalRate !== null)) {
      times.push(us);
    }
  }
  return curveOf(Float64Array.from(times).sort()).map((point) => ({
    scenarioId: scenario.scenarioId,
    arm: scenario.arm,
    framework: scenario.framework,
    path: scenario.path,
    users: scenario.users,
    arrivalRate: scenario.arrivalRate,
    ...point,
    requests: times.length,
  }));
}

/**
 * The latencies of some requests as a cumulative distribution.
 *
 * @param requests A frame of `readRequests`.
 * @param window The measurement window.
 * @param openLoop Whether to take response times, of requests that were due at times of their own.
 * @returns Latencies in milliseconds with the share of requests that took at most so long; empty for none.
 */
export function requestCurve(
  requests: DataFrame,
  window: Window,
  openLoop: boolean,
): { percent: number; ms: number }[] {
  return curveOf(sortedLatencies(requests, window, openLoop));
}

function sortedLatencies(requests: DataFrame, window: Window, openLoop: boolean): Float64Array {
  const cut = cutWindow(requests, window, openLoop);
  return openLoop ? responseTimes(cut).sorted : sortedUs(cut.requests.serviceUs, cut.correct);
}

function curveOf(sorted: Float64Array): { percent: number; ms: number }[] {
  if (sorted.length === 0) return [];
  return PERCENTS.map((percent) => ({
    percent,
    ms: sorted[nearestRank(sorted.length, percent)]! / 1000,
  }));
}
