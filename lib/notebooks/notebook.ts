/**
 * Notebook files: what is in them, read and written the way Jupyter writes them.
 *
 * @module
 */

import { basename, join, resolve } from "node:path";
import { PoolscopeError, UsageError } from "../errors.ts";
import { ROOT } from "../store/layout.ts";

/** The notebooks that make the pages of a study's report, in their order. */
export const STUDY_NOTEBOOKS = [
  "00_overview.ipynb",
  "10_frameworks.ipynb",
  "30_open_loop.ipynb",
  "40_diagnosis.ipynb",
  "90_report.ipynb",
] as const;

/**
 * Poolscope's own notebooks, in `notebooks/`. What else lies in that folder is the reader's, and is
 * executed only when asked for.
 */
export const NOTEBOOKS: readonly string[] = [...STUDY_NOTEBOOKS, "50_locust_csv.ipynb"];

/** Text as notebooks hold it: whole, or as a list of lines with their ends. */
export type MultilineText = string | string[];

/** One cell of a notebook. */
export interface Cell {
  /** `code`, `markdown` or `raw`. */
  cell_type: string;
  /** The cell's own name; stays the same when the cell moves. */
  id?: string;
  /** Tags and what editors add. */
  metadata: Record<string, unknown> & { tags?: string[] };
  /** What the author wrote. */
  source: MultilineText;
  /** How many cells had been executed; code cells only. */
  execution_count?: number | null;
  /** What the kernel sent; code cells only. */
  outputs?: Record<string, unknown>[];
  [other: string]: unknown;
}

/** A notebook of format 4. */
export interface Notebook {
  /** The cells in order. */
  cells: Cell[];
  /** Kernel, language and what editors add. */
  metadata: Record<string, unknown>;
  /** The format's major version. */
  nbformat: number;
  /** The format's minor version. */
  nbformat_minor: number;
}

/** A cell's or an output's text as one string. */
export function toText(text: MultilineText | undefined): string {
  return Array.isArray(text) ? text.join("") : text ?? "";
}

/** Splits text into lines with their ends, as Jupyter stores it. */
export function toLines(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}

/**
 * Parses a notebook.
 *
 * @param text The file's content.
 * @param name What to call it in messages.
 * @throws {PoolscopeError} If it is no notebook of format 4.
 */
export function parseNotebook(text: string, name: string): Notebook {
  let value: Partial<Notebook>;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PoolscopeError(`Cannot read notebook ${name}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (value?.nbformat !== 4 || !Array.isArray(value.cells)) {
    throw new PoolscopeError(
      `Cannot read notebook ${name}: it is not of notebook format 4; save it anew with JupyterLab`,
    );
  }
  return {
    cells: value.cells.map((cell) => ({ ...cell, metadata: cell.metadata ?? {} })),
    metadata: value.metadata ?? {},
    nbformat: 4,
    nbformat_minor: value.nbformat_minor ?? 5,
  };
}

/** Reads a notebook's file. */
export async function readNotebook(path: string): Promise<Notebook> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw new PoolscopeError(`Cannot read notebook ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return parseNotebook(text, path);
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, inner]) => [key, sortKeys(inner)]),
  );
}

/** A notebook as Jupyter writes it: sorted keys, one space per level, a newline at the end. */
export function formatNotebook(notebook: Notebook): string {
  const cells = notebook.cells.map((cell) => ({ ...cell, source: toLines(toText(cell.source)) }));
  return JSON.stringify(sortKeys({ ...notebook, cells }), null, 1) + "\n";
}

/**
 * The paths of the notebooks that make a study's report, and of further ones after them.
 *
 * @param further The reader's notebooks, by path.
 * @throws {UsageError} If one of them cannot be read, or has the name of another.
 */
export async function chooseNotebooks(further: readonly string[] = []): Promise<string[]> {
  const paths = STUDY_NOTEBOOKS.map((name) => join(ROOT, "notebooks", name));
  for (const path of further.map((path) => resolve(path))) {
    if (paths.some((other) => basename(other) === basename(path))) {
      throw new UsageError(
        `Cannot execute notebook ${path}: another of the report has its name; rename it`,
      );
    }
    try {
      await readNotebook(path);
    } catch (error) {
      throw new UsageError((error as Error).message, { cause: error });
    }
    paths.push(path);
  }
  return paths;
}
