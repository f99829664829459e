/**
 * The Python environment: one virtual environment under `.poolscope/`, filled from the hashed locks
 * of the parts that are asked for. uv installs where it can, pip where it cannot.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { appFolders, describeFolder } from "../apps/folders.ts";
import { PoolscopeError } from "../errors.ts";
import { ROOT } from "../store/layout.ts";
import {
  type CommandOptions,
  findOnPath,
  lastLine,
  redact,
  runCommand,
  tryCommand,
} from "./command.ts";
import { readersEnvironment } from "./environment.ts";
import { type PipSettings, uvEnvironment } from "./pip_settings.ts";
import { withLock } from "./lock.ts";

/** The locks of Poolscope's own parts. */
export const PYTHON_PARTS = {
  locust: "locust/requirements.txt",
  notebooks: "notebooks/requirements.txt",
  lab: "notebooks/requirements-lab.txt",
} as const;

/** A part that needs Python packages: one of Poolscope's own, or an app of its environment. */
export type PythonPart = string;

/** Paths of locks, by part. */
type Locks = Record<PythonPart, string>;

/** The locks of all parts: of the apps that are locked together with Poolscope's own, and of those. */
function pythonLocks(root: string): Locks {
  const shared = appFolders(root).flatMap((app): [string, string][] => {
    const { environment, lock } = describeFolder(app);
    return environment === "shared" ? [[app.name, join(app.folder, String(lock))]] : [];
  });
  const own = Object.entries(PYTHON_PARTS).map(([part, lock]) => [part, join(root, lock)]);
  return Object.fromEntries([...shared, ...own]);
}

/** The parts that a study needs. */
export function studyParts(root: string = ROOT): PythonPart[] {
  return Object.keys(pythonLocks(root)).filter((part) => part !== "lab");
}

/** A virtual environment that holds what was asked for. */
export interface PythonEnvironment {
  /** The virtual environment. */
  folder: string;
  /** Its Python. */
  python: string;
  /** Its Python's version, as in `3.11.7`. */
  version: string;
  /** The parts that are installed in it. */
  parts: PythonPart[];
}

/** Where the virtual environment is, whether it has been made or not. */
export function environmentPaths(
  root: string = ROOT,
): Pick<PythonEnvironment, "folder" | "python"> {
  const folder = join(root, ".poolscope", "venv");
  return { folder, python: join(folder, "bin", "python") };
}

/** Options of {@linkcode ensurePython}. */
export interface PythonOptions {
  /** What must be installed. @default {all but lab} */
  parts?: readonly PythonPart[];
  /** Stops the installation. */
  signal?: AbortSignal;
  /** Called with each line of progress. */
  log?: (line: string) => void;
  /** The checkout. @default {this one} */
  root?: string;
}

/** The oldest Python that Locust runs on. */
export const OLDEST_PYTHON = [3, 11] as const;

const CANDIDATES = ["python3", "python3.13", "python3.12", "python3.11", "python3.14"];
const INSTALL_HINT =
  "install Python 3.11 or later (on Debian and Ubuntu: apt-get install python3 python3-venv), or set POOLSCOPE_PYTHON to one";
const UV_LOCK = fileURLToPath(new URL("./uv.txt", import.meta.url));
const PIP_CONFIG = fileURLToPath(new URL("./pip_config.py", import.meta.url));

/** What is written into the environment once it is whole. */
interface Stamp {
  folder: string;
  executable: string;
  version: string;
  base: string;
  parts: Partial<Record<PythonPart, string>>;
}

/** A Python that was found, and what it can do. */
interface FoundPython {
  path: string;
  version: string;
  ensurepip: boolean;
  pip: boolean;
}

/**
 * Whether a version is 3.11 or later.
 *
 * @example
 * ```ts
 * import { isRecentPython } from "./python.ts";
 *
 * console.assert(isRecentPython("3.11.2") && !isRecentPython("3.9.18"));
 * ```
 */
export function isRecentPython(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1]);
}

const PROBE = `
import importlib.util as u, json, platform, sys
print(json.dumps({"version": platform.python_version(), "path": sys.executable,
  "ensurepip": bool(u.find_spec("ensurepip") and u.find_spec("venv")), "pip": bool(u.find_spec("pip"))}))`;

async function probe(program: string): Promise<FoundPython | null> {
  const { code, stdout } = await tryCommand([program, "-c", PROBE], { cwd: "/" });
  if (code !== 0) return null;
  try {
    return JSON.parse(stdout);
  } catch {
    return null;
  }
}

/**
 * Finds a Python that is new enough.
 *
 * @throws {PoolscopeError} If there is none; the message names the newest that was found.
 */
export async function findPython(): Promise<FoundPython> {
  const chosen = Deno.env.get("POOLSCOPE_PYTHON");
  if (chosen) {
    const found = await probe(chosen);
    if (found === null) {
      throw new PoolscopeError(
        `Cannot set up Python: POOLSCOPE_PYTHON is ${chosen}, which does not run as Python 3; ${INSTALL_HINT}`,
      );
    }
    if (isRecentPython(found.version)) return found;
    throw new PoolscopeError(
      `Cannot set up Python: POOLSCOPE_PYTHON is ${chosen}, Python ${found.version}, and 3.11 or later is needed; ${INSTALL_HINT}`,
    );
  }
  const tooOld: FoundPython[] = [];
  const incomplete: FoundPython[] = [];
  const withUv = findOnPath("uv") !== null;
  for (const name of CANDIDATES) {
    if (findOnPath(name) === null) continue;
    const found = await probe(name);
    if (found === null) continue;
    if (!isRecentPython(found.version)) tooOld.push(found);
    else if (withUv || found.ensurepip || found.pip) return found;
    else incomplete.push(found);
  }
  const half = incomplete[0];
  if (half !== undefined) {
    const minor = half.version.split(".").slice(0, 2).join(".");
    throw new PoolscopeError(
      `Cannot set up Python: ${half.path} (${half.version}) has no ensurepip, so it cannot make a virtual environment; install its venv package (on Debian and Ubuntu: apt-get install python${minor}-venv)`,
    );
  }
  const old = tooOld[0];
  throw new PoolscopeError(
    old === undefined
      ? `Cannot set up Python: no python3 on PATH; ${INSTALL_HINT}`
      : `Cannot set up Python: ${old.path} is Python ${old.version}, and 3.11 or later is needed; ${INSTALL_HINT}`,
  );
}

function hashLock(path: string): string {
  try {
    return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
  } catch {
    throw new PoolscopeError(
      `Cannot set up Python: ${path} cannot be read; restore it (git checkout ${
        relative(ROOT, path)
      })`,
    );
  }
}

function readStamp(folder: string): Stamp | null {
  try {
    const stamp = JSON.parse(Deno.readTextFileSync(join(folder, "poolscope.json"))) as Stamp;
    // Its programs hold absolute paths, so a checkout that was moved needs a new one; so does one
    // whose Python was replaced by another minor version.
    if (stamp.folder !== folder) return null;
    if (Deno.realPathSync(join(folder, "bin", "python")) !== stamp.executable) return null;
    const chosen = Deno.env.get("POOLSCOPE_PYTHON");
    if (chosen && chosen !== stamp.base && Deno.realPathSync(chosen) !== stamp.executable) {
      return null;
    }
    return stamp;
  } catch {
    return null; // Not there, or half-made.
  }
}

function isUvWorthTelling(line: string): boolean {
  return /^(Resolved|Prepared|Installed|Downloading|Building|warning|error)/.test(line.trim());
}

function isPipWorthTelling(line: string): boolean {
  return /^\s*(Downloading|Building|Installing collected|ERROR|WARNING: Retrying)/.test(line);
}

/** How packages get into the environment. */
interface Installer {
  name: string;
  install(locks: string[]): Promise<void>;
}

/** Hashes are checked wherever a lock has them; the reader's own may have none. */
function lockArguments(locks: string[]): string[] {
  const hashed = locks.every((lock) => Deno.readTextFileSync(lock).includes("--hash="));
  return [...(hashed ? ["--require-hashes"] : []), ...locks.flatMap((lock) => ["-r", lock])];
}

function createPip(argv: [string, ...string[]], options: CommandOptions): Installer {
  const { onLine: log } = options;
  return {
    name: "pip",
    async install(locks) {
      const args = lockArguments(locks);
      const short = (line: string) => line.trim().replace(/^Installing collected.*/, "Installing");
      await runCommand("install the Python packages", [
        ...argv,
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--root-user-action=ignore",
        ...args,
      ], { ...options, onLine: (line) => isPipWorthTelling(line) && log?.(redact(short(line))) });
    },
  };
}

function createUv(uv: string, python: string, options: CommandOptions): Installer {
  const { onLine: log } = options;
  return {
    name: "uv",
    async install(locks) {
      const args = lockArguments(locks);
      await runCommand("install the Python packages", [
        uv,
        "pip",
        "install",
        "--python",
        python,
        ...args,
      ], { ...options, onLine: (line) => isUvWorthTelling(line) && log?.(redact(line.trim())) });
    },
  };
}

/** Makes the empty environment, and says how to install into it: best first. */
async function createEnvironment(
  folder: string,
  base: FoundPython,
  options: CommandOptions,
): Promise<Installer[]> {
  const { onLine: log } = options;
  const quiet = { ...options, onLine: undefined };
  const python = join(folder, "bin", "python");
  const uvOnPath = findOnPath("uv");
  log?.(`Making a virtual environment with Python ${base.version}`);
  if (uvOnPath !== null) {
    const made = await tryCommand(
      [uvOnPath, "venv", "--python", base.path, "--no-project", folder],
      quiet,
    );
    if (made.code === 0) return await findInstallers(folder, base, options);
    log?.(`uv cannot make it (${lastLine(made)}); using ${basename(base.path)} itself`);
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
  await runCommand("make a virtual environment", [
    base.path,
    "-m",
    "venv",
    ...(base.ensurepip ? [] : ["--without-pip"]),
    folder,
  ], quiet);
  await Deno.stat(python);
  return await findInstallers(folder, base, options);
}

async function findInstallers(
  folder: string,
  base: FoundPython,
  options: CommandOptions,
): Promise<Installer[]> {
  const { onLine: log } = options;
  const quiet = { ...options, onLine: undefined };
  const python = join(folder, "bin", "python");
  const installers: Installer[] = [];

  const inside = await tryCommand([python, "-m", "pip", "--version"], quiet);
  let pip: [string, ...string[]] | null = inside.code === 0 ? [python, "-m", "pip"] : null;
  if (pip === null && base.ensurepip && findOnPath("uv") === null) {
    const made = await tryCommand([python, "-m", "ensurepip"], quiet);
    if (made.code === 0) pip = [python, "-m", "pip"];
  }
  if (pip === null && base.pip) pip = [base.path, "-m", "pip", "--python", python];

  const own = join(folder, "bin", "uv");
  let uv = findOnPath("uv");
  if (uv === null && (await tryCommand([own, "--version"], quiet)).code === 0) uv = own;
  if (uv === null && pip !== null) {
    log?.("Installing uv");
    const installed = await tryCommand([
      ...pip,
      "install",
      "--require-hashes",
      "--only-binary",
      ":all:",
      "--no-input",
      "--disable-pip-version-check",
      "-r",
      UV_LOCK,
    ], quiet);
    const works = installed.code === 0 && (await tryCommand([own, "--version"], quiet)).code === 0;
    if (works) uv = own;
    else log?.(`uv is unavailable (${lastLine(installed)}); using pip`);
  }
  if (uv !== null) {
    const settings = await tryCommand([base.path, PIP_CONFIG], quiet);
    const known: PipSettings = settings.code === 0 ? JSON.parse(settings.stdout) : {};
    const env = uvEnvironment(known, readersEnvironment());
    installers.push(createUv(uv, python, { ...options, env }));
  }
  if (pip !== null) installers.push(createPip(pip, options));
  return installers;
}

async function install(
  folder: string,
  wanted: PythonPart[],
  stamp: Stamp | null,
  hashes: Partial<Record<PythonPart, string>>,
  options: { log: (line: string) => void; paths: Locks; signal?: AbortSignal },
): Promise<Stamp> {
  const { paths, log, signal } = options;
  const run: CommandOptions = { onLine: log, signal };
  const changed = stamp !== null &&
    wanted.some((part) => stamp.parts[part] !== undefined && stamp.parts[part] !== hashes[part]);
  const path = join(folder, "poolscope.json");
  const base = await findPython();
  let installers: Installer[];
  let parts: PythonPart[];
  if (stamp === null) {
    await Deno.remove(folder, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    installers = await createEnvironment(folder, base, run);
    parts = wanted;
  } else {
    installers = await findInstallers(folder, base, run);
    parts = wanted.filter((part) => stamp.parts[part] !== hashes[part]);
    // From here on it is half-made; a part that is merely added harms none of the others.
    if (changed) await Deno.remove(path);
  }
  const locks = parts.map((part) => paths[part]!);
  log(`Installing Python packages: ${parts.join(", ")}`);
  let failure: unknown = new PoolscopeError(
    `Cannot install the Python packages: ${base.path} has neither pip nor ensurepip, and uv is not on PATH; ${INSTALL_HINT}`,
  );
  let installed = false;
  for (const installer of installers) {
    try {
      await installer.install(locks);
      installed = true;
      break;
    } catch (error) {
      signal?.throwIfAborted();
      failure = error;
      if (installer !== installers.at(-1)) {
        log(`${installer.name} failed; trying the next: ${(error as Error).message}`);
      }
    }
  }
  if (!installed) throw failure;
  const whole: Stamp = {
    folder,
    executable: await Deno.realPath(join(folder, "bin", "python")),
    version: stamp?.version ?? base.version,
    base: base.path,
    parts: {
      ...stamp?.parts,
      ...Object.fromEntries(parts.map((part) => [part, hashes[part]])),
    },
  };
  await Deno.writeTextFile(`${path}.new`, JSON.stringify(whole, null, 2) + "\n");
  await Deno.rename(`${path}.new`, path);
  return whole;
}

/**
 * Makes sure that the virtual environment is there and holds the packages of these parts. When it
 * does, nothing is run; a half-made one is made anew.
 *
 * @param options Options for this call.
 * @throws {PoolscopeError} If there is no fitting Python or the packages cannot be installed.
 */
export async function ensurePython(options: PythonOptions = {}): Promise<PythonEnvironment> {
  const {
    signal,
    log = () => {},
    root = ROOT,
    parts = studyParts(root),
  } = options;
  const wanted = [...new Set(parts)];
  const { folder } = environmentPaths(root);
  return await ensureEnvironment(folder, wanted, pythonLocks(root), { log, signal });
}

/**
 * Makes sure that an app's own virtual environment is there.
 *
 * @param place The folder that the environment is made in.
 * @param app The app's name.
 * @param lock The path of its lock.
 * @returns The environment, and the versions of its packages.
 * @throws {PoolscopeError} If there is no fitting Python or the packages cannot be installed.
 */
export async function appEnvironment(
  place: string,
  app: string,
  lock: string,
  { log = () => {}, signal }: Pick<PythonOptions, "log" | "signal">,
): Promise<{ folder: string; versions: Record<string, string> }> {
  const options = { log, signal };
  const made = await ensureEnvironment(join(place, "venv"), [app], { [app]: lock }, options);
  const names = [...Deno.readTextFileSync(lock).matchAll(/^([\w.-]+)/gm)].map(([, name]) => name!);
  return {
    folder: made.folder,
    versions: { python: made.version, ...installedVersions(made.folder, names) },
  };
}

/** Package names compare without case and with every separator alike (PEP 503). */
export function normaliseName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}

/**
 * The versions of packages as they are installed.
 *
 * @param environment The virtual environment.
 * @param names The packages.
 */
export function installedVersions(
  environment: string,
  names: readonly string[],
): Record<string, string> {
  const wanted = new Set(names.map(normaliseName));
  const libraries = join(environment, "lib");
  return Object.fromEntries(
    [...Deno.readDirSync(libraries)]
      .flatMap(({ name }) => [...Deno.readDirSync(join(libraries, name, "site-packages"))])
      .map(({ name }) => /^(.+)-([^-]+)\.dist-info$/.exec(name))
      .filter((match) => match !== null)
      .map((match) => [normaliseName(match[1]!), match[2]!] as const)
      .filter(([name]) => wanted.has(name))
      .sort(),
  );
}

async function ensureEnvironment(
  folder: string,
  wanted: PythonPart[],
  paths: Locks,
  { log, signal }: { log: (line: string) => void; signal?: AbortSignal },
): Promise<PythonEnvironment> {
  const python = join(folder, "bin", "python");
  const hashes = Object.fromEntries(wanted.map((part) => [part, hashLock(paths[part]!)]));
  const holdsAll = (stamp: Stamp | null): stamp is Stamp =>
    stamp !== null && wanted.every((part) => stamp.parts[part] === hashes[part]);

  let stamp = readStamp(folder);
  if (!holdsAll(stamp)) {
    stamp = await withLock(`${folder}.lock`, async () => {
      const meanwhile = readStamp(folder);
      if (holdsAll(meanwhile)) return meanwhile;
      return await install(folder, wanted, meanwhile, hashes, { paths, log, signal });
    }, { signal, onWait: () => log("Waiting for another setup of the Python environment") });
  }
  return {
    folder,
    python,
    version: stamp.version,
    parts: Object.keys(stamp.parts),
  };
}

/**
 * Looks for the environment, or for a Python to make it with, and installs nothing.
 *
 * @returns What is there, and what the next start will do; null when nothing.
 * @throws {PoolscopeError} If there is no fitting Python.
 */
export async function inspectPython(
  root: string = ROOT,
): Promise<{ value: string; next: string | null }> {
  const stamp = readStamp(environmentPaths(root).folder);
  const locks = pythonLocks(root);
  const lacking = studyParts(root)
    .filter((part) => stamp?.parts[part] !== hashLock(locks[part]!));
  if (stamp !== null && lacking.length === 0) {
    return { value: `${stamp.version} in .poolscope/venv, all packages installed`, next: null };
  }
  const { path, version, ensurepip } = await findPython();
  const way = ensurepip ? "venv and ensurepip are there" : "no ensurepip, but uv or pip";
  return {
    value: `${version} at ${path}, ${way}`,
    next: stamp === null
      ? "the first start makes .poolscope/venv"
      : `the next start installs the packages of ${lacking.join(", ")}`,
  };
}
