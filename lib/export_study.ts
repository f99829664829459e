/**
 * Everything that is read of a study: tables, plots, executed notebooks and HTML, made from its
 * folder alone.
 *
 * @module
 */

import { join, relative } from "node:path";
import { PoolscopeError } from "./errors.ts";
import { sweep } from "./engine/cleanup.ts";
import { executeNotebooks } from "./notebooks/execute.ts";
import { interruptible } from "./notebooks/guard.ts";
import { convertToHtml } from "./notebooks/html.ts";
import { notebookView } from "./notebooks/progress.ts";
import { exportTables } from "./report/export.ts";
import type { Study } from "./report/study.ts";
import { setUpNotebooks } from "./setup/mod.ts";
import { type NewEvent, stampEvent, type StudyEvent } from "./store/events.ts";
import { ROOT } from "./store/layout.ts";
import { lockStudy } from "./store/lock.ts";

/** Options of {@linkcode exportStudy}. */
export interface ExportOptions {
  /** Execute the notebooks and write their HTML, beside tables and plots. @default true */
  notebooks?: boolean;
  /** Called with what happens, for a view of the progress. @default the notebook's view */
  onEvent?: (event: StudyEvent) => void;
  /** Ends the export; the study stays as it is. */
  signal?: AbortSignal;
}

/** Steps beside the notebooks: tables and plots before them, HTML after them. */
const OTHER_STEPS = 2;

/**
 * Writes the study's `report/` folder anew.
 *
 * @param study The study; what its plan asks for must be complete.
 * @returns The files of the report.
 * @throws {PoolscopeError} If a notebook fails, its output is saved first; or if somebody else runs
 * or exports the study.
 */
export async function exportStudy(study: Study, options: ExportOptions = {}): Promise<string[]> {
  const { onEvent = notebookView() } = options;
  using interrupt = interruptible(options.signal, "The export was interrupted; the study is kept");
  const { signal } = interrupt;
  using _lock = await lockStudy(study.folder, "an export");
  const emit = (event: NewEvent) => onEvent(stampEvent(event));
  const begun = performance.now();
  for (const text of await sweep()) emit({ event: "note", text });
  const folder = join(study.folder, "report");
  const { name, manifests } = study;
  const [openLoop, confirmation] = [await study.openLoop(), await study.confirmation()];
  const isOpenLoopToCome = openLoop === null ? study.openLoopPlan() !== null : !openLoop.complete;
  if (study.complete && isOpenLoopToCome) {
    const toCome = openLoop === null ? "all" : String(openLoop.missing.length);
    throw new PoolscopeError(
      `Cannot export study "${name}": ${toCome} runs of its open loop are to come; finish them with \`deno task run --study ${name}\``,
    );
  }
  const failed = manifests.filter((manifest) => manifest.status === "failed").length;
  emit({ event: "report_started", study: name, runs: manifests.length, failed });
  emit({ event: "report_step", text: "tables and plots", done: 0, total: OTHER_STEPS });
  const files = exportTables(study, { openLoop, confirmation, reportFolder: folder });
  if (options.notebooks ?? true) {
    files.push(...await exportNotebooks(study, folder, emit, signal));
  }
  emit({
    ...{ event: "report_finished", study: name, files: files.map((file) => relative(ROOT, file)) },
    tookS: (performance.now() - begun) / 1000,
  });
  return files;
}

/** Executes the notebooks and writes a page for each. */
async function exportNotebooks(
  study: Study,
  folder: string,
  emit: (event: NewEvent) => void,
  signal?: AbortSignal,
): Promise<string[]> {
  let total = OTHER_STEPS;
  const step = (text: string, done: number) => emit({ event: "report_step", text, done, total });
  await setUpNotebooks({ log: (text) => emit({ event: "setup", text }), signal });
  step("starting the notebooks' kernel", 1);
  const notebooks = await executeNotebooks({
    parameters: { study: study.name },
    outputFolder: folder,
    status: (text, place) => {
      total = OTHER_STEPS + place.total;
      step(text, 1 + place.done);
    },
    signal,
  });
  step("HTML", total - 1);
  return [...notebooks, ...await convertToHtml(notebooks, { signal })];
}
