/**
 * `summary.csv`: a row per scenario for those who go on in a spreadsheet.
 *
 * @module
 */

import type { ScenarioSummary } from "../stats/summary.ts";

/** One column of summary.csv. */
type Column = [header: string, value: (scenario: ScenarioSummary) => string | number | null];

const COLUMNS: Column[] = [
  ["framework", (s) => s.framework],
  ["path", (s) => s.path],
  ["arm", (s) => s.arm],
  ["reuse", (s) => s.scenario.reuse],
  ["users", (s) => s.users],
  ["status", (s) => s.n === 0 ? "failed" : s.failedRuns > 0 ? "partly failed" : "ok"],
  ["rps", (s) => s.rps?.value ?? null],
  ["rps_low", (s) => s.rps?.low ?? null],
  ["rps_high", (s) => s.rps?.high ?? null],
  ["rps_cv", (s) => s.rpsCv],
  ...([["p50", (s) => s.p50Ms], ["p95", (s) => s.p95Ms], ["p99", (s) => s.p99Ms]] as [
    string,
    (s: ScenarioSummary) => ScenarioSummary["p50Ms"],
  ][]).flatMap(([name, pick]): Column[] => [
    [`${name}_ms`, (s) => pick(s)?.value ?? null],
    [`${name}_low_ms`, (s) => pick(s)?.low ?? null],
    [`${name}_high_ms`, (s) => pick(s)?.high ?? null],
  ]),
  ["percentiles_are_lower_bounds", (s) => String(s.censored)],
  ["failures_per_s", (s) => s.failuresPerS],
  ["error_rate", (s) => s.errorRate],
  ["n", (s) => s.n],
  ["failed_runs", (s) => s.failedRuns],
  ["failed_rps", (s) => s.failedRps],
  ["cause", (s) => s.cause],
  ["scenario_id", (s) => s.scenarioId],
];

/** Numbers keep six significant digits: more than the data carry, and no noise of the machine's. */
function csvField(value: string | number | null): string {
  if (value === null) return "";
  const text = typeof value === "number" ? String(Number(value.toPrecision(6))) : value;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * The scenarios as CSV: the published table's columns, and percentiles, error rate, n and spread.
 *
 * @param scenarios The scenarios of a study.
 */
export function summaryCsv(scenarios: readonly ScenarioSummary[]): string {
  const lines = [
    COLUMNS.map(([header]) => header),
    ...scenarios.map((scenario) => COLUMNS.map(([, value]) => csvField(value(scenario)))),
  ];
  return lines.map((fields) => fields.join(",") + "\n").join("");
}
