/**
 * `summary_report.md`: the study in one page.
 *
 * @module
 */

import { conclusion } from "./answer.ts";
import { evidenceTable, readEvidence } from "./evidence.ts";
import { flawsTable } from "./flaws.ts";
import { readGates } from "./gates.ts";
import { describeStudy, readFailures, readLatency, readThroughput } from "./narrative.ts";
import { openLoopTable, readOpenLoop } from "./open_loop.ts";
import { publishedTable } from "./published.ts";
import { readArmRatios, readRatios } from "./ratios.ts";
import type { Study } from "./study.ts";
import {
  armRatioTable,
  failuresTable,
  ratioTable,
  referenceTable,
  settingsTable,
} from "./tables.ts";
import { confirmationTable, readConfirmation, readVerdicts, verdictTable } from "./verdicts.ts";

/**
 * The report of a study as Markdown. Its two plots are those that `exportTables` writes beside it.
 *
 * @param study The study.
 * @param followUps The open loop that followed it, and the test of its verdicts. @default none
 */
export function summaryReport(
  study: Study,
  { openLoop = null, confirmation = null }: {
    openLoop?: Study | null;
    confirmation?: Study | null;
  } = {},
): string {
  const failed = study.runs.some((run) => run.status === "failed")
    ? [failuresTable(study).markdown()]
    : [];
  if (study.context.functionalCheck) {
    return join([
      `# Poolscope: ${study.name}`,
      String(conclusion(study)),
      referenceTable(study).markdown(),
      String(readGates(study)),
      "## What was run",
      String(describeStudy(study)),
      ...(openLoop === null ? [] : ["### Its open loop", referenceTable(openLoop).markdown()]),
      "## What failed",
      String(readFailures(study)),
      ...failed,
      "## Settings",
      settingsTable(study).markdown(),
    ]);
  }
  const published = [publishedTable(study), flawsTable(study)]
    .flatMap((table) => table?.markdown() ?? []);
  return join([
    `# Should you put PgBouncer in front of PostgreSQL? The answer of ${study.name}`,
    String(conclusion(study)),
    "![Throughput of every arm at each load](plots/rps_comparison.png)",
    "## Can these numbers be believed?",
    String(readGates(study)),
    "## What was measured",
    String(describeStudy(study)),
    "## Throughput",
    String(readThroughput(study)),
    "## Latency",
    String(readLatency(study)),
    "![P95 latency of every arm at each load](plots/p95_latency_comparison.png)",
    "## What limited each arm",
    String(readVerdicts(study)),
    verdictTable(study).markdown(),
    ...(confirmation === null ? [] : [
      String(readConfirmation(study, confirmation)),
      confirmationTable(study, confirmation).markdown(),
    ]),
    "## Pooled against direct",
    String(readRatios(study)),
    ...(study.ratios.length === 0 ? [] : [ratioTable(study).markdown()]),
    ...(study.armRatios.length === 0 ? [] : [
      "## Arms that ran twice or with other settings",
      String(readArmRatios(study)),
      armRatioTable(study).markdown(),
    ]),
    "## What the pooler did",
    String(readEvidence(study)),
    ...(study.ratios.length === 0 ? [] : [evidenceTable(study).markdown()]),
    ...(study.plan.openLoop === undefined ? [] : [
      "## Latency at equal load",
      String(readOpenLoop(openLoop, study)),
    ]),
    ...(openLoop === null ? [] : [
      String(readGates(openLoop)),
      "![Response time of both paths at equal arrival rates](plots/open_loop_latency.png)",
      openLoopTable(openLoop).markdown(),
    ]),
    "## Every scenario",
    referenceTable(study).markdown(),
    "RPS is the mean of correct answers per second over n successful runs, with its 95% t " +
    "interval; in brackets, the throughput of failed or rejected runs. Percentiles are medians of the runs' " +
    "exact percentiles. ≥ marks lower bounds.",
    "## What failed",
    String(readFailures(study)),
    ...failed,
    ...(published.length === 0 ? [] : ["## The published result", ...published]),
    "## Settings",
    settingsTable(study).markdown(),
  ]);
}

function join(sections: readonly string[]): string {
  return sections.join("\n\n") + "\n";
}
