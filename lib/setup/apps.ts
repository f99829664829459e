/**
 * Makes apps ready on this machine: their own virtual environments, and the copies that they are built
 * in, all of it below `.poolscope/apps/`.
 *
 * @module
 */

import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { App } from "../apps/app.ts";
import { type ReadyApp, RUNTIMES, type Workshop } from "../apps/runtime.ts";
import { PoolscopeError } from "../errors.ts";
import { TOOLS } from "../store/layout.ts";
import { type ContextFile, hashContext, readFolder } from "./build_context.ts";
import { findOnPath, runCommand } from "./command.ts";
import { withLock } from "./lock.ts";
import { appEnvironment, type PythonEnvironment } from "./python.ts";

/** Options of {@linkcode prepareApp}. */
export interface PrepareOptions {
  /** Poolscope's own virtual environment, which some apps share. */
  python: PythonEnvironment;
  /** Called with each line of progress. */
  log?: (line: string) => void;
  /** Stops it. */
  signal?: AbortSignal;
}

/** Copies that nobody has started for so long are removed. */
const KEPT_MS = 24 * 3600 * 1000;

/** Where copies and environments of an app are. */
function placeOf({ name, folder }: App): string {
  const hash = createHash("sha256").update(folder).digest("hex").slice(0, 6);
  return join(TOOLS, "apps", `${name}-${hash}`);
}

/**
 * Installs and builds an app; a second call finds all of it.
 *
 * @param app The app.
 * @param options Options for this call.
 * @throws {PoolscopeError} If a program is missing or a step fails, in one line.
 */
export async function prepareApp(app: App, options: PrepareOptions): Promise<ReadyApp> {
  const runtime = RUNTIMES[app.runtime];
  const missing = runtime.needs(app).find((program) => findOnPath(program) === null);
  if (missing !== undefined) {
    throw new PoolscopeError(
      `Cannot run ${app.title}: ${missing} is not on PATH; install it, or use --engine docker`,
    );
  }
  const ready = await runtime.prepare(app, workshop(options));
  // Where the reader has the program, for the app's environment has nothing of the reader's.
  const program = app.runtime === "python" ? null : findOnPath(app.command![0]!);
  return { ...ready, programs: [...ready.programs, ...(program ? [dirname(program)] : [])] };
}

function workshop({ python, log, signal }: PrepareOptions): Workshop {
  return {
    async environment(app) {
      // The versions of the shared one are those of the engine.
      if (app.environment === "shared") return { folder: python.folder, versions: {} };
      const lock = join(app.folder, app.lock!);
      return await appEnvironment(placeOf(app), app.name, lock, { log, signal });
    },
    build: (app, commands) =>
      withLock(join(placeOf(app), "build.lock"), () => build(app, commands, { log, signal }), {
        signal,
        onWait: () => log?.(`Waiting for another build of ${app.title}`),
      }),
    async ask(app, [program, ...args]) {
      const action = `ask for the version of ${program}`;
      const cwd = app.folder;
      const { stdout } = await runCommand(action, [program!, ...args], { signal, cwd });
      return stdout.trim().split("\n")[0]!;
    },
  };
}

async function build(
  app: App,
  commands: string[][],
  { log, signal }: Pick<PrepareOptions, "log" | "signal">,
): Promise<string> {
  const files = readFolder(app.folder);
  const hash = createHash("sha256").update(hashContext(files) + JSON.stringify(commands))
    .digest("hex").slice(0, 12);
  const folder = join(placeOf(app), hash);
  if (existsSync(folder)) return folder;
  removeOld(placeOf(app));
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  writeFiles(partial, files);
  try {
    for (const command of commands) {
      log?.(`Building ${app.title}: ${command.join(" ")}`);
      const [program, ...args] = command;
      await runCommand(`build ${app.title} (${command.join(" ")})`, [program!, ...args], {
        cwd: partial,
        signal,
      });
    }
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return folder;
}

function removeOld(place: string): void {
  for (const name of readdirSync(place)) {
    const path = join(place, name);
    if (/^[0-9a-f]{12}$/.test(name) && Date.now() - statSync(path).mtimeMs > KEPT_MS) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

function writeFiles(folder: string, files: readonly ContextFile[]): void {
  mkdirSync(folder, { recursive: true });
  for (const { name, content, executable, link } of files) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    if (link) symlinkSync(String(content), path);
    else {
      writeFileSync(path, content);
      if (executable) chmodSync(path, 0o755);
    }
  }
}
