/**
 * What all tasks share: reading options, ending on Ctrl-C, one-line errors and exit statuses.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { isAlive, type ProcessStat, readProcess } from "../engine/proc.ts";
import { PoolscopeError, UsageError } from "../errors.ts";
import { changePlan, namedPlan, PLAN_NAMES, type PlanChanges, planHash } from "../plan.ts";
import { ENGINES, type RunStudyOptions } from "../run_study.ts";
import { parseSetting, type Scenario } from "../scenario.ts";
import { studyFolder } from "../store/layout.ts";
import { listStudies, readPlan } from "../store/studies.ts";

/** Options of `run` and `run-all`, for their help and for {@linkcode parseStudyOptions}. */
const STUDY_OPTIONS: Record<string, { value: string; help: string }> = {
  plan: { value: "NAME", help: `${PLAN_NAMES.join(", ")}, or a file.json (default quick)` },
  study: { value: "NAME", help: "name of the study (default: resume the plan, else a new one)" },
  framework: { value: "LIST", help: "only these frameworks, such as django,flask" },
  path: { value: "LIST", help: "only this path: direct or pooled" },
  users: { value: "LIST", help: "these numbers of users, such as 100,500" },
  "arrival-rate": { value: "LIST", help: "open loop: requests due per second, such as 50,80" },
  set: { value: "KEY=VALUE", help: "a setting for every scenario, such as reuse=per_request" },
  rounds: { value: "N", help: "passes over all scenarios" },
  "max-rounds": { value: "N", help: "up to so many where a comparison stays undecided" },
  "warm-up": { value: "S", help: "seconds before the measurement window" },
  window: { value: "S", help: "seconds of the measurement window" },
  "no-open-loop": { value: "", help: "without the open loop that follows at equal arrival rates" },
  seed: { value: "N", help: "seed of the order and of the load" },
  engine: { value: "NAME", help: `${ENGINES.join(", ")} (auto: Docker where it answers)` },
  "docker-host": { value: "URL", help: "where Docker listens, such as tcp://host:2376" },
  confirm: {
    value: "",
    help: "relieve what limited each scenario, and see whether throughput rises",
  },
  "retry-failed": { value: "", help: "run failed runs again" },
  notebook: { value: "FILE", help: "run-all: a notebook of yours to execute as well" },
  json: { value: "", help: "events as JSON lines on stdout, lines for people on stderr" },
};

function usage(task: string): string {
  const lines = Object.entries(STUDY_OPTIONS).map(([name, { value, help }]) =>
    `  ${`--${name} ${value}`.padEnd(20)} ${help}`
  );
  return [`Usage: deno task ${task} [options]`, "", ...lines].join("\n");
}

/**
 * Reads command-line options strictly.
 *
 * @throws {UsageError} If an option is unknown or lacks its value.
 */
export function parseOptions<T extends NonNullable<Parameters<typeof parseArgs>[0]>["options"]>(
  args: string[],
  options: T,
  allowPositionals = false,
) {
  try {
    return parseArgs({ args, options, allowPositionals, strict: true });
  } catch (error) {
    throw new UsageError(`Cannot read options: ${(error as Error).message.split(/\. |\n/)[0]}`);
  }
}

/**
 * The options of `run` and `run-all`.
 *
 * @returns What to run; null when only help was asked for, which is then printed.
 * @throws {UsageError} If an option is unknown or its value is not one.
 */
export function parseStudyOptions(
  task: string,
  args: string[],
): (RunStudyOptions & { json: boolean; confirm: boolean; furtherNotebooks?: string[] }) | null {
  const { values } = parseOptions(args, {
    help: { type: "boolean", short: "h" },
    plan: { type: "string" },
    study: { type: "string" },
    framework: { type: "string", multiple: true },
    path: { type: "string", multiple: true },
    users: { type: "string", multiple: true },
    "arrival-rate": { type: "string", multiple: true },
    set: { type: "string", multiple: true },
    rounds: { type: "string" },
    "max-rounds": { type: "string" },
    "warm-up": { type: "string" },
    window: { type: "string" },
    seed: { type: "string" },
    engine: { type: "string" },
    "docker-host": { type: "string" },
    "no-open-loop": { type: "boolean" },
    confirm: { type: "boolean", default: false },
    "retry-failed": { type: "boolean" },
    notebook: { type: "string", multiple: true },
    json: { type: "boolean", default: false },
  });
  if (values.help) {
    console.log(usage(task));
    return null;
  }
  const list = (texts: string[] | undefined) => texts?.flatMap((text) => text.split(","));
  const toNumber = (text: string) => text.trim() === "" ? NaN : Number(text);
  const number = (
    name: "rounds" | "max-rounds" | "warm-up" | "window" | "seed",
  ): number | undefined => {
    const text = values[name];
    if (text === undefined) return undefined;
    const value = toNumber(text);
    if (!Number.isFinite(value)) {
      throw new UsageError(`Cannot use --${name} "${text}": it must be a number`);
    }
    return value;
  };
  const settings: Partial<Scenario> = Object.assign({}, ...(values.set ?? []).map(parseSetting));
  const changes: PlanChanges = {
    frameworks: list(values.framework),
    paths: list(values.path),
    users: list(values.users)?.map(toNumber),
    arrivalRates: list(values["arrival-rate"])?.map(toNumber),
    settings,
    rounds: number("rounds"),
    maxRounds: number("max-rounds"),
    warmUpS: number("warm-up"),
    windowS: number("window"),
    seed: number("seed"),
    ...(values["no-open-loop"] ? { openLoop: false } : {}),
  };
  const engine = values.engine as RunStudyOptions["engine"];
  if (engine !== undefined && !ENGINES.includes(engine)) {
    throw new UsageError(`Cannot use --engine "${engine}": choose from ${ENGINES.join(", ")}`);
  }
  const { plan, study, json, confirm, "retry-failed": retryFailed, "docker-host": dockerHost } =
    values;
  const furtherNotebooks = values.notebook;
  if (task === "run" && furtherNotebooks !== undefined) {
    throw new UsageError("Cannot use --notebook with run: it executes none; use run-all");
  }
  if (study !== undefined && listStudies().includes(study)) {
    // A notebook may open a study of any plan; a command that names one means that one.
    const asked = changePlan(
      plan === undefined ? readPlan(studyFolder(study)) : namedPlan(plan),
      changes,
    );
    if (planHash(asked) !== planHash(readPlan(studyFolder(study)))) {
      throw new UsageError(
        `Cannot use --study "${study}": it was made with another plan, filter or setting; choose another name, or leave those options out`,
      );
    }
  }
  return {
    plan,
    study,
    changes,
    engine,
    dockerHost,
    retryFailed,
    confirm,
    json,
    furtherNotebooks,
  };
}

/** Exit statuses of a task that was told to end, as shells know them. */
const INTERRUPTED = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** By then what was started must have ended; what has not is left to its keepers. */
const STOP_LIMIT_MS = 9000;

/** Within this time after a signal, another is the same one come by another way. */
const ECHO_MS = 500;

/**
 * Runs a task: turns SIGINT, SIGTERM and SIGHUP into an aborted signal, prints errors as one line,
 * and ends the process with 0, 1 for a failure, 2 for a usage error or 128 and the signal's number
 * when interrupted. A second signal ends it at once.
 *
 * @param body The task; what it returns is the exit status. @default 0
 * @param options What is said when it was interrupted; null for nothing.
 */
export async function runTask(
  body: (signal: AbortSignal) => Promise<number | void>,
  { interrupted: said = STUDY_INTERRUPTED }: { interrupted?: string | null } = {},
): Promise<never> {
  const controller = new AbortController();
  let interrupted: number | null = null;
  let sinceMs = 0;
  const interrupt = (name: keyof typeof INTERRUPTED) => {
    if (interrupted !== null) {
      // A terminal sends Ctrl-C to `deno task` too, which passes it on: it arrives twice.
      if (performance.now() - sinceMs < ECHO_MS) return;
      Deno.exit(interrupted);
    }
    sinceMs = performance.now();
    const status = interrupted = INTERRUPTED[name];
    setTimeout(() => Deno.exit(status), STOP_LIMIT_MS);
    controller.abort(new DOMException("Interrupted", "AbortError"));
  };
  for (const name of Object.keys(INTERRUPTED) as (keyof typeof INTERRUPTED)[]) {
    Deno.addSignalListener(name, () => interrupt(name));
  }
  const orphaned = watchWrappers(() => interrupted ?? interrupt("SIGTERM"));
  let status = 1;
  try {
    status = await body(controller.signal) ?? 0;
  } catch (error) {
    status = interrupted ?? report(error);
  } finally {
    clearInterval(orphaned);
  }
  if (interrupted !== null && status === interrupted && said !== null) say(said);
  Deno.exit(status);
}

const STUDY_INTERRUPTED =
  "Interrupted: everything is stopped; complete runs are kept, start again to go on";

function say(text: string): void {
  try {
    console.error(`\n${text}`);
  } catch {
    // The terminal is gone.
  }
}

function report(error: unknown): number {
  if (error instanceof UsageError || error instanceof PoolscopeError) {
    console.error(error.message);
    return error instanceof UsageError ? 2 : 1;
  }
  if (Deno.env.get("POOLSCOPE_DEBUG")) console.error(error);
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  console.error(
    `Unexpected ${text.split("\n")[0]}; set POOLSCOPE_DEBUG=1 to see where, and report it`,
  );
  return 1;
}

/**
 * Under npx, a signal to the npm wrapper ends the wrapper and leaves this process and those
 * between: the death of any of them counts as a signal. The user's shell is none of them, so that
 * `nohup` keeps its meaning.
 */
function watchWrappers(onDeath: () => void): ReturnType<typeof setInterval> {
  const wrappers = findWrappers(Deno.pid);
  return setInterval(() => {
    if (wrappers.some(({ pid, startTicks }) => !isAlive(pid, startTicks))) onDeath();
  }, 500);
}

/** `deno task`, npm's shell and npm itself, as far as this process was started by way of them. */
function findWrappers(pid: number): ProcessStat[] {
  const parent = readProcess(readProcess(pid)?.parent ?? 0);
  if (parent === null || !isWrapper(readCommand(parent.pid))) return [];
  return [parent, ...findWrappers(parent.pid)];
}

function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** Whether this command line is one that does nothing but run Deno. */
export function isWrapper(command: string): boolean {
  return /^(\S*\/)?deno task /.test(command) ||
    /^((\S*\/)?node \S*|npm exec|npm run|npx) ?.*deno\b/.test(command) ||
    /^(\S*\/)?(ba|da)?sh -c (-- )?'?(\S*\/)?deno'? /.test(command);
}
