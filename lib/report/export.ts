/**
 * Writes the report's files.
 *
 * @module
 */

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { p95ComparisonFigure, rpsComparisonFigure } from "../figures/comparison.ts";
import { openLoopFigure } from "../figures/open_loop.ts";
import { ROOT } from "../store/layout.ts";
import { comparisonsCsv, runsCsv, summaryCsv } from "./csv.ts";
import { summaryReport } from "./markdown.ts";
import type { Study } from "./study.ts";

/** Writes a file by temporary name and rename: a reader sees the old one or the new one. */
function writeWhole(file: string, content: string | Uint8Array): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const temporary = `${file}.${Deno.pid}.tmp`;
    writeFileSync(temporary, content);
    renameSync(temporary, file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new PoolscopeError(
      `Cannot write ${relative(ROOT, file)}: ${
        code ?? message
      }; make room or rights for it, then export again`,
      { cause: error },
    );
  }
}

/** What followed a study, and where its report goes. */
export interface ExportTablesOptions {
  /** The open loop. @default none */
  openLoop?: Study | null;
  /** The test of its verdicts. @default none */
  confirmation?: Study | null;
  /** @default `report/` in the study's folder */
  reportFolder?: string;
}

/**
 * Writes `summary_report.md`, `summary.csv`, `runs.csv`, `comparisons.csv`, `plots/rps_comparison.png` and
 * `plots/p95_latency_comparison.png`, and of an open loop `open_loop.csv`, `open_loop_runs.csv` and
 * `plots/open_loop_latency.png`.
 *
 * @param study The study.
 * @param options What followed it, and where to.
 * @returns The files written.
 */
export function exportTables(study: Study, options: ExportTablesOptions = {}): string[] {
  const { openLoop = null, confirmation = null } = options;
  const { reportFolder = join(study.folder, "report") } = options;
  const files: [string, string | Uint8Array][] = [
    ["summary_report.md", summaryReport(study, { openLoop, confirmation })],
    ["summary.csv", summaryCsv(study)],
    ["runs.csv", runsCsv(study.runs)],
    ["comparisons.csv", comparisonsCsv(study)],
    ["plots/rps_comparison.png", rpsComparisonFigure(study.scenarios, study).png()],
    ["plots/p95_latency_comparison.png", p95ComparisonFigure(study.scenarios, study).png()],
    ...(openLoop === null ? [] : [
      // Throughput at a given rate is what was offered: its ratio says nothing.
      [
        "open_loop.csv",
        summaryCsv({ ...openLoop, ratios: [] }),
      ],
      ["open_loop_runs.csv", runsCsv(openLoop.runs)],
      ["plots/open_loop_latency.png", openLoopFigure(openLoop).png()],
    ] as [string, string | Uint8Array][]),
  ];
  return writeReport(reportFolder, files);
}

/**
 * Writes the files of a report.
 *
 * @param folder Their folder; it is made where there is none.
 * @param files Each file's name and content.
 * @returns The files written.
 * @throws {PoolscopeError} If one cannot be written.
 */
export function writeReport(
  folder: string,
  files: readonly (readonly [string, string | Uint8Array])[],
): string[] {
  return files.map(([name, content]) => {
    const file = join(folder, name);
    writeWhole(file, content);
    return file;
  });
}
