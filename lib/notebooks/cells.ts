/**
 * Takes the code out of notebooks as TypeScript modules, because `deno check` and `deno lint` do not
 * read notebooks, and says what they find in terms of cells.
 */

import { basename, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { ROOT } from "../store/layout.ts";
import { tryCommand } from "../setup/command.ts";
import { notebookWords as say } from "../wording/notebooks.ts";
import { isTagged, type Notebook, toText } from "./notebook.ts";

/**
 * Joins the code cells of a notebook into one module, in order. With it come cell and line that each of
 * its lines is from, both from 1, counting all cells; null of none.
 */
export function extractCells({ cells }: Notebook) {
  const lines: [line: string, origin: { cell: number; line: number } | null][] = [];
  for (const [index, cell] of cells.entries()) {
    if (cell.cell_type !== "code") continue;
    for (const [at, line] of toText(cell.source).split("\n").entries()) {
      // They are assigned by a cell that is inserted when the notebook is executed.
      const isParameter = isTagged(cell, "parameters") && /^\s*let\s/.test(line);
      if (isParameter) lines.push(["// deno-lint-ignore prefer-const", null]);
      lines.push([line, { cell: index + 1, line: at + 1 }]);
    }
  }
  lines.push(["export {};", null]);
  const code = lines.map(([line]) => `${line}\n`).join("");
  return { code, origins: lines.map(([, origin]) => origin) };
}

/** A problem, and where it is, as in `10_frameworks.ipynb, cell 3, line 2`. */
export interface CellProblem {
  where: string;
  message: string;
}

/** A notebook's code, and the file that it is checked in. */
type Module = ReturnType<typeof extractCells> & { name: string; file: string };

/** Where the line of that number of a module is from, in words. */
function locate({ name, origins }: Module, line: number): string {
  const origin = origins.slice(line - 1).find((origin) => origin !== null);
  return origin ? say.line(name, origin.cell, origin.line) : say.end(name);
}

async function check(modules: Module[], cwd: string, signal?: AbortSignal): Promise<CellProblem[]> {
  // `deno check` skips folders that deno.json excludes, named or not; `deno cache --check` does not.
  const result = await tryCommand(
    [Deno.execPath(), "cache", "--check", ...modules.map(({ file }) => file)],
    { cwd, env: { NO_COLOR: "1" }, signal },
  );
  const lines = stripVTControlCharacters(result.stderr).split("\n");
  const problems: CellProblem[] = [];
  let message = "";
  for (const line of lines) {
    const type = /^(TS\d+) \[\w+\]: (.*)$/.exec(line);
    if (type !== null) message = `${type[2]} (${type[1]})`;
    message = /^error: (SyntaxError: .*)$/.exec(line)?.[1] ?? message;
    const at = /^\s+at (?:file:\/\/)?(\S+?):(\d+):\d+\s*$/.exec(line);
    if (at === null || message === "") continue;
    const [, path, number] = at;
    const module = modules.find(({ file }) =>
      basename(file) === basename(decodeURIComponent(path!))
    );
    const where = module === undefined ? `${path}:${number}` : locate(module, Number(number));
    problems.push({ where, message });
    message = "";
  }
  if (result.code !== 0 && problems.length === 0) {
    const first = lines.find((line) => /error/i.test(line));
    return [{ where: "notebooks", message: first ?? "deno cache --check failed" }];
  }
  return problems;
}

async function lint(module: Module, cwd: string, signal?: AbortSignal): Promise<CellProblem[]> {
  const result = await tryCommand([Deno.execPath(), "lint", "--json", "--ext=ts", "-"], {
    cwd,
    env: { NO_COLOR: "1" },
    input: module.code,
    signal,
  });
  if (result.code === 0) return [];
  const where = module.name;
  try {
    const { diagnostics, errors } = JSON.parse(result.stdout) as {
      diagnostics: { code: string; message: string; range: { start: { line: number } } }[];
      errors: { message: string }[];
    };
    return [
      ...diagnostics.map(({ code, message, range }) => ({
        where: locate(module, range.start.line),
        message: `${message} (${code})`,
      })),
      // A syntax error is the check's to report.
      ...errors.filter(({ message }) => !message.startsWith("SyntaxError"))
        .map(({ message }) => ({ where, message: message.split("\n")[0]! })),
    ];
  } catch {
    return [{ where, message: result.stderr.trim().split("\n")[0] ?? "deno lint failed" }];
  }
}

/** Type-checks and lints the code of notebooks; the problems of the type check come first. */
export async function checkCells(
  notebooks: { name: string; notebook: Notebook }[],
  { root = ROOT, signal }: { root?: string; signal?: AbortSignal } = {},
): Promise<CellProblem[]> {
  if (notebooks.length === 0) return [];
  const folder = join(root, ".poolscope", "cells");
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { recursive: true });
  const modules = notebooks.map(({ name, notebook }): Module => {
    const file = join(folder, `${basename(name, ".ipynb")}.ts`);
    return { name, file, ...extractCells(notebook) };
  });
  for (const { file, code } of modules) await Deno.writeTextFile(file, code);
  const lints = modules.map((module) => lint(module, root, signal));
  return (await Promise.all([check(modules, root, signal), ...lints])).flat();
}
