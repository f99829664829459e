/**
 * From requests to runs, from runs to scenarios, from scenarios to ratios.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import { armName, type Scenario, scenarioId, type ScenarioKey, scenarioKeys } from "../scenario.ts";
import type { Manifest } from "../store/manifest.ts";
import type { RequestColumns } from "../frames/columns.ts";
import { NO_CONDITIONS, runConditions, type RunSources } from "./conditions.ts";
import { LATE_MS, sumDeliveries } from "./delivery.ts";
import { coefficientOfVariation, meanInterval, medianRange } from "./interval.ts";
import {
  type LatencyMs,
  type PercentileName,
  percentilesMs,
  PERCENTS,
  responseTimes,
  sortedUs,
} from "./latency.ts";
import type { Estimate, RunSummary, ScenarioSummary } from "./summary.ts";
import { cutWindow, type Window, type WindowCut } from "./window.ts";

/** Above this share of unfinished over completed requests, percentiles are lower bounds. */
export const CENSORED_SHARE = 0.05;

/** What a run is before its requests are counted. */
type RunHead = Pick<RunSummary, "scenarioId" | "scenario" | "arm" | "round" | "status" | "cause">;

/** What the requests of a run say. */
export type Measures = Omit<RunSummary, keyof RunHead | "telemetry" | "conditions">;

/** A run of which there are no numbers: none was recorded, or what was cannot be read. */
export function unmeasuredRun(
  { scenarioId, scenario, arm, round, status, cause }: RunHead,
): RunSummary {
  const head = { scenarioId, scenario, arm, round, status, cause };
  return { ...head, ...noMeasures(), telemetry: null, conditions: NO_CONDITIONS };
}

/** What is said where there are no requests. */
export function noMeasures(): Measures {
  return {
    measured: false,
    counted: false,
    requests: 0,
    failures: 0,
    unfinished: 0,
    rps: 0,
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
 * @param manifest The run's manifest.
 * @param requests Its requests; null when the run failed before any load.
 * @param arm The arm's label within its study. @default framework and path
 * @param telemetry What the samplers saw. @default null
 * @param sources The run's other files. @default none
 */
export function summariseRun(
  manifest: Manifest,
  requests: DataFrame | null,
  arm = armName(manifest.scenario),
  telemetry: RunSummary["telemetry"] = null,
  sources: RunSources = { final: null, resources: null },
): RunSummary {
  const run = unmeasuredRun({ ...manifest, arm });
  const { window, scenario } = manifest;
  if (requests === null || window === null) {
    const verified = manifest.verification?.ok ?? false;
    const ownUsers = manifest.ownLocustfile === true;
    return { ...run, conditions: { ...run.conditions, verified, ownUsers } };
  }

  const openLoop = scenario.arrivalRate !== null;
  const cut = cutWindow(requests, window, openLoop);
  return {
    ...run,
    ...measureCut(cut, window, openLoop),
    telemetry,
    conditions: runConditions(manifest, requests, cut, window, sources),
  };
}

/**
 * The requests of a window in numbers; see {@linkcode summariseRun}.
 *
 * @param requests A frame of `readRequests`.
 * @param window The measurement window.
 * @param openLoop Whether the requests were due at times of their own.
 */
export function measure(requests: DataFrame, window: Window, openLoop: boolean): Measures {
  return measureCut(cutWindow(requests, window, openLoop), window, openLoop);
}

/** {@linkcode measure} of requests that have been cut to their window. */
export function measureCut(cut: WindowCut, window: Window, openLoop: boolean): Measures {
  const { requests, correct, failed, unfinished, dropped } = cut;
  const windowS = (window.endUs - window.startUs) / 1e6;
  const serviceMs = percentilesMs(sortedUs(requests.serviceUs, correct));
  const response = openLoop ? responseTimes(cut) : null;
  const responseMs = response && percentilesMs(response.sorted);
  const headline = responseMs ?? serviceMs;
  const completed = correct.length + failed.length;
  return {
    measured: true,
    counted: true,
    requests: completed,
    failures: failed.length,
    unfinished: unfinished.length,
    delivery: openLoop
      ? {
        arrivals: completed + unfinished.length + dropped.length,
        late: sum([correct, failed, unfinished].map((places) => countLate(requests, places))),
        dropped: dropped.length,
      }
      : null,
    rps: cut.correctInWindow / windowS,
    failuresPerS: failed.length / windowS,
    errorRate: completed === 0 ? null : failed.length / completed,
    serviceMs,
    responseMs,
    p50Ms: headline.p50,
    p95Ms: headline.p95,
    p99Ms: headline.p99,
    exactUpTo: response?.exactUpTo ??
      (unfinished.length > CENSORED_SHARE * completed ? 0 : 100),
  };
}

/** Requests that were sent more than {@linkcode LATE_MS} after they were due. */
function countLate({ startUs, intendedUs }: RequestColumns, places: Uint32Array): number {
  if (intendedUs === null) return 0;
  let late = 0;
  for (const i of places) if (startUs[i]! - intendedUs[i]! > 1000 * LATE_MS) late++;
  return late;
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: number[]): number | null {
  return values.length === 0 ? null : sum(values) / values.length;
}

function mostFrequent(values: string[]): string | null {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

const PERCENTILE_NAMES = Object.keys(PERCENTS) as PercentileName[];

/** Whether a percentile is only a lower bound, because of requests without an answer. */
export function isLowerBound({ exactUpTo }: { exactUpTo: number }, percent: number): boolean {
  return percent > exactUpTo;
}

/** A throughput cannot be negative, so neither can its interval's lower end. */
function notNegative(estimate: Estimate | null): Estimate | null {
  return estimate?.low == null ? estimate : { ...estimate, low: Math.max(0, estimate.low) };
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
export function summariseScenarios(runs: readonly RunSummary[]): ScenarioSummary[] {
  const groups = new Map<string, RunSummary[]>();
  for (const run of runs) {
    groups.set(run.scenarioId, [...(groups.get(run.scenarioId) ?? []), run]);
  }
  return [...groups.values()].map((group) => {
    const first = group[0]!;
    const ok = group.filter((run) => run.status === "ok");
    const failed = group.filter((run) => run.status === "failed");
    const rejected = group.filter((run) => run.status === "rejected");
    const measured = group.filter((run) => run.measured);
    const throughputs = ok.map((run) => run.rps);
    // A percentile that some runs have too few requests for would be one of the others alone.
    const overRounds = (pick: (run: RunSummary) => number | null | undefined) => {
      const values = ok.map(pick).filter((value) => value != null);
      return values.length < ok.length ? null : medianRange(values);
    };
    const percentiles = (pick: (run: RunSummary) => LatencyMs | null) =>
      Object.fromEntries(
        PERCENTILE_NAMES.map((name) => [name, overRounds((run) => pick(run)?.[name])]),
      ) as Record<PercentileName, Estimate | null>;
    const answered = sum(group.map((run) => run.requests));
    return {
      scenarioId: first.scenarioId,
      scenario: first.scenario,
      arm: first.arm,
      framework: first.scenario.framework,
      path: first.scenario.path,
      users: first.scenario.users,
      arrivalRate: first.scenario.arrivalRate,
      ownUsers: group.some((run) => run.conditions.ownUsers),
      n: ok.length,
      failedRuns: failed.length,
      cause: mostFrequent(failed.map((run) => run.cause ?? NO_CAUSE)),
      rejectedRuns: rejected.length,
      rejection: mostFrequent(rejected.map((run) => run.cause!)),
      rps: notNegative(meanInterval(throughputs)),
      rpsCv: coefficientOfVariation(throughputs),
      p50Ms: overRounds((run) => run.p50Ms),
      p95Ms: overRounds((run) => run.p95Ms),
      p99Ms: overRounds((run) => run.p99Ms),
      serviceMs: percentiles((run) => run.serviceMs),
      responseMs: first.scenario.arrivalRate === null ? null : percentiles((run) => run.responseMs),
      exactUpTo: Math.min(100, ...ok.map((run) => run.exactUpTo)),
      delivery: sumDeliveries([...ok, ...rejected].map((run) => run.delivery)),
      failuresPerS: mean(measured.map((run) => run.failuresPerS)),
      errorRate: answered === 0 ? null : sum(group.map((run) => run.failures)) / answered,
      failedRps: mean(failed.filter((run) => run.measured).map((run) => run.rps)),
      rejectedRps: mean(rejected.map((run) => run.rps)),
    };
  });
}

/**
 * Settings besides the path that differ between two scenarios and act in both: between the paths,
 * PgBouncer's own change nothing in a direct scenario, not even its id, and so are no difference.
 * That one is a copy of the other is none either.
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

/** What stands for a cause that is not known. */
export const NO_CAUSE = "no cause was recorded";

/** A scenario's cause without the arm's name, which stands beside it wherever it is shown. */
export function shortCause({ scenario, cause }: Pick<RunSummary, "scenario" | "cause">): string {
  if (cause === null) return NO_CAUSE;
  // Runs of earlier versions name the arm by its values.
  const names = [armName(scenario), `${scenario.framework} ${scenario.path}`];
  const name = names.find((one) => cause.startsWith(`${one}: `));
  return name === undefined ? cause : cause.slice(name.length + 2);
}
