/** Writes the report's files: the study in one page, CSV and plots. */

import { mkdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { writeAtomic } from "../store/files.ts";
import { ROOT } from "../store/layout.ts";
import { alternationWords } from "../wording/alternation.ts";
import { comparisonsCsv, runsCsv, summaryCsv } from "./csv.ts";
import { joinTexts, type Text } from "./display.ts";
import * as shown from "./shown.ts";
import type { Study } from "./study.ts";

const LEGEND =
  "RPS is the mean of correct answers per second over n successful runs, with its 95% t " +
  "interval; in brackets, the throughput of failed or rejected runs. Percentiles are medians of the runs' " +
  "exact percentiles. ≥ marks lower bounds.";

/** What followed a study, and where its report goes. */
export interface ExportTablesOptions {
  openLoop?: Study | null;
  confirmation?: Study | null;
  /** @default `report/` in the study's folder */
  reportFolder?: string;
}

/**
 * Writes `summary_report.md`, `summary.csv`, `runs.csv`, `comparisons.csv`, `plots/rps_comparison.png` and
 * `plots/p95_latency_comparison.png`, of pool sizes `plots/pool_sizes.png`, of ways to connect
 * `plots/choices.png`, and of an open loop `open_loop.csv`, `open_loop_runs.csv` and
 * `plots/open_loop_latency.png`; returns their paths.
 */
export function exportTables(study: Study, options: ExportTablesOptions = {}): string[] {
  const { openLoop = null, reportFolder = join(study.folder, "report") } = options;
  const files: Record<string, string | Uint8Array> = {
    "summary_report.md": summaryReport(study, options),
    "summary.csv": summaryCsv(study),
    "runs.csv": runsCsv(study.runs),
    "comparisons.csv": comparisonsCsv(study),
    "plots/rps_comparison.png": shown.rpsComparisonFigure(study.scenarios, study).png(),
    "plots/p95_latency_comparison.png": shown.p95ComparisonFigure(study.scenarios, study).png(),
  };
  if (study.poolSizes.length > 0) {
    files["plots/pool_sizes.png"] = shown.poolSizeFigure(study).png();
  }
  if (study.effects.length > 0) {
    files["plots/choices.png"] = shown.effectFigure(study.effects, study).png();
  }
  if (openLoop !== null) {
    // Throughput at a given rate is what was offered: its ratio says nothing.
    files["open_loop.csv"] = summaryCsv({ ...openLoop, ratios: [] });
    files["open_loop_runs.csv"] = runsCsv(openLoop.runs);
    files["plots/open_loop_latency.png"] = shown.openLoopFigure(openLoop).png();
  }
  return writeReport(reportFolder, files);
}

/** Writes the files of a report, by name: a reader sees the old one or the new one. */
export function writeReport(folder: string, files: Record<string, string | Uint8Array>): string[] {
  return Object.entries(files).map(([name, content]) => {
    const file = join(folder, name);
    try {
      mkdirSync(dirname(file), { recursive: true });
      writeAtomic(file, content);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new PoolscopeError(
        `Cannot write ${relative(ROOT, file)}: ${code ?? message}; make room or rights for it, ` +
          "then export again",
        { cause: error },
      );
    }
    return file;
  });
}

/** `summary_report.md`: the study in one page, with the plots that {@linkcode exportTables} writes. */
export function summaryReport(study: Study, options: ExportTablesOptions = {}): string {
  const { openLoop = null, confirmation = null } = options;
  if (study.context.functionalCheck) return checkReport(study, openLoop);
  const [published, flaws] = [shown.publishedTable(study), shown.flawsTable(study)];
  const hasPairs = study.ratios.length > 0;
  const hasSizes = study.poolSizes.length > 0;
  const hasEffects = study.effects.length > 0;
  const hasOtherArms = study.armRatios.length > 0;
  return page(
    `# Should you put PgBouncer in front of PostgreSQL? The answer of ${study.name}`,
    shown.conclusion(study),
    hasSizes && "![Throughput of every pool size beside the best](plots/pool_sizes.png)",
    hasEffects && "![What each choice brings, all else equal](plots/choices.png)",
    "![Throughput of every arm at each load](plots/rps_comparison.png)",
    "## Can these numbers be believed?",
    shown.readGates(study),
    "## What was measured",
    shown.describeStudy(study),
    "## Throughput",
    shown.readThroughput(study),
    hasSizes && "## Pool sizes",
    hasSizes && shown.readPoolSizes(study),
    hasSizes && shown.poolSizeTable(study),
    hasEffects && "## What each choice brings",
    hasEffects && shown.readEffects(study),
    hasEffects && shown.effectTable(study),
    hasEffects && shown.cpuPerRequestTable(study),
    "## Latency",
    shown.readLatency(study),
    "![P95 latency of every arm at each load](plots/p95_latency_comparison.png)",
    "## What limited each arm",
    shown.readVerdicts(study),
    shown.verdictTable(study),
    confirmation && shown.readConfirmation(study, confirmation),
    confirmation && shown.confirmationTable(study, confirmation),
    "## Pooled against direct",
    shown.readRatios(study),
    hasPairs && shown.ratioTable(study),
    hasOtherArms && "## Arms that ran twice or with other settings",
    hasOtherArms && shown.readArmRatios(study),
    hasOtherArms && shown.armRatioTable(study),
    ...turnsSections(study),
    "## What the pooler did",
    shown.readEvidence(study),
    hasPairs && shown.evidenceTable(study),
    study.plan.openLoop && "## Latency at equal load",
    study.plan.openLoop && shown.readOpenLoop(openLoop, study),
    openLoop && shown.readGates(openLoop),
    openLoop &&
      "![Response time of both paths at equal arrival rates](plots/open_loop_latency.png)",
    openLoop && shown.openLoopTable(openLoop),
    "## Every scenario",
    shown.referenceTable(study),
    LEGEND,
    ...failureSections(study),
    (published ?? flaws) && "## The published result",
    published,
    flaws,
    "## Settings",
    shown.settingsTable(study),
  );
}

function checkReport(study: Study, openLoop: Study | null): string {
  return page(
    `# Poolscope: ${study.name}`,
    shown.conclusion(study),
    shown.referenceTable(study),
    shown.readGates(study),
    "## What was run",
    shown.describeStudy(study),
    openLoop && "### Its open loop",
    openLoop && shown.referenceTable(openLoop),
    ...failureSections(study),
    "## Settings",
    shown.settingsTable(study),
  );
}

function turnsSections(study: Study): Text[] {
  return study.alternation === null ? [] : [
    `## ${alternationWords.title}`,
    shown.readAlternation(study),
    shown.turnsTable(study),
    shown.carryOverTable(study),
  ];
}

function failureSections(study: Study) {
  return [
    "## What failed",
    shown.readFailures(study),
    study.counts().failed > 0 && shown.failuresTable(study),
  ];
}

function page(...sections: Text[]): string {
  return joinTexts("\n\n", ...sections) + "\n";
}
