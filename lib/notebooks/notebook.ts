/** Notebook files: what is in them, read and written the way Jupyter writes them. */

import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { PoolscopeError, UsageError } from "../errors.ts";
import { ROOT } from "../store/layout.ts";

/** Of studies that try pool sizes, and of those that try ways to connect. */
export const POOL_SIZE_NOTEBOOK = "20_pool_size.ipynb";
export const STRATEGIES_NOTEBOOK = "25_strategies.ipynb";

/** The notebooks that make the pages of a study's report, in their order. */
export const STUDY_NOTEBOOKS = [
  "00_overview.ipynb",
  "10_frameworks.ipynb",
  POOL_SIZE_NOTEBOOK,
  STRATEGIES_NOTEBOOK,
  "30_open_loop.ipynb",
  "40_diagnosis.ipynb",
  "90_report.ipynb",
] as const;

/** Poolscope's own notebooks in `notebooks/`; what else lies there is the reader's. */
export const NOTEBOOKS: readonly string[] = [...STUDY_NOTEBOOKS, "50_locust_csv.ipynb"];

/** Text as notebooks hold it: whole, or as a list of lines with their ends. */
const TEXT = z.union([z.string(), z.array(z.string())]);
export type MultilineText = z.infer<typeof TEXT>;

/** A cell of `code`, `markdown` or `raw`; its id stays the same when the cell moves. */
const CELL = z.looseObject({
  cell_type: z.string(),
  id: z.string().optional(),
  metadata: z.looseObject({ tags: z.array(z.string()).optional() }).default({}),
  source: TEXT,
  execution_count: z.number().nullish(),
  outputs: z.array(z.record(z.string(), z.unknown())).optional(),
});
export type Cell = z.infer<typeof CELL>;

const NOTEBOOK = z.object({
  cells: z.array(CELL),
  metadata: z.record(z.string(), z.unknown()).default({}),
  nbformat: z.number().min(4).max(4),
  nbformat_minor: z.number().default(5),
});
export type Notebook = z.infer<typeof NOTEBOOK>;

/** Whether a cell is code with a tag. */
export function isTagged({ cell_type, metadata: { tags } }: Cell, tag: string): boolean {
  return cell_type === "code" && (tags ?? []).includes(tag);
}

/** A cell's or an output's text as one string. */
export function toText(text: MultilineText | undefined): string {
  return Array.isArray(text) ? text.join("") : text ?? "";
}

/** Splits text into lines with their ends, as Jupyter stores it. */
export function toLines(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}

function cannotRead(name: string, what: string, cause?: unknown): PoolscopeError {
  return new PoolscopeError(`Cannot read notebook ${name}: ${what}`, { cause });
}

/** Parses a notebook of format 4; errors call it by the name. */
export function parseNotebook(text: string, name: string): Notebook {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw cannotRead(name, (error as Error).message, error);
  }
  const { data } = NOTEBOOK.safeParse(value);
  if (data !== undefined) return data;
  throw cannotRead(name, "it is not of notebook format 4; save it anew with JupyterLab");
}

export async function readNotebook(path: string): Promise<Notebook> {
  const text = await Deno.readTextFile(path).catch((error) => {
    throw cannotRead(path, error.message, error);
  });
  return parseNotebook(text, path);
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}

/** A notebook as Jupyter writes it: sorted keys, one space per level, a newline at the end. */
export function formatNotebook(notebook: Notebook): string {
  const cells = notebook.cells.map((cell) => ({ ...cell, source: toLines(toText(cell.source)) }));
  return JSON.stringify({ ...notebook, cells }, sortKeys, 1) + "\n";
}

/**
 * Takes out of a notebook's file what executing and editing leave in it, so that what is committed is
 * what somebody wrote: outputs, execution counts, and all metadata but tags.
 */
export function stripText(text: string, name: string): string {
  const { cells } = parseNotebook(text, name);
  return formatNotebook({
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: { display_name: "Deno", language: "typescript", name: "deno" },
      language_info: { file_extension: ".ts", name: "typescript" },
    },
    cells: cells.map(({ cell_type, id, metadata: { tags }, source }, index) => ({
      cell_type,
      id: id ?? `cell-${index + 1}`,
      metadata: tags?.length ? { tags } : {},
      source,
      ...(cell_type === "code" && { execution_count: null, outputs: [] }),
    })),
  });
}

/**
 * The paths of the notebooks that make a study's report, and of the reader's after them.
 *
 * @throws {UsageError} If one of those cannot be read, or has the name of another.
 */
export async function chooseNotebooks(further: readonly string[] = []): Promise<string[]> {
  const paths = STUDY_NOTEBOOKS.map((name) => join(ROOT, "notebooks", name));
  for (const path of further.map((path) => resolve(path))) {
    if (paths.some((other) => basename(other) === basename(path))) {
      throw new UsageError(
        `Cannot execute notebook ${path}: another of the report has its name; rename it`,
      );
    }
    await readNotebook(path).catch((error) => {
      throw new UsageError(error.message, { cause: error });
    });
    paths.push(path);
  }
  return paths;
}
