/** The rows that tables, figures and reports are made of. */

import type { Path, Scenario, ScenarioKey } from "../scenario.ts";
import type { RunConditions } from "./conditions.ts";
import type { DriftBound } from "./drift_bound.ts";
import type { ComparisonResult } from "./family.ts";
import type { LatencyRatios } from "./latency_ratios.ts";
import type { Measures, summariseScenarios } from "./summarise.ts";
import type { Telemetry } from "./telemetry.ts";

/** A run before its requests are counted. */
export interface RunHead {
  scenarioId: string;
  scenario: Scenario;
  arm: string;
  /** From 1. */
  round: number;
  /** `rejected`: it did not fail, but a gate says that its numbers support no sentence. */
  status: "ok" | "failed" | "rejected";
  cause: string | null;
}

/** One run in numbers. Rates and latencies are those of the measurement window. */
export interface RunSummary extends RunHead, Measures {
  conditions: RunConditions;
  /** What the samplers saw; null when nothing was measured, or none of it can be read. */
  telemetry: Telemetry | null;
}

export interface Estimate {
  /** For throughput the mean, for a latency percentile the median of the runs. */
  value: number;
  /** The ends of the interval; null with a single run. */
  low: number | null;
  high: number | null;
}

/** One scenario over its rounds. Failed and rejected runs are counted and never averaged in. */
export type ScenarioSummary = ReturnType<typeof summariseScenarios>[number];

/** By which factor one of two arms was at least ahead, in runs that gates rejected. */
export interface RejectedBound extends DriftBound {
  /** Why the runs were rejected: the gates' titles. */
  reasons: string[];
}

/** Throughput of one scenario over that of another, as decided within the family of its study. */
export interface ThroughputRatio
  extends ComparisonResult, Pick<Scenario, "framework" | "reuse" | "users" | "arrivalRate"> {
  /** What both scenarios share: the framework, and settings that tell the pair from others. */
  label: string;
  /** Settings that differ, besides the path and PgBouncer's own where that is what is compared. */
  differences: ScenarioKey[];
  /** Why there is no ratio, or null. */
  missing: string | null;
  /** What the runs bear, rejected ones among them, where too few count for an interval. */
  bound: RejectedBound | null;
}

/** Pooled over direct throughput for one framework, load level and set of settings. */
export interface PathRatio extends ThroughputRatio {
  /** The direct and the pooled scenario's id. */
  direct: string;
  pooled: string;
  /** Of latency percentiles, where the arms take turns; null in the consecutive design. */
  latency: LatencyRatios | null;
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
  base: string;
  other: string;
  baseArm: string;
  otherArm: string;
}
