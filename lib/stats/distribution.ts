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
    const cut = cutWindow(requests, window, scenario.arrivalRate !== null);
    const sorted = scenario.arrivalRate === null
      ? sortedUs(cut.requests.serviceUs, cut.correct)
      : responseTimes(cut).sorted;
    for (const us of sorted) times.push(us);
  }
  if (times.length === 0) return [];
  const sorted = Float64Array.from(times).sort();
  return PERCENTS.map((percent) => ({
    scenarioId: scenario.scenarioId,
    arm: scenario.arm,
    framework: scenario.framework,
    path: scenario.path,
    users: scenario.users,
    arrivalRate: scenario.arrivalRate,
    percent,
    ms: sorted[nearestRank(sorted.length, percent)]! / 1000,
    requests: sorted.length,
  }));
}
