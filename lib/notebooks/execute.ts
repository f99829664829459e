/**
 * Executes notebooks in the Deno kernel, with parameters, as papermill does: the executed copies go
 * to another folder, and they are saved before a failure is reported.
 */

import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { Owned } from "../hosts/owned.ts";
import { PoolscopeError, UsageError } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import { type CommandResult, lastLine, tryCommand } from "../setup/command.ts";
import { KERNEL_NAME } from "../setup/kernelspec.ts";
import { environmentPaths, type PythonPaths } from "../setup/python.ts";
import { ROOT, TOOLS } from "../store/layout.ts";
import { notebookWords as say } from "../wording/notebooks.ts";
import { KERNEL_ERRORS, readKernelErrors } from "./guard.ts";
import {
  formatNotebook,
  isTagged,
  type Notebook,
  readNotebook,
  toLines,
  toText,
} from "./notebook.ts";

export type ParameterValues = Record<string, string | number | boolean | null>;

export interface ExecuteOptions {
  notebooks: string[];
  /** Values for parameters; each must be declared by at least one of the notebooks. */
  parameters?: ParameterValues;
  /** The folder of the executed copies; they keep their names. */
  outputFolder: string;
  /** The environment that holds nbclient and the kernel's description. @default {the checkout's} */
  python?: PythonPaths;
  /** How long one cell may take, in seconds. @default {no limit} */
  cellTimeoutS?: number;
  env?: Record<string, string>;
  /** Called for each cell: a line, and notebooks done, fractions of them included, of all. */
  status?: (line: string, place: { done: number; total: number }) => void;
  /** Called with each notebook that failed, at the end. @default the first failure is thrown */
  onFailure?: (notebook: string, error: PoolscopeError) => void;
  /** Stops the running cell and shuts the kernel down. */
  signal?: AbortSignal;
}

const EXECUTE_PY = fileURLToPath(new URL("./execute.py", import.meta.url));
/** How long a stopped kernel has to clean up. */
const STOP_GRACE_MS = 7000;
/** Kernels side by side, each of about 250 MiB, on as many processors. */
const MAX_KERNELS = 4;

/**
 * The variables by which our own virtual environment's Jupyter finds our kernel, and no other, and
 * keeps its settings in `.poolscope/` instead of the user's home.
 */
export function jupyterEnvironment({ folder }: { folder: string }): Record<string, string> {
  const kept = join(TOOLS, "jupyter");
  return {
    JUPYTER_PATH: join(folder, "share", "jupyter"),
    JUPYTER_PREFER_ENV_PATH: "1",
    JUPYTER_CONFIG_DIR: join(kept, "config"),
    JUPYTER_DATA_DIR: join(kept, "data"),
    JUPYTER_RUNTIME_DIR: join(kept, "runtime"),
    IPYTHONDIR: join(kept, "ipython"),
    VIRTUAL_ENV: folder,
    PATH: `${join(folder, "bin")}:${Deno.env.get("PATH") ?? ""}`,
    DENO_NO_UPDATE_CHECK: "1",
  };
}

/** The parameters that a notebook declares: one `let` for each, in a cell tagged `parameters`. */
function declaredParameters({ cells }: Notebook): string[] {
  return cells.filter((cell) => isTagged(cell, "parameters"))
    .flatMap(({ source }) => [...toText(source).matchAll(/^\s*let\s+([A-Za-z_$][\w$]*)/gm)])
    .map((match) => match[1]!);
}

/** A notebook with a cell of assignments after the cell that declares the parameters. */
function assign(notebook: Notebook, parameters: ParameterValues): Notebook {
  const cells = notebook.cells.filter((cell) => !isTagged(cell, "injected-parameters"));
  const declared = declaredParameters(notebook);
  const names = Object.keys(parameters).filter((name) => declared.includes(name));
  if (names.length === 0) return { ...notebook, cells };
  const lines = names.map((name) => `${name} = ${JSON.stringify(parameters[name])};\n`);
  cells.splice(cells.findLastIndex((cell) => isTagged(cell, "parameters")) + 1, 0, {
    cell_type: "code",
    id: "injected-parameters",
    metadata: { tags: ["injected-parameters"] },
    // An assignment is an expression, and the last one's value would be shown as the cell's result.
    source: toLines(lines.join("") + "void 0;"),
    execution_count: null,
    outputs: [],
  });
  return { ...notebook, cells };
}

/** Sets parameters of notebooks, in each those that it declares; at least one must. */
export function parametrize(notebooks: Notebook[], parameters: ParameterValues): Notebook[] {
  const known = [...new Set(notebooks.flatMap(declaredParameters))];
  for (const [name, value] of Object.entries(parameters)) {
    if (!known.includes(name)) {
      const meant = didYouMean(name, known);
      throw new UsageError(
        `Cannot set parameter "${name}": ${
          known.length === 0
            ? "these notebooks declare none"
            : `the notebooks' parameters are ${known.join(", ")}${meant}`
        }`,
      );
    }
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new UsageError(
        `Cannot set parameter ${name}: ${value} is not a value that JSON can hold`,
      );
    }
  }
  return notebooks.map((notebook) => assign(notebook, parameters));
}

/** A line of `execute.py`; `notebook` is a place in its list of jobs. */
type Event =
  | { event: "cell"; notebook: number; number: number; total: number }
  | { event: "error"; notebook: number; cell: number | null; source: string; message: string }
  | { event: "done"; notebook: number };

function parseEvent(line: string): Event | null {
  try {
    return line.startsWith('{"event"') ? JSON.parse(line) : null;
  } catch {
    return null;
  }
}

function quote(source: string): string {
  const line = source.split("\n").map((text) => text.trim()).filter(Boolean).join(" ⏎ ");
  return line.length > 160 ? `${line.slice(0, 159)}…` : line;
}

/**
 * Where the cells of a notebook run, from where their import map is found: the notebook's folder, or
 * `notebooks/` where nothing above it has an import map.
 */
function workingFolderOf(notebook: string): string {
  for (let folder = dirname(notebook);; folder = dirname(folder)) {
    if (existsSync(join(folder, "deno.json"))) return dirname(notebook);
    if (folder === dirname(folder)) return join(ROOT, "notebooks");
  }
}

/** One notebook's turn in `execute.py`: the file to execute, its copy, and the kernel's. */
interface Job {
  input: string;
  output: string;
  cwd: string;
  env: Record<string, string>;
}

/** How much of a notebook is done, from 0 to 1, and what broke it off. */
interface Progress {
  done: number;
  error: Extract<Event, { event: "error" }> | null;
}

async function explainFailure(
  { output, env }: Job,
  { done, error }: Progress,
  result: CommandResult,
): Promise<string | null> {
  const name = basename(output);
  if (error?.cell) {
    const failed = `${quote(error.message)} (in: ${quote(error.source)})`;
    return `Cannot execute ${name}: cell ${error.cell} failed: ${failed}; see ${output}`;
  }
  if (done < 1) {
    const why = error?.message ?? lastLine(result);
    return `Cannot execute ${name}: ${why} (exit status ${result.code})`;
  }
  const [first, ...others] = await readKernelErrors(env[KERNEL_ERRORS]!);
  if (first === undefined) return null;
  const errors = others.length === 0 ? "1 error" : `${others.length + 1} errors`;
  return `Cannot trust ${name}: ${errors} outside of any cell, the first: ${
    quote(first)
  }; see ${output}`;
}

/** Executes the jobs. Returns what went wrong with each, null where nothing did. */
async function executeAll(
  jobs: Job[],
  scratch: string,
  { mark }: Owned,
  { python = environmentPaths(), cellTimeoutS, status, signal }: ExecuteOptions,
): Promise<(string | null)[]> {
  const progress = jobs.map((): Progress => ({ done: 0, error: null }));
  const onLine = (line: string) => {
    const event = parseEvent(line);
    if (event === null) return;
    const state = progress[event.notebook]!;
    if (event.event === "done") state.done = 1;
    else if (event.event === "error") state.error = event;
    else {
      const { number, total } = event;
      state.done = (number - 1) / total;
      const done = progress.reduce((sum, each) => sum + each.done, 0);
      const name = basename(jobs[event.notebook]!.output);
      status?.(say.cellOf(name, number, total), { done, total: jobs.length });
    }
  };
  const list = join(scratch, "jobs.json");
  await Deno.writeTextFile(list, JSON.stringify(jobs));
  const result = await tryCommand([
    python.python,
    EXECUTE_PY,
    list,
    `--kernel=${KERNEL_NAME}`,
    `--at-once=${Math.min(navigator.hardwareConcurrency, MAX_KERNELS)}`,
    `--parent=${Deno.pid}`,
    ...(cellTimeoutS === undefined ? [] : [`--timeout=${cellTimeoutS}`]),
  ], {
    // The kernels' connection files go with the rest, however the execution ends.
    env: { ...jupyterEnvironment(python), ...mark, JUPYTER_RUNTIME_DIR: scratch },
    signal,
    graceMs: STOP_GRACE_MS,
    onLine,
  });
  return await Promise.all(jobs.map((job, index) => explainFailure(job, progress[index]!, result)));
}

/**
 * Executes notebooks, as many side by side as there are processors. Everything is checked before the
 * first one starts.
 *
 * @returns The paths of the executed copies, in order, without those of notebooks that failed.
 * @throws {PoolscopeError} If a cell fails and there is no `onFailure`; the copy up to it is saved.
 */
export async function executeNotebooks(options: ExecuteOptions): Promise<string[]> {
  const { notebooks, outputFolder, signal, onFailure } = options;
  const read = await Promise.all(notebooks.map(readNotebook));
  const prepared = parametrize(read, options.parameters ?? {});
  await Deno.mkdir(outputFolder, { recursive: true });
  signal?.throwIfAborted();
  await using owned = Owned.withKeeper();
  const scratch = join(tmpdir(), `${owned.id}-notebooks`);
  owned.add("folders", scratch);
  await Deno.mkdir(scratch, { mode: 0o700 });
  try {
    const jobs = notebooks.map((path, index): Job => ({
      input: join(scratch, `${index}.ipynb`),
      output: join(resolve(outputFolder), basename(path)),
      cwd: workingFolderOf(resolve(path)),
      env: { ...options.env, [KERNEL_ERRORS]: join(scratch, `${index}-errors.jsonl`) },
    }));
    for (const [index, notebook] of prepared.entries()) {
      await Deno.writeTextFile(jobs[index]!.input, formatNotebook(notebook));
    }
    const failures = await executeAll(jobs, scratch, owned, options);
    for (const [index, why] of failures.entries()) {
      if (why === null) continue;
      if (onFailure === undefined) throw new PoolscopeError(why);
      onFailure(notebooks[index]!, new PoolscopeError(why));
    }
    return jobs.filter((_, index) => failures[index] === null).map(({ output }) => output);
  } finally {
    owned.removeFolder(scratch);
  }
}
