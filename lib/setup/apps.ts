/** Makes apps ready on this machine: their environments and copies, below `.poolscope/apps/`. */

import { createHash } from "node:crypto";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { App } from "../apps/app.ts";
import { type ReadyApp, RUNTIMES, type Workshop } from "../apps/runtime.ts";
import { PoolscopeError } from "../errors.ts";
import { TOOLS } from "../store/layout.ts";
import { type ContextFile, hashContext, readFolder } from "./build_context.ts";
import { type Argv, findOnPath, runCommand, type StepOptions } from "./command.ts";
import { findOrMake } from "./lock.ts";
import { appEnvironment, type PythonEnvironment } from "./python.ts";

/** Some apps share Poolscope's own virtual environment. */
type PrepareOptions = StepOptions & { python: PythonEnvironment };

/** Copies that nobody has started for so long are removed. */
const KEPT_MS = 24 * 3600 * 1000;

function hashText(text: string, length: number): string {
  return createHash("sha256").update(text).digest("hex").slice(0, length);
}

/** Where copies and environments of an app are. */
function placeOf({ name, folder }: App): string {
  return join(TOOLS, "apps", `${name}-${hashText(folder, 6)}`);
}

/** Installs and builds an app; a second call finds all of it. */
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

function workshop({ python, ...options }: PrepareOptions): Workshop {
  return {
    async environment(app) {
      // The versions of the shared one are those of the engine.
      if (app.environment === "shared") return { folder: python.folder, versions: {} };
      return await appEnvironment(placeOf(app), app.name, join(app.folder, app.lock!), options);
    },
    build: (app, commands) => build(app, commands, options),
    async ask({ folder: cwd }, command) {
      const action = `ask for the version of ${command[0]}`;
      const { stdout } = await runCommand(action, command as Argv, { ...options, cwd });
      return stdout.trim().split("\n")[0]!;
    },
  };
}

async function build(app: App, commands: string[][], options: StepOptions): Promise<string> {
  const { log, signal } = options;
  const files = readFolder(app.folder);
  const place = placeOf(app);
  const copy = join(place, hashText(hashContext(files) + JSON.stringify(commands), 12));
  const partial = `${copy}.partial`;
  const find = () => existsSync(copy) ? copy : null;
  const make = async () => {
    removeOld(place);
    rmSync(partial, { recursive: true, force: true });
    writeFiles(partial, files);
    try {
      for (const command of commands) {
        const words = command.join(" ");
        log?.(`Building ${app.title}: ${words}`);
        const where = { cwd: partial, signal };
        await runCommand(`build ${app.title} (${words})`, command as Argv, where);
      }
      Deno.renameSync(partial, copy);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
    return copy;
  };
  return await findOrMake(join(place, "build.lock"), `build of ${app.title}`, find, make, options);
}

function removeOld(place: string): void {
  const copies = [...Deno.readDirSync(place)].filter(({ name }) => /^[0-9a-f]{12}$/.test(name));
  for (const path of copies.map(({ name }) => join(place, name))) {
    const { mtime } = Deno.statSync(path);
    if (Date.now() - mtime!.getTime() > KEPT_MS) rmSync(path, { recursive: true, force: true });
  }
}

function writeFiles(folder: string, files: readonly ContextFile[]): void {
  for (const { name, content, executable, link } of files) {
    const path = join(folder, name);
    Deno.mkdirSync(dirname(path), { recursive: true });
    if (link) Deno.symlinkSync(String(content), path);
    else writeFileSync(path, content);
    if (executable) Deno.chmodSync(path, 0o755);
  }
}
