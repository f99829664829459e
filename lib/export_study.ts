/** Everything that is read of a study, made from its folder alone. */

import { rmSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { PoolscopeError } from "./errors.ts";
import { sweep } from "./hosts/owned.ts";
import { claimsError, falseClaims } from "./notebooks/claims.ts";
import { executeNotebooks } from "./notebooks/execute.ts";
import { EXPORTED_STUDY, interruptible } from "./notebooks/guard.ts";
import { convertToHtml } from "./notebooks/html.ts";
import {
  chooseNotebooks,
  NOTEBOOKS,
  POOL_SIZE_NOTEBOOK,
  STRATEGIES_NOTEBOOK,
} from "./notebooks/notebook.ts";
import { notebookView } from "./notebooks/progress.ts";
import { describeOutcome } from "./report/answer.ts";
import { expectStudy } from "./report/checked.ts";
import { exportTables } from "./report/export.ts";
import type { Study } from "./report/study.ts";
import { setUpNotebooks } from "./setup/mod.ts";
import { type NewEvent, stampEvent, type StudyEvent } from "./store/events.ts";
import { ROOT } from "./store/layout.ts";
import { lockStudy } from "./store/lock.ts";

export interface ExportOptions {
  /** Execute the notebooks and write their HTML, beside tables and plots. @default true */
  notebooks?: boolean;
  /** The reader's notebooks to be executed after Poolscope's own, by path. @default none */
  furtherNotebooks?: string[];
  /**
   * Whether it is an error if the data does not bear a claim of a notebook, or a reader's notebook fails.
   *
   * @default false: it is a note
   */
  strict?: boolean;
  /** Called with what happens, for a view of the progress. @default the notebook's view */
  onEvent?: (event: StudyEvent) => void;
  /** Ends the export; the study stays as it is. */
  signal?: AbortSignal;
}

/** Of notebooks that are about what not every study has: whether it has. */
const HAS_PAGE: Record<string, (study: Study) => boolean> = {
  [POOL_SIZE_NOTEBOOK]: ({ poolSizes }) => poolSizes.length > 0,
  [STRATEGIES_NOTEBOOK]: ({ effects }) => effects.length > 0,
};

/** Steps beside the notebooks: tables and plots before them, HTML after them. */
const OTHER_STEPS = 2;

/**
 * Writes the study's `report/` folder anew.
 *
 * @param study The study, as far as it has come.
 * @returns The files of the report.
 * @throws {UsageError} If one of the further notebooks cannot be read.
 * @throws {PoolscopeError} If one of Poolscope's own notebooks fails: it costs its own page, the rest
 * of the report is written first. A reader's notebook that fails is told as a note. Or if `strict` asks
 * for it, and a claim does not hold. Or if somebody else runs or exports the study.
 */
export async function exportStudy(study: Study, options: ExportOptions = {}): Promise<string[]> {
  expectStudy("exportStudy", study);
  const { onEvent = notebookView() } = options;
  const notebooks = (await chooseNotebooks(options.furtherNotebooks))
    .filter((path) => HAS_PAGE[basename(path)]?.(study) ?? true);
  using interrupt = interruptible(options.signal, "The export was interrupted; the study is kept");
  const { signal } = interrupt;
  using _lock = await lockStudy(study.folder, "an export");
  const emit = (event: NewEvent) => onEvent(stampEvent(event));
  const begun = performance.now();
  for (const text of await sweep()) emit({ event: "note", text });
  const { name, runs } = study;
  const [openLoop, confirmation] = [await study.openLoop(), await study.confirmation()];
  const counts = study.counts();
  emit({ event: "report_started", study: name, runs: runs.length, failed: counts.failed });
  const files: string[] = [];
  const ending = () => ({
    study: name,
    files: files.map((file) => relative(ROOT, file)),
    tookS: (performance.now() - begun) / 1000,
  });
  try {
    emit({ event: "report_step", text: "tables and plots", done: 0, total: OTHER_STEPS });
    const folder = join(study.folder, "report");
    files.push(...exportTables(study, { openLoop, confirmation, reportFolder: folder }));
    if (options.notebooks ?? true) {
      const { strict } = options;
      const { pages, lost } = await exportNotebooks(study, folder, notebooks, emit, {
        signal,
        strict,
      });
      files.push(...pages);
      if (lost.length > 0) throw new PoolscopeError(lost.join("; "));
      const unproven = pages.filter((page) => page.endsWith(".ipynb")).flatMap(falseClaims);
      if (unproven.length > 0 && strict) throw claimsError(unproven);
      for (const text of unproven) emit({ event: "note", text });
    }
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    emit({ event: "report_failed", cause, ...ending() });
    throw error;
  }
  emit({ event: "report_finished", ...counts, ...describeOutcome(study), ...ending() });
  return files;
}

/** Executes the notebooks and writes a page for each; one that fails costs no other. */
async function exportNotebooks(
  study: Study,
  folder: string,
  notebooks: string[],
  emit: (event: NewEvent) => void,
  { signal, strict }: Pick<ExportOptions, "signal" | "strict">,
): Promise<{ pages: string[]; lost: string[] }> {
  const lost: string[] = [];
  let total = OTHER_STEPS;
  const step = (text: string, done: number) => emit({ event: "report_step", text, done, total });
  const onFailure = (notebook: string, { message }: PoolscopeError) => {
    const name = basename(notebook);
    if (NOTEBOOKS.includes(name) || strict) lost.push(message);
    else emit({ event: "note", text: `${message}; the rest of the report does without it` });
  };
  await setUpNotebooks({ log: (text) => emit({ event: "setup", text }), signal });
  step("starting the notebooks' kernel", 1);
  // A page of an earlier export would pass for this one's.
  for (const notebook of notebooks) {
    rmSync(join(folder, basename(notebook, ".ipynb") + ".html"), { force: true });
  }
  const executed = await executeNotebooks({
    notebooks,
    parameters: { study: study.name },
    outputFolder: folder,
    env: { [EXPORTED_STUDY]: study.folder },
    status: (text, place) => {
      total = OTHER_STEPS + place.total;
      step(text, 1 + place.done);
    },
    onFailure,
    signal,
  });
  step("HTML", total - 1);
  const pages = [...executed, ...await convertToHtml(executed, { onFailure, signal })];
  return { pages, lost };
}
