/**
 * The rows that tables, figures and reports are made of.
 *
 * @module
 */

import type { Framework, LoadLevel, Path, Reuse, Scenario, ScenarioKey } from "../scenario.ts";
import type { RunConditions } from "./conditions.ts";
import type { Delivery } from "./delivery.ts";
import type { DriftBound } from "./drift_bound.ts";
import type { ComparisonVerdict } from "./family.ts";
import type { LatencyMs, PercentileName } from "./latency.ts";
import type { Telemetry } from "./telemetry.ts";

/** One run in numbers. Rates and latencies are those of the measurement window. */
export interface RunSummary {
  /** The scenario's id. */
  scenarioId: string;
  /** The scenario's values. */
  scenario: Scenario;
  /** The arm's label within its study. */
  arm: string;
  /** From 1. */
  round: number;
  /** `rejected`: it did not fail, but a gate says that its numbers support no sentence. */
  status: "ok" | "failed" | "rejected";
  /** Why it failed or was rejected; null when neither. */
  cause: string | null;
  /** Whether its throughput was counted correctly, whatever else a gate rejects it for. */
  counted: boolean;
  /** What is known of its circumstances, which gates look at. */
  conditions: RunConditions;
  /** False when there are no requests to count: before any load, or unreadable. */
  measured: boolean;
  /** Requests answered in the window, failures among them. */
  requests: number;
  /** Failed among them. */
  failures: number;
  /** Requests without an answer when the window ended. */
  unfinished: number;
  /** What became of the arrivals of an open loop; null in a closed one. */
  delivery: Delivery | null;
  /** Correct answers per second. */
  rps: number;
  /** Failures per second. */
  failuresPerS: number;
  /** Failed requests over all answered, 0 to 1; null when nothing was answered. */
  errorRate: number | null;
  /** Exact percentiles of the service time of correct answers: from its sending to its answer. */
  serviceMs: LatencyMs;
  /**
   * Exact percentiles of the response time, from when a request was due, in an open loop; requests
   * without an answer count with what they had waited. Null in a closed loop.
   */
  responseMs: LatencyMs | null;
  /** The latency that this loop can speak of: response time, or service time in a closed loop. */
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
  /**
   * Percentiles above this one are lower bounds, because of requests without an answer: 100 where
   * all are exact, 0 where none is (a closed loop with more than 5% unfinished).
   */
  exactUpTo: number;
  /** What the samplers saw; null when nothing was measured, or none of it can be read. */
  telemetry: Telemetry | null;
}

/** A central value over the rounds, with its interval. */
export interface Estimate {
  /** The central value: for throughput the mean, for a latency percentile the median of the runs. */
  value: number;
  /** Lower end of the interval; null with a single run. */
  low: number | null;
  /** Upper end of the interval; null with a single run. */
  high: number | null;
}

/** One scenario over its rounds. Failed and rejected runs are counted and never averaged in. */
export interface ScenarioSummary extends LoadLevel {
  /** The scenario's id. */
  scenarioId: string;
  /** The scenario's values. */
  scenario: Scenario;
  /** The arm's label within its study. */
  arm: string;
  /** Shorthands of the scenario, for tables and figures. */
  framework: Framework;
  path: Path;
  /** Whether the users of the app's own locustfile sent the requests. */
  ownUsers: boolean;
  /** Runs that count: the n behind every value below. */
  n: number;
  /** Runs that failed. */
  failedRuns: number;
  /** The most frequent cause of failed runs; null when none failed. */
  cause: string | null;
  /** Runs that a gate rejected. */
  rejectedRuns: number;
  /** The most frequent reason; null when none was rejected. */
  rejection: string | null;
  /** Mean throughput and its 95% t interval; null when no run succeeded. */
  rps: Estimate | null;
  /** Coefficient of variation of throughput over rounds, 0 to 1; null below two runs. */
  rpsCv: number | null;
  /** Median of the runs' percentiles, with the smallest and largest run; see `RunSummary`. */
  serviceMs: Record<PercentileName, Estimate | null>;
  responseMs: Record<PercentileName, Estimate | null> | null;
  p50Ms: Estimate | null;
  p95Ms: Estimate | null;
  p99Ms: Estimate | null;
  /** Percentiles above this one are lower bounds in some run. */
  exactUpTo: number;
  /** What became of the arrivals of all measured runs that did not fail; null in a closed loop. */
  delivery: Delivery | null;
  /** Mean failures per second over all measured runs, failed ones among them; null without any. */
  failuresPerS: number | null;
  /** Failed requests over all answered, all runs together; null when nothing was answered. */
  errorRate: number | null;
  /** Mean throughput of the failed runs that were measured, shown as failed; null without any. */
  failedRps: number | null;
  /** Mean throughput of the rejected runs, shown as rejected; null without any. */
  rejectedRps: number | null;
}

/** By which factor one of two arms was at least ahead, in runs that gates rejected. */
export interface RejectedBound extends DriftBound {
  /** Why the runs were rejected: the gates' titles. */
  reasons: string[];
}

/** Throughput of one scenario over that of another, as decided within the family of its study. */
export interface ThroughputRatio extends LoadLevel {
  framework: Framework;
  /** What both scenarios share: the framework, and settings that tell the pair from others. */
  label: string;
  /** How the app keeps its connections; no pooling conclusion holds without naming it. */
  reuse: Reuse;
  /** Settings that differ, besides the path and PgBouncer's own where that is what is compared. */
  differences: ScenarioKey[];
  /** Rounds behind the ratio: those up to the look at which it ended, where both runs count. */
  n: number;
  /**
   * Geometric mean of the ratios paired by round with its simultaneous 95% interval (see
   * `decideFamily`); null when n is 0.
   */
  ratio: Estimate | null;
  /** What may be said of it, corrected for all comparisons of the study. */
  verdict: ComparisonVerdict;
  /** True while further rounds are wanted. */
  open: boolean;
  /** The slowdown that would have been found in 90% of studies, as a ratio below 1; or null. */
  detectable: number | null;
  /** Standard deviation of the logarithms of the rounds' ratios; null below two rounds. */
  deviation: number | null;
  /** Why there is no ratio, or null. */
  missing: string | null;
  /**
   * What the runs bear, rejected ones among them, where too few count for an interval; null where
   * there is one, no run was rejected, or they bear nothing.
   */
  bound: RejectedBound | null;
}

/** Pooled over direct throughput for one framework, load level and set of settings. */
export interface PathRatio extends ThroughputRatio {
  /** The direct and the pooled scenario's id. */
  direct: string;
  pooled: string;
  /** The paths of which no run succeeded: why there is no ratio. */
  failedPaths: Path[];
  /** The paths of which gates rejected every run that did not fail. */
  rejectedPaths: Path[];
}

/** Two arms of one framework, path and load: a scenario and its copy, or other settings. */
export interface ArmRatio extends ThroughputRatio {
  /** `replica`: the same twice (A/A). `settings`: they differ in `differences`. */
  kind: "replica" | "settings";
  path: Path;
  /** The scenario that is compared with, and the one that is compared, by id. */
  base: string;
  other: string;
  /** Their arms' labels. */
  baseArm: string;
  otherArm: string;
}
