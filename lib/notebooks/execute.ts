/**
 * Executes notebooks in the Deno kernel, with parameters, as papermill does: the executed copies go
 * to another folder, and they are saved before a failure is reported.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { Owned } from "../engine/cleanup.ts";
import { PoolscopeError, UsageError } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import { type CommandResult, lastLine, tryCommand } from "../setup/command.ts";
import { KERNEL_NAME } from "../setup/kernelspec.ts";
import { environmentPaths, type PythonEnvironment } from "../setup/python.ts";
import { ROOT, TOOLS } from "../store/layout.ts";
import { notebookWords as say } from "../wording/notebooks.ts";
import { KERNEL_ERRORS, readKernelErrors } from "./guard.ts";
import {
  type Cell,
  chooseNotebooks,
  formatNotebook,
  type Notebook,
  readNotebook,
  toLines,
  toText,
} from "./notebook.ts";

/** A value that a notebook's parameter can take. */
export type ParameterValue =
  | string
  | number
  | boolean
  | null
  | ParameterValue[]
  | { [key: string]: ParameterValue };

/** Options of {@linkcode executeNotebooks}. */
export interface ExecuteOptions {
  /** The notebooks' paths. @default {those of a study's report} */
  notebooks?: string[];
  /** Values for parameters, by name; each must be declared by at least one of the notebooks. */
  parameters?: Record<string, ParameterValue>;
  /** The folder of the executed copies; they keep their names. */
  outputFolder: string;
  /** The environment that holds nbclient and the kernel's description. @default {the checkout's} */
  python?: Pick<PythonEnvironment, "folder" | "python">;
  /** How long one cell may take, in seconds. @default {no limit} */
  cellTimeoutS?: number;
  /** Environment variables to add for the kernel. */
  env?: Record<string, string>;
  /** Called with a line for each cell, for a display that the next one replaces. */
  status?: (line: string, place: NotebookPlace) => void;
  /** Called with each notebook that failed, at the end. @default the first failure is thrown */
  onFailure?: (notebook: string, error: PoolscopeError) => void;
  /** Stops the running cell and shuts the kernel down. */
  signal?: AbortSignal;
}

/** How far the execution has come: notebooks done, with fractions of those that run, of all. */
export interface NotebookPlace {
  done: number;
  total: number;
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
export function jupyterEnvironment(
  python: Pick<PythonEnvironment, "folder">,
): Record<string, string> {
  const kept = join(TOOLS, "jupyter");
  return {
    JUPYTER_PATH: join(python.folder, "share", "jupyter"),
    JUPYTER_PREFER_ENV_PATH: "1",
    JUPYTER_CONFIG_DIR: join(kept, "config"),
    JUPYTER_DATA_DIR: join(kept, "data"),
    JUPYTER_RUNTIME_DIR: join(kept, "runtime"),
    IPYTHONDIR: join(kept, "ipython"),
    VIRTUAL_ENV: python.folder,
    PATH: `${join(python.folder, "bin")}:${Deno.env.get("PATH") ?? ""}`,
    DENO_NO_UPDATE_CHECK: "1",
  };
}

function hasTag(cell: Cell, tag: string): boolean {
  return cell.cell_type === "code" && (cell.metadata.tags ?? []).includes(tag);
}

/**
 * The parameters that a notebook declares: one `let` for each, in a cell tagged `parameters`.
 *
 * @example
 * ```ts
 * import { declaredParameters } from "./execute.ts";
 *
 * const metadata = { tags: ["parameters"] };
 * const cells = [{ cell_type: "code", metadata, source: "let users = 100;\nlet plan = 'quick';" }];
 * const notebook = { cells, metadata: {}, nbformat: 4, nbformat_minor: 5 };
 * console.assert(declaredParameters(notebook).join() === "users,plan");
 * ```
 */
export function declaredParameters(notebook: Notebook): string[] {
  return notebook.cells
    .filter((cell) => hasTag(cell, "parameters"))
    .flatMap((cell) => [...toText(cell.source).matchAll(/^\s*let\s+([A-Za-z_$][\w$]*)/gm)])
    .map((match) => match[1]!);
}

function toLiteral(name: string, value: ParameterValue): string {
  const finite = (inner: unknown): boolean =>
    typeof inner === "number"
      ? Number.isFinite(inner)
      : inner === null || ["string", "boolean"].includes(typeof inner) ||
        (typeof inner === "object" && Object.values(inner).every(finite));
  if (!finite(value)) {
    throw new UsageError(
      `Cannot set parameter ${name}: ${String(value)} is not a value that JSON can hold`,
    );
  }
  return JSON.stringify(value);
}

/**
 * Sets parameters of a notebook: a cell of assignments is inserted after the one that declares them.
 *
 * @param notebook The notebook.
 * @param parameters Values by name.
 * @param name What to call the notebook in messages.
 * @returns A new notebook.
 * @throws {UsageError} If the notebook does not declare one of them.
 */
export function parametrize(
  notebook: Notebook,
  parameters: Record<string, ParameterValue>,
  name: string,
): Notebook {
  const cells = notebook.cells.filter((cell) => !hasTag(cell, "injected-parameters"));
  const entries = Object.entries(parameters);
  if (entries.length === 0) return { ...notebook, cells };
  const declared = declaredParameters(notebook);
  for (const [parameter] of entries) {
    if (!declared.includes(parameter)) {
      throw new UsageError(
        `Cannot set parameter "${parameter}" of ${name}: ${
          declared.length === 0
            ? "it declares none"
            : `its parameters are ${[...new Set(declared)].join(", ")}${
              didYouMean(parameter, declared)
            }`
        }`,
      );
    }
  }
  const last = cells.findLastIndex((cell) => hasTag(cell, "parameters"));
  // An assignment is an expression, and the last one's value would be shown as the cell's result.
  const source = entries.map(([key, value]) => `${key} = ${toLiteral(key, value)};\n`).join("") +
    "void 0;";
  cells.splice(last + 1, 0, {
    cell_type: "code",
    id: "injected-parameters",
    metadata: { tags: ["injected-parameters"] },
    source: toLines(source),
    execution_count: null,
    outputs: [],
  });
  return { ...notebook, cells };
}

/** What `execute.py` says, a line at a time; `notebook` is a place in its list of jobs. */
type Event =
  | { event: "cell"; notebook: number; number: number; total: number }
  | { event: "error"; notebook: number; cell: number | null; source: string; message: string }
  | { event: "done"; notebook: number };

function parseEvent(line: string): Event | null {
  if (!line.startsWith('{"event"')) return null;
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** A source as one line of a message. */
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

/** One notebook's turn in `execute.py`. */
interface Job {
  /** The file to execute. */
  input: string;
  /** Where its executed copy goes. */
  output: string;
  /** The kernel's working folder. */
  cwd: string;
  /** Environment variables to add for the kernel. */
  env: Record<string, string>;
}

/** What came of one notebook. */
interface Progress {
  /** How much of it is done, from 0 to 1. */
  done: number;
  /** What broke it off. */
  error: Extract<Event, { event: "error" }> | null;
}

/** What went wrong with a notebook; null where nothing did. */
async function failureOf(
  { output, env }: Job,
  { done, error }: Progress,
  result: CommandResult,
): Promise<PoolscopeError | null> {
  const name = basename(output);
  if (error !== null && error.cell !== null) {
    return new PoolscopeError(
      `Cannot execute ${name}: cell ${error.cell} failed: ${quote(error.message)} (in: ${
        quote(error.source)
      }); see ${output}`,
    );
  }
  if (done < 1) {
    const why = error?.message ?? lastLine(result);
    return new PoolscopeError(`Cannot execute ${name}: ${why} (exit status ${result.code})`);
  }
  const outside = await readKernelErrors(env[KERNEL_ERRORS]!);
  if (outside.length === 0) return null;
  const errors = `${outside.length} error${outside.length === 1 ? "" : "s"}`;
  return new PoolscopeError(
    `Cannot trust ${name}: ${errors} outside of any cell, the first: ${
      quote(outside[0]!.message)
    }; see ${output}`,
  );
}

/** Executes the jobs. Returns what went wrong with each, null where nothing did. */
async function executeAll(
  jobs: Job[],
  scratch: string,
  { mark }: Owned,
  options: ExecuteOptions,
): Promise<(PoolscopeError | null)[]> {
  const { python = environmentPaths(), cellTimeoutS, status, signal } = options;
  const progress = jobs.map((): Progress => ({ done: 0, error: null }));
  const onLine = (line: string) => {
    const event = parseEvent(line);
    if (event === null) return;
    const state = progress[event.notebook]!;
    if (event.event === "done") state.done = 1;
    if (event.event === "error") state.error = event;
    if (event.event === "cell") {
      state.done = (event.number - 1) / event.total;
      const name = basename(jobs[event.notebook]!.output);
      const done = progress.reduce((sum, each) => sum + each.done, 0);
      status?.(say.cellOf(name, event.number, event.total), { done, total: jobs.length });
    }
  };
  const list = join(scratch, "jobs.json");
  await Deno.writeTextFile(list, JSON.stringify(jobs));
  const result = await tryCommand([
    python.python,
    EXECUTE_PY,
    list,
    "--kernel",
    KERNEL_NAME,
    "--at-once",
    String(Math.min(navigator.hardwareConcurrency, MAX_KERNELS)),
    "--parent",
    String(Deno.pid),
    ...(cellTimeoutS === undefined ? [] : ["--timeout", String(cellTimeoutS)]),
  ], {
    // The kernels' connection files go with the rest, however the execution ends.
    env: { ...jupyterEnvironment(python), ...mark, JUPYTER_RUNTIME_DIR: scratch },
    signal,
    graceMs: STOP_GRACE_MS,
    onLine,
  });
  return await Promise.all(jobs.map((job, index) => failureOf(job, progress[index]!, result)));
}

/**
 * Executes notebooks, as many side by side as there are processors. Everything is checked before the
 * first one starts.
 *
 * @param options Options for this call.
 * @returns The paths of the executed copies, in order, without those of notebooks that failed.
 * @throws {UsageError} If none of the notebooks declares one of the parameters.
 * @throws {PoolscopeError} If a cell fails and there is no `onFailure`; the message names the cell,
 * the copy up to it is saved.
 */
export async function executeNotebooks(options: ExecuteOptions): Promise<string[]> {
  const { notebooks = await chooseNotebooks(), parameters = {}, outputFolder, signal } = options;
  const read = await Promise.all(notebooks.map(readNotebook));
  const declared = read.map((notebook) => new Set(declaredParameters(notebook)));
  for (const name of Object.keys(parameters)) {
    if (!declared.some((names) => names.has(name))) {
      const known = [...new Set(declared.flatMap((names) => [...names]))];
      throw new UsageError(
        `Cannot set parameter "${name}": ${
          known.length === 0
            ? "these notebooks declare none"
            : `the notebooks' parameters are ${known.join(", ")}${didYouMean(name, known)}`
        }`,
      );
    }
  }
  const prepared = read.map((notebook, index) =>
    parametrize(
      notebook,
      Object.fromEntries(
        Object.entries(parameters).filter(([name]) => declared[index]!.has(name)),
      ),
      basename(notebooks[index]!),
    )
  );
  await Deno.mkdir(outputFolder, { recursive: true });
  signal?.throwIfAborted();
  await using owned = Owned.withKeeper();
  const scratch = join(tmpdir(), `${owned.id}-notebooks`);
  owned.addFolder(scratch);
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
    for (const [index, failure] of failures.entries()) {
      if (failure === null) continue;
      if (options.onFailure === undefined) throw failure;
      options.onFailure(notebooks[index]!, failure);
    }
    return notebooks.filter((_, index) => failures[index] === null)
      .map((path) => join(outputFolder, basename(path)));
  } finally {
    owned.removeFolder(scratch);
  }
}
