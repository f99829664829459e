/** From requests to runs, and from runs to scenarios. */

import type { DataFrame } from "nodejs-polars";
import { armName, type Scenario, scenarioId, type ScenarioKey, scenarioKeys } from "../scenario.ts";
import type { Manifest } from "../store/manifest.ts";
import { NO_CONDITIONS, runConditions, type RunSources } from "./conditions.ts";
import { LATE_MS, sumDeliveries } from "./delivery.ts";
import { coefficientOfVariation, meanInterval, medianRange } from "./interval.ts";
import {
  type LatencyMs,
  percentilesMs,
  perPercentile,
  responseTimes,
  sortedUs,
} from "./latency.ts";
import { LITTLE_TOLERANCE } from "./steady_state.ts";
import type { RunHead, RunSummary } from "./summary.ts";
import { cutWindow, type SliceRates, type WindowCut } from "./window.ts";

/** Above this share of unfinished over completed requests, percentiles are lower bounds. */
const CENSORED_SHARE = 0.05;

export type Measures = ReturnType<typeof measure>;

/** A run of which there are no numbers: none was recorded, or what was cannot be read. */
export function unmeasuredRun(
  { scenarioId, scenario, arm, round, status, cause }: RunHead,
): RunSummary {
  const head = { scenarioId, scenario, arm, round, status, cause };
  return { ...head, ...noMeasures(), telemetry: null, conditions: NO_CONDITIONS };
}

export function noMeasures(): Measures {
  return {
    measured: false,
    counted: false,
    requests: 0,
    failures: 0,
    timed: 0,
    unfinished: 0,
    rps: 0,
    slices: null,
    failuresPerS: 0,
    errorRate: null,
    p50Ms: null,
    p95Ms: null,
    p99Ms: null,
    exactUpTo: 100,
    delivery: null,
    serviceMs: percentilesMs(new Float64Array()),
    responseMs: null,
  };
}

/**
 * One run in numbers: throughput is correct answers over the window; percentiles are the exact
 * nearest-rank ones of the response time in an open loop, of the service time in a closed one.
 *
 * @param requests Null when the run failed before any load.
 * @param arm The arm's label within its study.
 */
export function summariseRun(
  manifest: Manifest,
  requests: DataFrame | null,
  arm = armName(manifest.scenario),
  telemetry: RunSummary["telemetry"] = null,
  sources: RunSources = { final: null, resources: null, turns: null, idle: null, leftOut: 0 },
): RunSummary {
  const run = unmeasuredRun({ ...manifest, arm });
  const { window, scenario } = manifest;
  if (requests === null || window === null) {
    const verified = manifest.verification?.ok ?? false;
    const ownUsers = manifest.ownLocustfile === true;
    return { ...run, conditions: { ...run.conditions, verified, ownUsers } };
  }
  const cut = cutWindow(requests, window, scenario.arrivalRate !== null, sources.turns);
  const conditions = runConditions(manifest, requests, cut, sources);
  return { ...run, ...measure(cut), telemetry, conditions };
}

export function measure(cut: WindowCut) {
  const { requests, correct, failed, unfinished, dropped, windowS, openLoop } = cut;
  const serviceMs = percentilesMs(sortedUs(requests.serviceUs, cut.timed));
  const response = openLoop ? responseTimes(cut) : null;
  const responseMs = response && percentilesMs(response.sorted);
  const headline = responseMs ?? serviceMs;
  const completed = correct.length + failed.length;
  const arrivals = completed + unfinished.length + dropped.length;
  return {
    /** False when there are no requests to count: before any load, or unreadable. */
    measured: true,
    /** Whether its throughput was counted correctly, whatever else a gate rejects it for. */
    counted: true,
    /** Requests answered in the window, and failures among them. */
    requests: completed,
    failures: failed.length,
    /** Correct answers of which percentiles are taken; of a run that took turns, fewer than all. */
    timed: cut.timed.length,
    /** Requests without an answer when the window ended. */
    unfinished: unfinished.length,
    /** What became of the arrivals of an open loop; null in a closed one. */
    delivery: openLoop ? { arrivals, late: countLate(cut), dropped: dropped.length } : null,
    // Without a turn that counts, there is none.
    rps: cut.counted.seconds === 0 ? 0 : cut.counted.correct / cut.counted.seconds,
    /**
     * Correct answers per second in the counted part of each slice, in order of blocks; null in the
     * consecutive design.
     */
    slices: cut.turns as readonly SliceRates[] | null,
    failuresPerS: failed.length / windowS,
    /** Failed requests over all answered, 0 to 1; null when nothing was answered. */
    errorRate: completed === 0 ? null : failed.length / completed,
    /** Exact percentiles of the service time of correct answers: from its sending to its answer. */
    serviceMs,
    /**
     * Exact percentiles of the response time, from when a request was due, in an open loop; requests
     * without an answer count with what they had waited. Null in a closed loop.
     */
    responseMs,
    /** The latency that this loop can speak of: response time, or service time in a closed loop. */
    p50Ms: headline.p50,
    p95Ms: headline.p95,
    p99Ms: headline.p99,
    /**
     * Percentiles above this one are lower bounds, because of requests without an answer: 100 where
     * all are exact, 0 where none is: a closed loop with more than 5% unfinished, or turns in which
     * those who wait longest have waited from the begin.
     */
    exactUpTo: response?.exactUpTo ??
      (unfinished.length > CENSORED_SHARE * completed || missesWaiting(cut) ? 0 : 100),
  };
}

/**
 * Whether the requests that were timed in turns waited less than those that were in flight, by Little's
 * law: the others were sent before latency counted.
 */
function missesWaiting({ timed, counted, requests: { serviceUs } }: WindowCut): boolean {
  if (counted.inFlightS === null || timed.length === 0) return false;
  const timedS = timed.reduce((sum, i) => sum + serviceUs[i]!, 0) / timed.length / 1e6;
  return timedS < (1 - LITTLE_TOLERANCE) * counted.inFlightS / counted.answered;
}

/** Requests that were sent more than {@linkcode LATE_MS} after they were due. */
function countLate({ requests, correct, failed, unfinished }: WindowCut): number {
  const { startUs, intendedUs } = requests;
  if (intendedUs === null) return 0;
  let late = 0;
  for (const places of [correct, failed, unfinished]) {
    for (const i of places) if (startUs[i]! - intendedUs[i]! > 1000 * LATE_MS) late++;
  }
  return late;
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

const mean = (values: number[]) => meanInterval(values)?.value ?? null;
function mostFrequent(values: string[]): string | null {
  const groups = [...Map.groupBy(values, (value) => value)];
  return groups.sort((a, b) => b[1].length - a[1].length)[0]?.[0] ?? null;
}

export function isLowerBound({ exactUpTo }: { exactUpTo: number }, percent: number): boolean {
  return percent > exactUpTo;
}

/**
 * Scenarios over their rounds, in the order of their first run. Failed and rejected runs are
 * counted and keep their own throughput; they enter no mean and no median.
 *
 * @example
 * ```ts
 * import { summariseScenarios } from "poolscope";
 *
 * console.assert(summariseScenarios([]).length === 0);
 * ```
 */
export function summariseScenarios(runs: readonly RunSummary[]) {
  return [...Map.groupBy(runs, ({ scenarioId }) => scenarioId).values()].map((group) => {
    const { scenarioId, scenario, arm } = group[0]!;
    const { framework, path, users, arrivalRate } = scenario;
    const withStatus = (status: RunSummary["status"]) =>
      group.filter((run) => run.status === status);
    const [ok, failed, rejected] = [withStatus("ok"), withStatus("failed"), withStatus("rejected")];
    const measured = group.filter((run) => run.measured);
    // A percentile that some runs have too few requests for would be one of the others alone.
    const overRounds = (pick: (run: RunSummary) => number | null | undefined) => {
      const values = ok.map(pick).filter((value) => value != null);
      return values.length < ok.length ? null : medianRange(values);
    };
    const percentiles = (pick: (run: RunSummary) => LatencyMs | null) =>
      perPercentile((name) => overRounds((run) => pick(run)?.[name]));
    const answered = sum(group.map((run) => run.requests));
    const throughputs = ok.map((run) => run.rps);
    const rps = meanInterval(throughputs);
    // A throughput cannot be negative, so neither can its interval's lower end.
    if (rps?.low != null) rps.low = Math.max(0, rps.low);
    return {
      scenarioId,
      scenario,
      arm,
      framework,
      path,
      users,
      arrivalRate,
      ownUsers: group.some((run) => run.conditions.ownUsers),
      /** Runs that count: the n behind every value below. */
      n: ok.length,
      failedRuns: failed.length,
      /** The most frequent cause of failed runs; null when none failed. */
      cause: mostFrequent(failed.map((run) => run.cause ?? NO_CAUSE)),
      rejectedRuns: rejected.length,
      rejection: mostFrequent(rejected.map((run) => run.cause!)),
      /** Mean throughput and its 95% t interval; null when no run succeeded. */
      rps,
      /** Coefficient of variation of throughput over rounds, 0 to 1; null below two runs. */
      rpsCv: coefficientOfVariation(throughputs),
      /** Median of the runs' percentiles, with the smallest and largest run; see `RunSummary`. */
      p50Ms: overRounds((run) => run.p50Ms),
      p95Ms: overRounds((run) => run.p95Ms),
      p99Ms: overRounds((run) => run.p99Ms),
      serviceMs: percentiles((run) => run.serviceMs),
      responseMs: arrivalRate === null ? null : percentiles((run) => run.responseMs),
      /** Percentiles above this one are lower bounds in some run. */
      exactUpTo: Math.min(100, ...ok.map((run) => run.exactUpTo)),
      /** What became of the arrivals of all measured runs that did not fail; null in a closed loop. */
      delivery: sumDeliveries([...ok, ...rejected].map((run) => run.delivery)),
      /** Mean failures per second over all measured runs, failed ones among them; null without any. */
      failuresPerS: mean(measured.map((run) => run.failuresPerS)),
      /** Failed requests over all answered, all runs together; null when nothing was answered. */
      errorRate: answered === 0 ? null : sum(group.map((run) => run.failures)) / answered,
      /** Mean throughput of the failed runs that were measured, shown as failed; null without any. */
      failedRps: mean(failed.filter((run) => run.measured).map((run) => run.rps)),
      /** Mean throughput of the rejected runs, shown as rejected; null without any. */
      rejectedRps: mean(rejected.map((run) => run.rps)),
    };
  });
}

/**
 * Settings besides the path that differ between two scenarios and act in both: between the paths,
 * PgBouncer's own change nothing in a direct scenario, not even its id, and so are no difference.
 * A replica flag is not a difference.
 *
 * @example
 * ```ts
 * import { createScenario, differingSettings } from "poolscope";
 *
 * const direct = createScenario({ framework: "node", path: "direct", users: 10 });
 * const pooled = { ...direct, path: "pooled", defaultPoolSize: 5 } as const;
 * console.assert(differingSettings(direct, pooled).length === 0);
 * console.assert(differingSettings(direct, { ...pooled, workers: 4 })[0] === "workers");
 * ```
 */
export function differingSettings(a: Scenario, b: Scenario): ScenarioKey[] {
  const base: Scenario = a.path === b.path ? a : { ...a, path: "direct" };
  return scenarioKeys([a, b]).filter((key) =>
    key !== "path" && key !== "replica" && a[key] !== b[key] &&
    scenarioId({ ...base, [key]: b[key] }) !== scenarioId(base)
  );
}

export const NO_CAUSE = "no cause was recorded";

/** A scenario's cause without the arm's name, which stands beside it wherever it is shown. */
export function shortCause({ scenario, cause }: Pick<RunSummary, "scenario" | "cause">): string {
  if (cause === null) return NO_CAUSE;
  // Runs of earlier versions name the arm by its values.
  const names = [armName(scenario), `${scenario.framework} ${scenario.path}`];
  const name = names.find((one) => cause.startsWith(`${one}: `));
  return name === undefined ? cause : cause.slice(name.length + 2);
}
