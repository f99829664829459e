/** `summary.csv`, `comparisons.csv` and `runs.csv`, for those who go on in a spreadsheet. */

import { gatesOfRun } from "../diagnose/gates.ts";
import { verdictOf } from "../figures/claims.ts";
import { armName } from "../scenario.ts";
import type { Delivery } from "../stats/delivery.ts";
import { type PercentileName, PERCENTS } from "../stats/latency.ts";
import { COMPARED_PERCENTS } from "../stats/latency_ratios.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type {
  ArmRatio,
  Estimate,
  PathRatio,
  RunSummary,
  ScenarioSummary,
  ThroughputRatio,
} from "../stats/summary.ts";
import type { CellValue, ColumnOf } from "./display.ts";
import type { Study } from "./study.ts";

/** Columns of fields, by their own names in snake_case. */
function fields<Key extends string>(...keys: Key[]): ColumnOf<Record<Key, CellValue>>[] {
  const snakeCase = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return keys.map((key) => [snakeCase(key), (row) => row[key]]);
}

function partOf<Row, Part>(
  pick: (row: Row) => Part | null | undefined,
  columns: ColumnOf<Part>[],
): ColumnOf<Row>[] {
  return columns.map(([header, value]) => [header, (row) => {
    const part = pick(row);
    return part == null ? null : value(part);
  }]);
}

/** A value with the ends of its interval: `rps`, `rps_low` and `rps_high`. */
function estimate<Row>(
  name: string,
  pick: (row: Row) => Estimate | null,
  unit = "",
): ColumnOf<Row>[] {
  return partOf(pick, [
    [name + unit, ({ value }) => value],
    [`${name}_low${unit}`, ({ low }) => low],
    [`${name}_high${unit}`, ({ high }) => high],
  ]);
}

/** `response_p50_ms`, …, `response_p99_9_ms`: empty where a percentile is not known. */
function percentiles<Row>(
  prefix: "response" | "service",
  pick: (row: Row, name: PercentileName) => number | null | undefined,
): ColumnOf<Row>[] {
  return (Object.keys(PERCENTS) as PercentileName[]).map((name) => [
    `${prefix}_${name.replace(".", "_")}_ms`,
    (row) => pick(row, name) ?? null,
  ]);
}

const DELIVERY_COLUMNS = partOf(
  ({ delivery }: { delivery: Delivery | null }) => delivery,
  fields("arrivals", "late", "dropped"),
);

const RATIO_COLUMNS: ColumnOf<ThroughputRatio>[] = [
  ...estimate("ratio", ({ ratio }: ThroughputRatio) => ratio),
  ["verdict", verdictOf],
  ["detectable_ratio", ({ detectable }) => detectable],
  ["ratio_rounds", ({ n }) => n],
  ["ratio_blocks", ({ blocks }) => blocks],
];

const COMPARISON_COLUMNS: ColumnOf<PathRatio | ArmRatio>[] = [
  ["kind", (pair) => "kind" in pair ? pair.kind : "path"],
  ...fields("framework", "users", "arrivalRate", "reuse"),
  ["base_id", (pair) => "kind" in pair ? pair.base : pair.direct],
  ["other_id", (pair) => "kind" in pair ? pair.other : pair.pooled],
  ...RATIO_COLUMNS,
  ["differences", ({ differences }) => differences.join(" ")],
  ...fields("missing"),
  ...COMPARED_PERCENTS.flatMap((percent) =>
    estimate(
      `p${percent}_ratio`,
      (pair: PathRatio | ArmRatio) => "latency" in pair ? pair.latency?.[percent] ?? null : null,
    )
  ),
];

type SummaryOf = Pick<Study, "scenarios" | "runs" | "ratios" | "verdicts">;
type ScenarioRow = ReturnType<typeof scenarioRows>[number];

/** Scenarios with the gates that fired in their runs, what limited them, and the ratio if pooled. */
function scenarioRows({ scenarios, runs, ratios, verdicts }: SummaryOf) {
  return scenarios.map((one) => ({
    ...one,
    gates: new Set(
      runs.filter(({ scenarioId }) => scenarioId === one.scenarioId).flatMap(gatesOfRun),
    ),
    bottleneck: verdicts.find(({ scenario }) => scenario.scenarioId === one.scenarioId),
    ratio: ratios.findLast(({ pooled }) => pooled === one.scenarioId),
  }));
}

function statusOf({ n, failedRuns, rejectedRuns }: ScenarioSummary): string {
  if (n > 0) return failedRuns > 0 ? "partly failed" : rejectedRuns > 0 ? "partly rejected" : "ok";
  return failedRuns > 0 ? "failed" : "rejected";
}

const SCENARIO_COLUMNS: ColumnOf<ScenarioRow>[] = [
  ...fields("framework", "path"),
  // By the scenario's values, as the other columns.
  ["arm", (one) => one.arm.replace(armName(one), `${one.framework} ${one.path}`)],
  ["reuse", ({ scenario }) => scenario.reuse],
  ...fields("users", "arrivalRate"),
  ["status", statusOf],
  ...estimate("rps", ({ rps }: ScenarioRow) => rps),
  ...fields("rpsCv"),
  ...estimate("p50", ({ p50Ms }: ScenarioRow) => p50Ms, "_ms"),
  ...estimate("p95", ({ p95Ms }: ScenarioRow) => p95Ms, "_ms"),
  ...estimate("p99", ({ p99Ms }: ScenarioRow) => p99Ms, "_ms"),
  ...percentiles("response", (one: ScenarioRow, name) => one.responseMs?.[name]?.value),
  ...percentiles("service", (one: ScenarioRow, name) => one.serviceMs[name]?.value),
  ["percentiles_are_lower_bounds", (one) => String(isLowerBound(one, 99))],
  ["exact_up_to_percentile", ({ n, exactUpTo }) => n === 0 ? null : exactUpTo],
  ...DELIVERY_COLUMNS,
  ...fields("failuresPerS", "errorRate", "n", "failedRuns", "rejectedRuns", "failedRps"),
  ["cause", ({ cause, rejection }) => cause ?? rejection],
  ["gates", ({ gates }) => [...gates].join(" ")],
  ["bottleneck", ({ bottleneck }) => bottleneck?.verdict ?? null],
  ["bottleneck_confidence", ({ bottleneck }) => bottleneck?.confidence ?? null],
  ...fields("scenarioId"),
  ...partOf(({ ratio }: ScenarioRow) => ratio, RATIO_COLUMNS),
];

const measured = (run: RunSummary) => run.measured ? run : null;

const RUN_COLUMNS: ColumnOf<RunSummary>[] = [
  ...fields("scenarioId", "round"),
  ...partOf(
    ({ scenario }: RunSummary) => scenario,
    fields("framework", "path", "users", "arrivalRate"),
  ),
  ...fields("status"),
  ...partOf(measured, fields("requests", "failures", "unfinished", "rps")),
  ...fields("p50Ms", "p95Ms", "p99Ms"),
  ...percentiles("response", (run: RunSummary, name) => run.responseMs?.[name]),
  ...percentiles("service", (run: RunSummary, name) => run.serviceMs[name]),
  ["percentiles_are_lower_bounds", (run) => String(isLowerBound(run, 99))],
  ["exact_up_to_percentile", ({ measured, exactUpTo }) => measured ? exactUpTo : null],
  ...DELIVERY_COLUMNS,
  ...fields("cause"),
  ["gates", (run) => gatesOfRun(run).join(" ")],
  ["blocks", ({ slices }) => slices?.length ?? null],
  ["blocks_left_out", ({ slices, conditions }) => slices && conditions.leftOut],
];

function csv<Row>(columns: readonly ColumnOf<Row>[], rows: readonly Row[]): string {
  const field = (value: CellValue) => {
    // Six significant digits: more than the data carry, and no noise of the machine's.
    const text = typeof value === "number" ? String(Number(value.toPrecision(6))) : value ?? "";
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [
    columns.map(([header]) => header),
    ...rows.map((row) => columns.map(([, value]) => field(value(row)))),
  ];
  return lines.map((fields) => fields.join(",") + "\n").join("");
}

/** The scenarios as CSV, each pooled one with its ratio over the direct one. */
export function summaryCsv(study: SummaryOf): string {
  return csv(SCENARIO_COLUMNS, scenarioRows(study));
}

/** The comparisons of throughput as CSV, all of them corrected for each other. */
export function comparisonsCsv({ ratios, armRatios }: Pick<Study, "ratios" | "armRatios">): string {
  return csv(COMPARISON_COLUMNS, [...ratios, ...armRatios]);
}

/** The runs as CSV, from which every summary can be computed again. */
export function runsCsv(runs: readonly RunSummary[]): string {
  return csv(RUN_COLUMNS, runs);
}
