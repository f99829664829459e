/**
 * `summary.csv`, `comparisons.csv` and `runs.csv`: a row per scenario, per comparison and per run, for
 * those who go on in a spreadsheet.
 *
 * @module
 */

import { armName } from "../scenario.ts";
import { gatesOfRun } from "../diagnose/gates.ts";
import type { ScenarioVerdict } from "../diagnose/verdict.ts";
import type { Delivery } from "../stats/delivery.ts";
import { type PercentileName, PERCENTS } from "../stats/latency.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type { ArmRatio, RunSummary, ScenarioSummary, ThroughputRatio } from "../stats/summary.ts";
import { verdictOf } from "../figures/claims.ts";
import type { Study } from "./study.ts";

/** One column of a file: its header, and its field of a row. */
type Column<Row> = [header: string, field: (row: Row) => string | number | null];

/** `response_p50_ms`, …, `response_p99_9_ms`: empty where a percentile is not known. */
function percentileColumns<Row>(
  prefix: "response" | "service",
  pick: (row: Row, name: PercentileName) => number | null,
): Column<Row>[] {
  return (Object.keys(PERCENTS) as PercentileName[]).map((name) => [
    `${prefix}_${name.replace(".", "_")}_ms`,
    (row) => pick(row, name),
  ]);
}

/** What became of an open loop's arrivals; empty in a closed loop. */
function deliveryColumns<Row>(pick: (row: Row) => Delivery | null): Column<Row>[] {
  return (["arrivals", "late", "dropped"] as const).map((name) => [
    name,
    (row) => pick(row)?.[name] ?? null,
  ]);
}

/** A scenario with the ids of the gates that fired in its runs, and what limited it. */
type ScenarioRow = ScenarioSummary & { gates: string[]; bottleneck: ScenarioVerdict | undefined };

function statusOf({ n, failedRuns, rejectedRuns }: ScenarioSummary): string {
  if (n > 0) return failedRuns > 0 ? "partly failed" : rejectedRuns > 0 ? "partly rejected" : "ok";
  return failedRuns > 0 ? "failed" : "rejected";
}

/** A comparison of throughput with what it compares. */
interface ComparisonRow {
  kind: "path" | ArmRatio["kind"];
  base: string;
  other: string;
  ratio: ThroughputRatio;
}

/** What is said of a comparison; empty where a scenario is in none. */
const RATIO_COLUMNS: Column<ThroughputRatio | undefined>[] = [
  ["ratio", (pair) => pair?.ratio?.value ?? null],
  ["ratio_low", (pair) => pair?.ratio?.low ?? null],
  ["ratio_high", (pair) => pair?.ratio?.high ?? null],
  ["verdict", (pair) => pair === undefined ? null : verdictOf(pair)],
  ["detectable_ratio", (pair) => pair?.detectable ?? null],
  ["ratio_rounds", (pair) => pair?.n ?? null],
];

const COMPARISON_COLUMNS: Column<ComparisonRow>[] = [
  ["kind", (row) => row.kind],
  ["framework", (row) => row.ratio.framework],
  ["users", (row) => row.ratio.users],
  ["arrival_rate", (row) => row.ratio.arrivalRate],
  ["reuse", (row) => row.ratio.reuse],
  ["base_id", (row) => row.base],
  ["other_id", (row) => row.other],
  ...RATIO_COLUMNS.map(([header, field]): Column<ComparisonRow> => [
    header,
    (row) => field(row.ratio),
  ]),
  ["differences", (row) => row.ratio.differences.join(" ")],
  ["missing", (row) => row.ratio.missing],
];

const SCENARIO_COLUMNS: Column<ScenarioRow>[] = [
  ["framework", (s) => s.framework],
  ["path", (s) => s.path],
  // By the scenario's values, as the other columns.
  ["arm", (s) => s.arm.replace(armName(s), `${s.framework} ${s.path}`)],
  ["reuse", (s) => s.scenario.reuse],
  ["users", (s) => s.users],
  ["arrival_rate", (s) => s.arrivalRate],
  ["status", statusOf],
  ["rps", (s) => s.rps?.value ?? null],
  ["rps_low", (s) => s.rps?.low ?? null],
  ["rps_high", (s) => s.rps?.high ?? null],
  ["rps_cv", (s) => s.rpsCv],
  ...([["p50", (s) => s.p50Ms], ["p95", (s) => s.p95Ms], ["p99", (s) => s.p99Ms]] as [
    string,
    (s: ScenarioSummary) => ScenarioSummary["p50Ms"],
  ][]).flatMap(([name, pick]): Column<ScenarioSummary>[] => [
    [`${name}_ms`, (s) => pick(s)?.value ?? null],
    [`${name}_low_ms`, (s) => pick(s)?.low ?? null],
    [`${name}_high_ms`, (s) => pick(s)?.high ?? null],
  ]),
  ...percentileColumns<ScenarioRow>(
    "response",
    (s, name) => s.responseMs?.[name]?.value ?? null,
  ),
  ...percentileColumns<ScenarioRow>("service", (s, name) => s.serviceMs[name]?.value ?? null),
  ["percentiles_are_lower_bounds", (s) => String(isLowerBound(s, 99))],
  ["exact_up_to_percentile", (s) => s.n === 0 ? null : s.exactUpTo],
  ...deliveryColumns<ScenarioRow>((s) => s.delivery),
  ["failures_per_s", (s) => s.failuresPerS],
  ["error_rate", (s) => s.errorRate],
  ["n", (s) => s.n],
  ["failed_runs", (s) => s.failedRuns],
  ["rejected_runs", (s) => s.rejectedRuns],
  ["failed_rps", (s) => s.failedRps],
  ["cause", (s) => s.cause ?? s.rejection],
  ["gates", (s) => s.gates.join(" ")],
  ["bottleneck", (s) => s.bottleneck?.verdict ?? null],
  ["bottleneck_confidence", (s) => s.bottleneck?.confidence ?? null],
  ["scenario_id", (s) => s.scenarioId],
];

const RUN_COLUMNS: Column<RunSummary>[] = [
  ["scenario_id", (run) => run.scenarioId],
  ["round", (run) => run.round],
  ["framework", (run) => run.scenario.framework],
  ["path", (run) => run.scenario.path],
  ["users", (run) => run.scenario.users],
  ["arrival_rate", (run) => run.scenario.arrivalRate],
  ["status", (run) => run.status],
  ["requests", (run) => run.measured ? run.requests : null],
  ["failures", (run) => run.measured ? run.failures : null],
  ["unfinished", (run) => run.measured ? run.unfinished : null],
  ["rps", (run) => run.measured ? run.rps : null],
  ["p50_ms", (run) => run.p50Ms],
  ["p95_ms", (run) => run.p95Ms],
  ["p99_ms", (run) => run.p99Ms],
  ...percentileColumns<RunSummary>("response", (run, name) => run.responseMs?.[name] ?? null),
  ...percentileColumns<RunSummary>("service", (run, name) => run.serviceMs[name]),
  ["percentiles_are_lower_bounds", (run) => String(isLowerBound(run, 99))],
  ["exact_up_to_percentile", (run) => run.measured ? run.exactUpTo : null],
  ...deliveryColumns<RunSummary>((run) => run.delivery),
  ["cause", (run) => run.cause],
  ["gates", (run) => gatesOfRun(run).join(" ")],
];

/** Numbers keep six significant digits: more than the data carry, and no noise of the machine's. */
function csvField(value: string | number | null): string {
  if (value === null) return "";
  const text = typeof value === "number" ? String(Number(value.toPrecision(6))) : value;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv<Row>(columns: Column<Row>[], rows: readonly Row[]): string {
  const lines = [
    columns.map(([header]) => header),
    ...rows.map((row) => columns.map(([, field]) => csvField(field(row)))),
  ];
  return lines.map((fields) => fields.join(",") + "\n").join("");
}

/**
 * The scenarios as CSV: the published table's columns, percentiles, error rate, n and spread, and
 * beside each pooled scenario its ratio over the direct one.
 *
 * @param study The study.
 */
export function summaryCsv(
  { scenarios, runs, ratios, verdicts }: Pick<
    Study,
    "scenarios" | "runs" | "ratios" | "verdicts"
  >,
): string {
  const byPooled = new Map(ratios.map((ratio) => [ratio.pooled, ratio]));
  const columns = RATIO_COLUMNS.map(([header, field]): Column<ScenarioRow> => [
    header,
    ({ scenarioId }) => field(byPooled.get(scenarioId)),
  ]);
  const rows = scenarios.map((scenario) => {
    const own = runs.filter(({ scenarioId }) => scenarioId === scenario.scenarioId);
    const gates = [...new Set(own.flatMap(gatesOfRun))];
    const bottleneck = verdicts.find((verdict) =>
      verdict.scenario.scenarioId === scenario.scenarioId
    );
    return { ...scenario, gates, bottleneck };
  });
  return csv([...SCENARIO_COLUMNS, ...columns], rows);
}

/**
 * The comparisons of throughput as CSV, all of them corrected for each other.
 *
 * @param study The study.
 */
export function comparisonsCsv({ ratios, armRatios }: Pick<Study, "ratios" | "armRatios">): string {
  return csv(COMPARISON_COLUMNS, [
    ...ratios.map((ratio): ComparisonRow => ({
      kind: "path",
      base: ratio.direct,
      other: ratio.pooled,
      ratio,
    })),
    ...armRatios.map((ratio): ComparisonRow => ({
      kind: ratio.kind,
      base: ratio.base,
      other: ratio.other,
      ratio,
    })),
  ]);
}

/**
 * The runs as CSV, from which every summary can be computed again.
 *
 * @param runs The runs of a study.
 */
export function runsCsv(runs: readonly RunSummary[]): string {
  return csv(RUN_COLUMNS, runs);
}
