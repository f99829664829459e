/**
 * PgBouncer 1.21 or later, the first that follows prepared statements in transaction mode: from PATH,
 * else unpacked from Debian 13's packages, without root and without installing anything. A version that is
 * asked for may also come from Debian's next release.
 */

import { existsSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { isVersionFrom, OLDEST_PGBOUNCER } from "../settings.ts";
import { ROOT, TOOLS } from "../store/layout.ts";
import { allOnPath, type Argv, askVersion, isVersion, type StepOptions } from "./command.ts";
import { requireDebian, type Suite, SUITES, unpackDebian } from "./debian.ts";
import { findOrMake } from "./lock.ts";
import { stageFolder } from "./stage.ts";
import { type ServiceUser, serviceUser } from "./user.ts";

/** A PgBouncer that can be started by whoever runs it. */
export interface PgbouncerBinary {
  /** The program, with the loader in front of it where it needs one; arguments follow. */
  argv: Argv;
  version: string;
}

export interface PgbouncerOptions extends StepOptions {
  root?: string;
  /** Programs to look at before anything is downloaded. @default {those of PATH and /usr/sbin} */
  installed?: string[];
  /** The version, as in `1.26`. @default {null, which takes the first recent one} */
  version?: string | null;
}

/** Debian's packages that make it run anywhere. */
const PACKAGES =
  "pgbouncer libc6 libevent-2.1-7t64 libcares2 libldap2 libsasl2-2 libssl3t64 libpam0g libsystemd0 libaudit1 libcap-ng0 libcap2 libzstd1 zlib1g"
    .split(" ");

/** The version in what `pgbouncer --version` prints. */
export function parsePgbouncerVersion(text: string): string | null {
  return /^PgBouncer (?:version )?(\d+\.\d+(?:\.\d+)?)/im.exec(text)?.[1] ?? null;
}

/** An unpacked PgBouncer, with paths in its folder: what is beside `folder` is its `poolscope.json`. */
interface Unpacked {
  folder: string;
  version: string;
  /** The release that it is from; not there where an earlier version unpacked it, from Debian 13. */
  suite?: Suite;
  loader: string;
  libraries: string;
  program: string;
}

function toArgv({ folder, loader, libraries, program }: Omit<Unpacked, "version">): Argv {
  return [join(folder, loader), "--library-path", join(folder, libraries), join(folder, program)];
}

function ask(argv: Argv, user: ServiceUser | null) {
  return askVersion(argv, parsePgbouncerVersion, user);
}

function cannot(what: string, version: string | null = null): PoolscopeError {
  return new PoolscopeError(
    version === null
      ? `Cannot set up PgBouncer: ${what}; install PgBouncer ${OLDEST_PGBOUNCER} or later and put it on PATH`
      : `Cannot find PgBouncer ${version}: ${what}; put that version on PATH`,
  );
}

/** The unpacked PgBouncer of an earlier start, newest first: of a version, or of Debian 13. */
function findUnpacked(tools: string, asked: string | null): Unpacked | null {
  const names = existsSync(tools) ? readdirSync(tools) : [];
  const newestFirst = names.filter((name) => name.startsWith("pgbouncer-"))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  for (const name of newestFirst) {
    try {
      const folder = join(tools, name);
      const text = Deno.readTextFileSync(join(folder, "poolscope.json"));
      const found: Unpacked = { ...JSON.parse(text), folder };
      const { suite = "trixie", version, program, loader } = found;
      const wanted = asked === null ? suite === "trixie" : isVersion(version, asked);
      if (wanted && [program, loader].every((path) => existsSync(join(folder, path)))) return found;
    } catch {
      // Not one of ours, or half-made.
    }
  }
  return null;
}

/** Moves what PgBouncer needs to run out of unpacked packages; most of them is documentation. */
function takeParts(packages: string, folder: string): Omit<Unpacked, "folder" | "version"> {
  const names = readdirSync(packages, { recursive: true }).map(String);
  const find = (pattern: RegExp) =>
    names.find((name) => pattern.test(name) && lstatSync(join(packages, name)).isFile());
  const loader = find(/\/ld-linux[^/]*\.so\.\d+$/);
  const libc = find(/\/libc\.so\.6$/);
  const program = find(/^usr\/sbin\/pgbouncer$/);
  if (loader === undefined || libc === undefined || program === undefined) {
    throw cannot("Debian's packages do not hold what was expected");
  }
  const libraries = dirname(libc);
  for (const name of [libraries, program, loader]) {
    // The loader may have been moved with the libraries.
    if (!existsSync(join(packages, name))) continue;
    Deno.mkdirSync(join(folder, dirname(name)), { recursive: true });
    Deno.renameSync(join(packages, name), join(folder, name));
  }
  for (const name of ["gconv", "audit", "perl", "systemd"]) {
    rmSync(join(folder, libraries, name), { recursive: true, force: true });
  }
  return { loader, libraries, program };
}

/** Unpacks it from the first release of Debian that has the version. */
async function unpack(
  tools: string,
  seen: string[],
  { log, signal, version = null }: PgbouncerOptions,
): Promise<Unpacked> {
  const refuse = (what: string) => cannot(what, version);
  const what = "PgBouncer and its libraries";
  await Deno.mkdir(tools, { recursive: true });
  const suites = Object.keys(SUITES) as Suite[];
  for (const suite of version === null ? suites.slice(0, 1) : suites) {
    const work = await Deno.makeTempDir({ dir: tools, prefix: "pgbouncer.partial-" });
    try {
      const packages = await unpackDebian(PACKAGES, work, { refuse, what, log, signal, suite });
      const partial = join(work, "whole");
      const parts = takeParts(packages, partial);
      const answer = await ask(toArgv({ folder: partial, ...parts }), null);
      if ("problem" in answer) throw cannot(`unpacked, it does not run: ${answer.problem}`);
      if (!isVersion(answer.version, version)) {
        seen.push(`${SUITES[suite]} has ${answer.version}`);
        continue;
      }
      const made = { version: answer.version, suite, ...parts };
      const text = JSON.stringify(made, null, 2) + "\n";
      await Deno.writeTextFile(join(partial, "poolscope.json"), text);
      const folder = join(tools, `pgbouncer-${answer.version}`);
      rmSync(folder, { recursive: true, force: true }); // Half-made, or we were not here.
      await Deno.rename(partial, folder);
      log?.(`PgBouncer ${answer.version} is unpacked`);
      return { ...made, folder };
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  throw cannot(seen.join(", "), version);
}

function installedPrograms(): string[] {
  return [...new Set([...allOnPath("pgbouncer"), "/usr/sbin/pgbouncer"])].filter(existsSync);
}

/** Finds PgBouncer, or unpacks it into `.poolscope/`, and makes its user able to run it. */
export async function ensurePgbouncer(options: PgbouncerOptions = {}): Promise<PgbouncerBinary> {
  const { log, root = ROOT, installed = installedPrograms(), version = null } = options;
  const user = serviceUser();
  const seen: string[] = [];
  for (const path of installed) {
    const answer = await ask([path], user);
    if ("problem" in answer) log?.(`${path} does not run: ${answer.problem}`);
    else if (!isVersionFrom(answer.version, OLDEST_PGBOUNCER)) {
      log?.(`${path} is PgBouncer ${answer.version}, older than ${OLDEST_PGBOUNCER}`);
    } else if (isVersion(answer.version, version)) {
      return { argv: [path], version: answer.version };
    } else seen.push(`${path} is ${answer.version}`);
  }
  const tools = join(root, ".poolscope");
  const found = await findOrMake(
    join(tools, "pgbouncer.lock"),
    "setup of PgBouncer",
    () => findUnpacked(tools, version),
    () => unpack(tools, seen, options),
    options,
  );
  const folder = stageFolder(found.folder, `pgbouncer-${found.version}`, user, root);
  const argv = toArgv({ ...found, folder });
  const answer = await ask(argv, user);
  if ("version" in answer) return { argv, version: answer.version };
  throw cannot(`${found.folder} does not run (${answer.problem}); remove that folder to try anew`);
}

/** Says where PgBouncer is, or how the next start will get it; downloads nothing. */
export async function inspectPgbouncer(): Promise<string> {
  let tooOld = "";
  for (const path of installedPrograms()) {
    const answer = await ask([path], null);
    if ("problem" in answer) continue;
    const { version } = answer;
    if (isVersionFrom(version, OLDEST_PGBOUNCER)) return `${version} at ${path}`;
    tooOld = ` (${path} is ${version}, older than ${OLDEST_PGBOUNCER})`;
  }
  const found = findUnpacked(TOOLS, null);
  if (found === null) {
    const [source] = await requireDebian(cannot);
    return `to be had from ${source!.uri}${tooOld}; the first start unpacks it`;
  }
  const answer = await ask(toArgv(found), null);
  if ("problem" in answer) throw cannot(`${found.folder} does not run (${answer.problem})`);
  const place = relative(ROOT, found.folder);
  return `${answer.version} of Debian 13, unpacked in ${place}${tooOld}`;
}
