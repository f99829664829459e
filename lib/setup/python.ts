/**
 * The Python environment: one virtual environment under `.poolscope/`, filled from the hashed locks
 * of the parts that are asked for. uv installs where it can, pip where it cannot.
 */

import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { appFolders, describeFolder } from "../apps/folders.ts";
import { PoolscopeError } from "../errors.ts";
import { isVersionFrom } from "../settings.ts";
import { ROOT } from "../store/layout.ts";
import {
  type Argv,
  findOnPath,
  lastLine,
  redact,
  runCommand,
  type StepOptions,
  tryCommand,
} from "./command.ts";
import { readersEnvironment } from "./environment.ts";
import { findOrMake } from "./lock.ts";
import { uvEnvironment } from "./pip_settings.ts";

export const PYTHON_PARTS = {
  locust: "locust/requirements.txt",
  notebooks: "notebooks/requirements.txt",
  lab: "notebooks/requirements-lab.txt",
} as const;

/** The locks of all parts: of the apps that are locked together with Poolscope's own, and of those. */
function pythonLocks(root: string): Record<string, string> {
  const shared = appFolders(root).flatMap((app): [string, string][] => {
    const { environment, lock } = describeFolder(app);
    return environment === "shared" ? [[app.name, join(app.folder, String(lock))]] : [];
  });
  const own = Object.entries(PYTHON_PARTS).map(([part, lock]) => [part, join(root, lock)]);
  return Object.fromEntries([...shared, ...own]);
}

/** The parts that a study needs: Poolscope's own, and apps of its environment. */
export function studyParts(root: string = ROOT): string[] {
  return Object.keys(pythonLocks(root)).filter((part) => part !== "lab");
}

function locksOf(
  root: string,
  parts: readonly string[] = studyParts(root),
): Record<string, string> {
  const locks = pythonLocks(root);
  return Object.fromEntries(parts.map((part) => [part, locks[part]!]));
}

export interface PythonEnvironment extends PythonPaths {
  version: string;
}

export interface PythonPaths {
  folder: string;
  python: string;
}

function pythonIn(folder: string): string {
  return join(folder, "bin", "python");
}

/** Where the virtual environment is, whether it has been made or not. */
export function environmentPaths(root: string = ROOT): PythonPaths {
  const folder = join(root, ".poolscope", "venv");
  return { folder, python: pythonIn(folder) };
}

export interface PythonOptions extends StepOptions {
  parts?: readonly string[];
  root?: string;
}

/** The oldest Python that Locust runs on. */
const OLDEST_PYTHON = "3.11";
const CANDIDATES = ["python3", "python3.13", "python3.12", "python3.11", "python3.14"];
const INSTALL_HINT =
  "install Python 3.11 or later (on Debian and Ubuntu: apt-get install python3 python3-venv), or set POOLSCOPE_PYTHON to one";
const UV_LOCK = fileURLToPath(new URL("./uv.txt", import.meta.url));
const PIP_CONFIG = fileURLToPath(new URL("./pip_config.py", import.meta.url));

/** The `poolscope.json` of an environment, written once it is whole. */
interface Stamp {
  folder: string;
  executable: string;
  version: string;
  base: string;
  parts: Record<string, string | undefined>;
}

interface FoundPython {
  path: string;
  version: string;
  ensurepip: boolean;
  pip: boolean;
}

function minorVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

/** Whether a version is 3.11 or later. */
export function isRecentPython(version: string): boolean {
  return isVersionFrom(minorVersion(version), OLDEST_PYTHON);
}

const PROBE = `
import importlib.util as u, json, platform, sys
print(json.dumps({"version": platform.python_version(), "path": sys.executable,
  "ensurepip": bool(u.find_spec("ensurepip") and u.find_spec("venv")), "pip": bool(u.find_spec("pip"))}))`;

async function probe(program: string): Promise<FoundPython | null> {
  const { code, stdout } = await tryCommand([program, "-c", PROBE], { cwd: "/" });
  try {
    return code === 0 ? JSON.parse(stdout) : null;
  } catch {
    return null;
  }
}

function cannotSetUp(what: string, next = INSTALL_HINT): PoolscopeError {
  return new PoolscopeError(`Cannot set up Python: ${what}; ${next}`);
}

/** Finds a Python that is new enough; the error names the newest that was found. */
export async function findPython(): Promise<FoundPython> {
  const chosen = Deno.env.get("POOLSCOPE_PYTHON");
  const withUv = findOnPath("uv") !== null;
  const unfit: FoundPython[] = [];
  for (const name of chosen ? [chosen] : CANDIDATES) {
    const found = await probe(name);
    if (found === null) continue;
    const canInstall = chosen || withUv || found.ensurepip || found.pip;
    if (isRecentPython(found.version) && canInstall) return found;
    unfit.push(found);
  }
  const half = unfit.find(({ version }) => isRecentPython(version));
  if (half !== undefined) {
    const venv = `python${minorVersion(half.version)}-venv`;
    throw cannotSetUp(
      `${half.path} (${half.version}) has no ensurepip, so it cannot make a virtual environment`,
      `install its venv package (on Debian and Ubuntu: apt-get install ${venv})`,
    );
  }
  const [old] = unfit;
  const place = chosen ? `POOLSCOPE_PYTHON is ${chosen},` : `${old?.path} is`;
  if (old === undefined) {
    throw cannotSetUp(chosen ? `${place} which does not run as Python 3` : "no python3 on PATH");
  }
  throw cannotSetUp(`${place} Python ${old.version}, and ${OLDEST_PYTHON} or later is needed`);
}

function hashLock(path: string): string {
  try {
    return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
  } catch {
    const restore = `restore it (git checkout ${relative(ROOT, path)})`;
    throw cannotSetUp(`${path} cannot be read`, restore);
  }
}

/** Reads an environment's stamp; null where there is none, or a half-made one. */
function readStamp(folder: string): Stamp | null {
  try {
    const stamp: Stamp = JSON.parse(Deno.readTextFileSync(join(folder, "poolscope.json")));
    // Its programs hold absolute paths, so a checkout that was moved needs a new one; so does one
    // whose Python was replaced by another minor version.
    const { executable, base } = stamp;
    const chosen = Deno.env.get("POOLSCOPE_PYTHON") || base;
    const isFit = stamp.folder === folder && Deno.realPathSync(pythonIn(folder)) === executable &&
      (chosen === base || Deno.realPathSync(chosen) === executable);
    return isFit ? stamp : null;
  } catch {
    return null;
  }
}

function findLacking(stamp: Stamp | null, locks: Record<string, string>) {
  return Object.entries(locks)
    .map(([part, path]) => ({ part, path, hash: hashLock(path) }))
    .filter(({ part, hash }) => stamp?.parts[part] !== hash);
}

/** A program that installs packages; `progress` are the lines of its output that are worth telling. */
interface Installer {
  name: string;
  argv: Argv;
  env?: Record<string, string>;
  progress: RegExp;
}

const PIP_INSTALL = ["install", "--no-input", "--disable-pip-version-check"];

async function works(argv: Argv, signal?: AbortSignal): Promise<boolean> {
  return (await tryCommand(argv, { signal })).code === 0;
}

async function createEnvironment(
  folder: string,
  base: FoundPython,
  { log, signal }: StepOptions,
): Promise<void> {
  log?.(`Making a virtual environment with Python ${base.version}`);
  const uv = findOnPath("uv");
  if (uv !== null) {
    const argv: Argv = [uv, "venv", "--python", base.path, "--no-project", folder];
    const made = await tryCommand(argv, { signal });
    if (made.code === 0) return;
    log?.(`uv cannot make it (${lastLine(made)}); using ${basename(base.path)} itself`);
    rmSync(folder, { recursive: true, force: true });
  }
  const argv: Argv = [
    base.path,
    "-m",
    "venv",
    ...(base.ensurepip ? [] : ["--without-pip"]),
    folder,
  ];
  await runCommand("make a virtual environment", argv, { signal });
}

/** The ways to install into an environment, best first. */
async function findInstallers(
  folder: string,
  base: FoundPython,
  { log, signal }: StepOptions,
): Promise<Installer[]> {
  const python = pythonIn(folder);
  let uv = findOnPath("uv");
  const inside: Argv = [python, "-m", "pip"];
  const outside: Argv | null = base.pip ? [base.path, "-m", "pip", "--python", python] : null;
  const hasPip = await works([...inside, "--version"], signal) ||
    (base.ensurepip && uv === null && await works([python, "-m", "ensurepip"], signal));
  const pip = hasPip ? inside : outside;
  const own = join(folder, "bin", "uv");
  if (uv === null && await works([own, "--version"], signal)) uv = own;
  if (uv === null && pip !== null) {
    log?.("Installing uv");
    const options = ["--require-hashes", "--only-binary", ":all:", "-r", UV_LOCK];
    const installed = await tryCommand([...pip, ...PIP_INSTALL, ...options], { signal });
    if (installed.code === 0 && await works([own, "--version"], signal)) uv = own;
    else log?.(`uv is unavailable (${lastLine(installed)}); using pip`);
  }
  const installers: Installer[] = [];
  if (uv !== null) {
    const { code, stdout } = await tryCommand([base.path, PIP_CONFIG], { signal });
    const settings = code === 0 ? JSON.parse(stdout) : {};
    installers.push({
      name: "uv",
      argv: [uv, "pip", "install", "--python", python],
      env: uvEnvironment(settings, readersEnvironment()),
      progress: /^(Resolved|Prepared|Installed|Downloading|Building|warning|error)/,
    });
  }
  if (pip !== null) {
    installers.push({
      name: "pip",
      argv: [...pip, ...PIP_INSTALL, "--progress-bar=off", "--root-user-action=ignore"],
      progress: /^(Downloading|Building|Installing collected|ERROR|WARNING: Retrying)/,
    });
  }
  return installers;
}

/** Installs locks by the first installer that can. */
async function installLocks(
  [installer, ...others]: Installer[],
  locks: string[],
  { log, signal }: StepOptions,
): Promise<void> {
  const { name, argv, env, progress } = installer!;
  // Hashes are checked wherever a lock has them; the reader's own may have none.
  const hashed = locks.every((lock) => Deno.readTextFileSync(lock).includes("--hash="));
  const files = locks.flatMap((lock) => ["-r", lock]);
  const onLine = (line: string) => {
    const text = line.trim();
    if (progress.test(text)) log?.(redact(text.replace(/^(Installing) collected.*/, "$1")));
  };
  try {
    await runCommand(
      "install the Python packages",
      [...argv, ...(hashed ? ["--require-hashes"] : []), ...files],
      { env, signal, onLine },
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (others.length === 0) throw error;
    log?.(`${name} failed; trying the next: ${(error as Error).message}`);
    await installLocks(others, locks, { log, signal });
  }
}

/** Installs the parts that the environment lacks; makes it anew where it is not whole. */
async function install(
  folder: string,
  locks: Record<string, string>,
  options: StepOptions,
): Promise<Stamp> {
  const stamp = readStamp(folder);
  const base = await findPython();
  if (stamp === null) {
    rmSync(folder, { recursive: true, force: true });
    await createEnvironment(folder, base, options);
  }
  const installers = await findInstallers(folder, base, options);
  if (installers.length === 0) {
    throw new PoolscopeError(
      `Cannot install the Python packages: ${base.path} has neither pip nor ensurepip, and uv is not on PATH; ${INSTALL_HINT}`,
    );
  }
  const lacking = findLacking(stamp, locks);
  const path = join(folder, "poolscope.json");
  // From here on it is half-made; a part that is merely added harms none of the others.
  if (lacking.some(({ part }) => stamp?.parts[part] !== undefined)) await Deno.remove(path);
  options.log?.(`Installing Python packages: ${lacking.map(({ part }) => part).join(", ")}`);
  await installLocks(installers, lacking.map(({ path }) => path), options);
  const added = lacking.map(({ part, hash }) => [part, hash]);
  const whole: Stamp = {
    folder,
    executable: await Deno.realPath(pythonIn(folder)),
    version: stamp?.version ?? base.version,
    base: base.path,
    parts: { ...stamp?.parts, ...Object.fromEntries(added) },
  };
  await Deno.writeTextFile(`${path}.new`, JSON.stringify(whole, null, 2) + "\n");
  await Deno.rename(`${path}.new`, path);
  return whole;
}

async function ensureEnvironment(
  folder: string,
  locks: Record<string, string>,
  options: StepOptions,
): Promise<PythonEnvironment> {
  const find = () => {
    const stamp = readStamp(folder);
    return findLacking(stamp, locks).length === 0 ? stamp : null;
  };
  const make = () => install(folder, locks, options);
  const work = "setup of the Python environment";
  const { version } = await findOrMake(`${folder}.lock`, work, find, make, options);
  return { folder, python: pythonIn(folder), version };
}

/**
 * Makes sure that the virtual environment is there and holds the packages of these parts. When it does,
 * nothing is run; a half-made one is made anew.
 */
export async function ensurePython(options: PythonOptions = {}): Promise<PythonEnvironment> {
  const { root = ROOT, parts } = options;
  return await ensureEnvironment(environmentPaths(root).folder, locksOf(root, parts), options);
}

/** Makes sure that an app's own virtual environment is there, in a folder of that place. */
export async function appEnvironment(
  place: string,
  app: string,
  lock: string,
  options: StepOptions,
): Promise<{ folder: string; versions: Record<string, string> }> {
  const made = await ensureEnvironment(join(place, "venv"), { [app]: lock }, options);
  const { folder, version } = made;
  const names = [...Deno.readTextFileSync(lock).matchAll(/^([\w.-]+)/gm)].map(([name]) => name);
  return { folder, versions: { python: version, ...installedVersions(folder, names) } };
}

/** Package names compare without case and with every separator alike (PEP 503). */
export function normaliseName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}

/** The versions of packages as they are installed. */
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

/** Says where the environment is, or what the next start will make it with; installs nothing. */
export async function inspectPython(): Promise<string> {
  const stamp = readStamp(environmentPaths().folder);
  const lacking = findLacking(stamp, locksOf(ROOT)).map(({ part }) => part);
  if (stamp !== null && lacking.length === 0) {
    return `${stamp.version} in .poolscope/venv, all packages installed`;
  }
  const { path, version, ensurepip } = await findPython();
  const way = ensurepip ? "venv and ensurepip are there" : "no ensurepip, but uv or pip";
  const next = stamp === null
    ? "the first start makes .poolscope/venv"
    : `the next start installs the packages of ${lacking.join(", ")}`;
  return `${version} at ${path}, ${way}; ${next}`;
}
