/**
 * Everything that is read of a study: tables, plots, executed notebooks and HTML, made from its
 * folder alone.
 *
 * @module
 */

import { join, relative } from "node:path";
import { sweep } from "./engine/cleanup.ts";
import { executeNotebooks } from "./notebooks/execute.ts";
import { interruptible } from "./notebooks/guard.ts";
import { convertToHtml } from "./notebooks/html.ts";
import { exportTables } from "./report/export.ts";
import type { Study } from "./report/study.ts";
import { setUpNotebooks } from "./setup/mod.ts";
import { ROOT } from "./store/layout.ts";
import { lockStudy } from "./store/lock.ts";

/** Options of {@linkcode exportStudy}. */
export interface ExportOptions {
  /** Receives a line for each step and each file. @default nothing is said */
  log?: (line: string) => void;
  /** Receives a line for each cell, which the next one replaces. @default nothing is said */
  status?: (line: string) => void;
  /** Ends the export; the study stays as it is. */
  signal?: AbortSignal;
}

/**
 * Writes the study's `report/` folder anew.
 *
 * @param study The study; what its plan asks for must be complete.
 * @returns The files of the report.
 * @throws {PoolscopeError} If a notebook fails, its output is saved first; or if somebody else runs
 * or exports the study.
 */
export async function exportStudy(study: Study, options: ExportOptions = {}): Promise<string[]> {
  const { log = () => {}, status } = options;
  using interrupt = interruptible(options.signal, "The export was interrupted; the study is kept");
  const { signal } = interrupt;
  using _lock = await lockStudy(study.folder, "an export");
  for (const line of await sweep()) log(line);
  const folder = join(study.folder, "report");
  const files = await exportTables(study, folder);
  await setUpNotebooks({ log, signal });
  const notebooks = await executeNotebooks({
    parameters: { study: study.name },
    outputFolder: folder,
    log,
    status,
    signal,
  });
  files.push(...notebooks, ...await convertToHtml(notebooks, { signal }));
  for (const file of files) log(`  ${relative(ROOT, file)}`);
  return files;
}
