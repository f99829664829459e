/**
 * Takes the code out of notebooks as TypeScript modules, because `deno check` and `deno lint` do not
 * read notebooks, and says what they find in terms of cells.
 *
 * @module
 */

import { basename, join } from "node:path";
import { ROOT, TOOLS } from "../store/layout.ts";
import { tryCommand } from "../setup/command.ts";
import { notebookWords as say } from "../wording/notebooks.ts";
import { type Notebook, toText } from "./notebook.ts";

/** Where a line of an extracted module comes from. */
export interface CellLine {
  /** The cell's position in the notebook, from 1, counting all cells. */
  cell: number;
  /** The line within that cell, from 1. */
  line: number;
}

/** The code of one notebook as one module. */
export interface ExtractedCells {
  /** The module. */
  code: string;
  /** The origin of each of its lines; null for those that were added. */
  origins: (CellLine | null)[];
}

/**
 * Joins the code cells of a notebook into one module, in order.
 *
 * @example
 * ```ts
 * import { extractCells } from "./cells.ts";
 *
 * const cells = [{ cell_type: "code", metadata: {}, source: "const a = 1;" }];
 * const extracted = extractCells({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 });
 * console.assert(extracted.code.startsWith("const a = 1;"));
 * ```
 */
export function extractCells(notebook: Notebook): ExtractedCells {
  const lines: string[] = [];
  const origins: (CellLine | null)[] = [];
  const push = (line: string, origin: CellLine | null) => {
    lines.push(line);
    origins.push(origin);
  };
  for (const [index, cell] of notebook.cells.entries()) {
    if (cell.cell_type !== "code") continue;
    const source = toText(cell.source).split("\n");
    const parameters = (cell.metadata.tags ?? []).includes("parameters");
    for (const [at, line] of source.entries()) {
      // They are assigned by a cell that is inserted when the notebook is executed.
      if (parameters && /^\s*let\s/.test(line)) push("// deno-lint-ignore prefer-const", null);
      push(line, { cell: index + 1, line: at + 1 });
    }
  }
  push("export {};", null);
  return { code: lines.join("\n") + "\n", origins };
}

/** The line that deno means by 1-based `line`, in words: `name, cell 3, line 2`. */
function locate(name: string, extracted: ExtractedCells, line: number): string {
  for (let at = line - 1; at < extracted.origins.length; at++) {
    const origin = extracted.origins[at];
    if (origin) return say.line(name, origin.cell, origin.line);
  }
  return say.end(name);
}

/** One thing that a check found. */
export interface CellProblem {
  /** As in `10_frameworks.ipynb, cell 3, line 2`. */
  where: string;
  /** What it is. */
  message: string;
}

/** A notebook to be checked. */
export interface NamedNotebook {
  /** Its file's name. */
  name: string;
  /** Its content. */
  notebook: Notebook;
}

// deno-lint-ignore no-control-regex
const ANSI = /\x1b\[[0-9;]*m/g;

/**
 * Reads what `deno check` prints.
 *
 * @param output Its standard error.
 * @param modules The extracted modules, by file name.
 */
export function parseCheckOutput(
  output: string,
  modules: Map<string, { name: string; extracted: ExtractedCells }>,
): CellProblem[] {
  const problems: CellProblem[] = [];
  let message = "";
  for (const line of output.replaceAll(ANSI, "").split("\n")) {
    const start = /^(TS\d+) \[\w+\]: (.*)$/.exec(line);
    if (start !== null) message = `${start[2]} (${start[1]})`;
    const syntax = /^error: (SyntaxError: .*)$/.exec(line);
    if (syntax !== null) message = syntax[1]!;
    const at = /^\s+at (?:file:\/\/)?(\S+?):(\d+):\d+\s*$/.exec(line);
    if (at === null || message === "") continue;
    const module = modules.get(basename(decodeURIComponent(at[1]!)));
    problems.push({
      where: module === undefined
        ? `${at[1]}:${at[2]}`
        : locate(module.name, module.extracted, Number(at[2])),
      message,
    });
    message = "";
  }
  return problems;
}

async function lint(
  { name, notebook }: NamedNotebook,
  options: { root: string; signal?: AbortSignal },
): Promise<CellProblem[]> {
  const extracted = extractCells(notebook);
  const result = await tryCommand([Deno.execPath(), "lint", "--json", "--ext=ts", "-"], {
    cwd: options.root,
    env: { NO_COLOR: "1" },
    input: extracted.code,
    signal: options.signal,
  });
  if (result.code === 0) return [];
  try {
    const { diagnostics, errors } = JSON.parse(result.stdout) as {
      diagnostics: { code: string; message: string; range: { start: { line: number } } }[];
      errors: { message: string }[];
    };
    return [
      ...diagnostics.map(({ code, message, range }) => ({
        where: locate(name, extracted, range.start.line),
        message: `${message} (${code})`,
      })),
      // A syntax error is the check's to report.
      ...errors.filter(({ message }) => !message.startsWith("SyntaxError")).map(({ message }) => ({
        where: name,
        message: message.split("\n")[0]!,
      })),
    ];
  } catch {
    return [{ where: name, message: result.stderr.trim().split("\n")[0] ?? "deno lint failed" }];
  }
}

/**
 * Type-checks and lints the code of notebooks.
 *
 * @param notebooks The notebooks.
 * @param options The checkout, whose import map and compiler options hold.
 * @returns What was found, of the check first.
 */
export async function checkCells(
  notebooks: NamedNotebook[],
  options: { root?: string; signal?: AbortSignal } = {},
): Promise<CellProblem[]> {
  const { root = ROOT, signal } = options;
  if (notebooks.length === 0) return [];
  const folder = join(root === ROOT ? TOOLS : join(root, ".poolscope"), "cells");
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { recursive: true });
  const modules = new Map<string, { name: string; extracted: ExtractedCells }>();
  for (const { name, notebook } of notebooks) {
    const extracted = extractCells(notebook);
    const file = `${basename(name, ".ipynb")}.ts`;
    modules.set(file, { name, extracted });
    await Deno.writeTextFile(join(folder, file), extracted.code);
  }
  // `deno check` skips folders that deno.json excludes, named or not; `deno cache --check` does not.
  const checked = tryCommand([
    Deno.execPath(),
    "cache",
    "--check",
    ...[...modules.keys()].map((file) => join(folder, file)),
  ], { cwd: root, env: { NO_COLOR: "1" }, signal });
  const linted = Promise.all(notebooks.map((one) => lint(one, { root, signal })));
  const [check, lints] = await Promise.all([checked, linted]);
  const problems = parseCheckOutput(check.stderr, modules);
  if (check.code !== 0 && problems.length === 0) {
    const first = check.stderr.replaceAll(ANSI, "").split("\n").find((line) => /error/i.test(line));
    problems.push({ where: "notebooks", message: first ?? "deno cache --check failed" });
  }
  return [...problems, ...lints.flat()];
}
