/**
 * `summary_report.md`: the study in one page.
 *
 * @module
 */

import { reportHeadings as headings } from "../wording/tables.ts";
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
  if (study.context.functionalCheck) return checkReport(study, openLoop);
  const published = [publishedTable(study), flawsTable(study)]
    .flatMap((table) => table?.markdown() ?? []);
  return join([
    headings.title(study.name),
    String(conclusion(study)),
    `![${headings.rpsPlot}](plots/rps_comparison.png)`,
    headings.believed,
    String(readGates(study)),
    headings.measured,
    String(describeStudy(study)),
    headings.throughput,
    String(readThroughput(study)),
    headings.latency,
    String(readLatency(study)),
    `![${headings.latencyPlot}](plots/p95_latency_comparison.png)`,
    headings.limited,
    String(readVerdicts(study)),
    verdictTable(study).markdown(),
    ...(confirmation === null ? [] : [
      String(readConfirmation(study, confirmation)),
      confirmationTable(study, confirmation).markdown(),
    ]),
    headings.paths,
    String(readRatios(study)),
    ...(study.ratios.length === 0 ? [] : [ratioTable(study).markdown()]),
    ...(study.armRatios.length === 0 ? [] : [
      headings.arms,
      String(readArmRatios(study)),
      armRatioTable(study).markdown(),
    ]),
    headings.pooler,
    String(readEvidence(study)),
    ...(study.ratios.length === 0 ? [] : [evidenceTable(study).markdown()]),
    ...(study.plan.openLoop === undefined ? [] : [
      headings.equalLoad,
      String(readOpenLoop(openLoop, study)),
    ]),
    ...(openLoop === null ? [] : [
      String(readGates(openLoop)),
      `![${headings.openLoopPlot}](plots/open_loop_latency.png)`,
      openLoopTable(openLoop).markdown(),
    ]),
    headings.scenarios,
    referenceTable(study).markdown(),
    headings.legend,
    ...failureSections(study),
    ...(published.length === 0 ? [] : [headings.published, ...published]),
    headings.settings,
    settingsTable(study).markdown(),
  ]);
}

/** The report of a functional check, which compares nothing. */
function checkReport(study: Study, openLoop: Study | null): string {
  return join([
    headings.checkTitle(study.name),
    String(conclusion(study)),
    referenceTable(study).markdown(),
    String(readGates(study)),
    headings.run,
    String(describeStudy(study)),
    ...(openLoop === null ? [] : [headings.openLoop, referenceTable(openLoop).markdown()]),
    ...failureSections(study),
    headings.settings,
    settingsTable(study).markdown(),
  ]);
}

function failureSections(study: Study): string[] {
  const failed = study.runs.some((run) => run.status === "failed");
  return [
    headings.failed,
    String(readFailures(study)),
    ...(failed ? [failuresTable(study).markdown()] : []),
  ];
}

function join(sections: readonly string[]): string {
  return sections.join("\n\n") + "\n";
}
