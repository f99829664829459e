/**
 * What all tasks share: their help, ending on Ctrl-C, one-line errors and exit statuses. It imports no npm
 * package: the doctor, too, must start where none can be installed.
 */

import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { isAlive, type ProcessStat, readProcess } from "../hosts/linux/proc.ts";
import { PoolscopeError, UsageError } from "../errors.ts";
import { EXIT, exitStatusHelp } from "./exit_status.ts";

/** A path as a task shows it: relative to where it was started, unless it lies elsewhere. */
export function shownPath(path: string): string {
  const shown = relative(Deno.cwd(), path);
  return shown.startsWith("..") ? path : shown;
}

const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

/** By then what was started must have ended; what has not is left to its keepers. */
const STOP_LIMIT_MS = 15_000;

/** Within this time after a signal, another is the same one come by another way. */
const ECHO_MS = 500;

/**
 * Runs a task: prints its help where that is asked for, turns SIGINT, SIGTERM and SIGHUP into an
 * aborted signal, prints errors as one line, and ends the process with the first of the
 * `EXIT_STATUSES` that applies. A second signal ends it at once.
 *
 * @param usage The task's help.
 * @param body The task; what it returns is the exit status unless a signal came. @default 0
 * @param options What is said when it was interrupted; null for nothing.
 */
export async function runTask(
  usage: string,
  body: (signal: AbortSignal) => Promise<number | void>,
  { interrupted: said = STUDY_INTERRUPTED }: { interrupted?: string | null } = {},
): Promise<never> {
  if (Deno.args.some((argument) => argument === "--help" || argument === "-h")) {
    console.log(`${usage}\n\n${exitStatusHelp()}`);
    Deno.exit(EXIT.ok);
  }
  const controller = new AbortController();
  let interrupted: number | null = null;
  let sinceMs = 0;
  const interrupt = (name: typeof SIGNALS[number]) => {
    if (interrupted !== null) {
      // A terminal sends Ctrl-C to `deno task` too, which passes it on: it arrives twice.
      if (performance.now() - sinceMs < ECHO_MS) return;
      Deno.exit(interrupted);
    }
    sinceMs = performance.now();
    const status = interrupted = EXIT[name];
    setTimeout(() => Deno.exit(status), STOP_LIMIT_MS);
    controller.abort(new DOMException("Interrupted", "AbortError"));
  };
  for (const name of SIGNALS) Deno.addSignalListener(name, () => interrupt(name));
  const orphaned = watchWrappers(() => interrupted ?? interrupt("SIGTERM"));
  // An error that nobody waited for ends the task as any other does: in a line, all being stopped.
  const strays: unknown[] = [];
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    if (strays.push(event.reason) > 1 || interrupted !== null) return;
    setTimeout(() => Deno.exit(report(event.reason)), STOP_LIMIT_MS);
    controller.abort(event.reason);
  });
  let status: number = EXIT.fault;
  try {
    status = await body(controller.signal) ?? EXIT.ok;
    if (strays.length > 0) throw strays[0];
  } catch (error) {
    if (interrupted === null) status = report(strays.length > 0 ? strays[0] : error);
  } finally {
    clearInterval(orphaned);
  }
  if (interrupted !== null && said !== null) {
    try {
      console.error(`\n${said}`);
    } catch {
      // The terminal is gone.
    }
  }
  Deno.exit(interrupted ?? status);
}

const STUDY_INTERRUPTED =
  "Interrupted: everything is stopped; complete runs are kept, start again to go on";

function report(error: unknown): number {
  if (error instanceof UsageError || error instanceof PoolscopeError) {
    console.error(error.message);
    return error instanceof UsageError ? EXIT.usage : EXIT.fault;
  }
  if (Deno.env.get("POOLSCOPE_DEBUG")) console.error(error);
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  console.error(
    `Unexpected ${text.split("\n")[0]}; set POOLSCOPE_DEBUG=1 to see where, and report it`,
  );
  return EXIT.fault;
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
  if (parent === null || !isWrapper(parent.pid)) return [];
  return [parent, ...findWrappers(parent.pid)];
}

/** Command lines that do nothing but run Deno. */
const WRAPPERS = [
  /^(\S*\/)?deno task /,
  /^((\S*\/)?node \S*|npm exec|npm run|npx) ?.*deno\b/,
  /^(\S*\/)?(ba|da)?sh -c (-- )?'?(\S*\/)?deno'? /,
];

function isWrapper(pid: number): boolean {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return WRAPPERS.some((wrapper) => wrapper.test(command));
  } catch {
    return false; // It has ended.
  }
}
