/**
 * Writes the report's files.
 *
 * @module
 */

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { p95ComparisonFigure, rpsComparisonFigure } from "../figures/comparison.ts";
import { runsCsv, summaryCsv } from "./csv.ts";
import { summaryReport } from "./markdown.ts";
import type { Study } from "./study.ts";

/** Writes a file by temporary name and rename: a reader sees the old one or the new one. */
function writeWhole(file: string, content: string | Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${Deno.pid}.tmp`;
  writeFileSync(temporary, content);
  renameSync(temporary, file);
}

/**
 * Writes `summary_report.md`, `summary.csv`, `runs.csv`, `plots/rps_comparison.png` and
 * `plots/p95_latency_comparison.png`.
 *
 * @param study The study.
 * @param reportFolder Where to. @default `report/` in the study's folder
 * @returns The files written.
 */
export function exportTables(study: Study, reportFolder = join(study.folder, "report")): string[] {
  const files: [string, string | Uint8Array][] = [
    ["summary_report.md", summaryReport(study)],
    ["summary.csv", summaryCsv(study.scenarios)],
    ["runs.csv", runsCsv(study.runs)],
    ["plots/rps_comparison.png", rpsComparisonFigure(study.scenarios, study).png()],
    ["plots/p95_latency_comparison.png", p95ComparisonFigure(study.scenarios, study).png()],
  ];
  return files.map(([name, content]) => {
    const file = join(reportFolder, name);
    writeWhole(file, content);
    return file;
  });
}
