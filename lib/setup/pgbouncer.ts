/**
 * PgBouncer 1.21 or later, the first that follows prepared statements in transaction mode: from
 * PATH, else unpacked from Debian 13's packages, without root and without installing anything. A
 * version that is asked for may also come from Debian's next release.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { isVersionFrom, OLDEST_PGBOUNCER } from "../settings.ts";
import { ROOT } from "../store/layout.ts";
import { allOnPath, isVersion, lastLine, tryCommand } from "./command.ts";
import { requireDebian, type Suite, SUITES, unpackDebian } from "./debian.ts";
import { withLock } from "./lock.ts";
import { stageFolder } from "./stage.ts";
import { type ServiceUser, serviceUser } from "./user.ts";

/** A PgBouncer that can be started by whoever runs it. */
export interface PgbouncerBinary {
  /** The program, with the loader in front of it where it needs one; arguments follow. */
  argv: [string, ...string[]];
  /** As in `1.24.1`. */
  version: string;
  /** Where it comes from. */
  source: "system" | "debian";
}

/** Options of {@linkcode ensurePgbouncer}. */
export interface PgbouncerOptions {
  /** Called with each line of progress. */
  log?: (line: string) => void;
  /** Stops the download. */
  signal?: AbortSignal;
  /** The checkout. @default {this one} */
  root?: string;
  /** Programs to look at before anything is downloaded. @default {those of PATH and /usr/sbin} */
  installed?: string[];
  /** The version, as in `1.26`. @default {null, which takes the first recent one} */
  version?: string | null;
}

/** Debian's packages that make it run anywhere. */
const PACKAGES = [
  "pgbouncer",
  "libc6",
  "libevent-2.1-7t64",
  "libcares2",
  "libldap2",
  "libsasl2-2",
  "libssl3t64",
  "libpam0g",
  "libsystemd0",
  "libaudit1",
  "libcap-ng0",
  "libcap2",
  "libzstd1",
  "zlib1g",
];

const INSTALL_HINT = `install PgBouncer ${OLDEST_PGBOUNCER} or later and put it on PATH`;

/**
 * The version in what `pgbouncer --version` prints.
 *
 * @example
 * ```ts
 * import { parsePgbouncerVersion } from "./pgbouncer.ts";
 *
 * console.assert(parsePgbouncerVersion("PgBouncer 1.24.1\nlibevent 2.1.12\n") === "1.24.1");
 * ```
 */
export function parsePgbouncerVersion(text: string): string | null {
  return /^PgBouncer (?:version )?(\d+\.\d+(?:\.\d+)?)/im.exec(text)?.[1] ?? null;
}

/** Whether a version is {@linkcode OLDEST_PGBOUNCER} or later. */
export function isRecentPgbouncer(version: string): boolean {
  return isVersionFrom(version, OLDEST_PGBOUNCER);
}

async function readVersion(
  argv: [string, ...string[]],
  user: ServiceUser | null,
): Promise<{ version: string } | { problem: string }> {
  const result = await tryCommand([...argv, "--version"], { user, cwd: "/" });
  const version = parsePgbouncerVersion(result.stdout + result.stderr);
  return result.code === 0 && version !== null ? { version } : { problem: lastLine(result) };
}

/** Where the parts of an unpacked PgBouncer are, from its own folder. */
interface Unpacked {
  version: string;
  /** The release that it is from; not there where an earlier version unpacked it, from Debian 13. */
  suite?: Suite;
  loader: string;
  libraries: string;
  program: string;
}

function toArgv(folder: string, parts: Unpacked): [string, ...string[]] {
  return [
    join(folder, parts.loader),
    "--library-path",
    join(folder, parts.libraries),
    join(folder, parts.program),
  ];
}

/** The unpacked PgBouncer of an earlier start, newest first: of a version, or of Debian 13. */
function findUnpacked(
  tools: string,
  asked: string | null,
): { folder: string; parts: Unpacked } | null {
  if (!existsSync(tools)) return null;
  const names = [...Deno.readDirSync(tools)]
    .filter((entry) => entry.isDirectory && entry.name.startsWith("pgbouncer-"))
    .map((entry) => entry.name)
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  for (const name of names) {
    try {
      const folder = join(tools, name);
      const parts = JSON.parse(Deno.readTextFileSync(join(folder, "poolscope.json"))) as Unpacked;
      const { suite = "trixie", version, program, loader } = parts;
      const wanted = asked === null ? suite === "trixie" : isVersion(version, asked);
      if (wanted && existsSync(join(folder, program)) && existsSync(join(folder, loader))) {
        return { folder, parts };
      }
    } catch {
      // Not one of ours, or half-made.
    }
  }
  return null;
}

function findFile(folder: string, matches: (name: string) => boolean): string | null {
  for (const entry of Deno.readDirSync(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) {
      const found = findFile(path, matches);
      if (found !== null) return found;
    } else if (entry.isFile && matches(entry.name)) return path;
  }
  return null;
}

function cannot(what: string): PoolscopeError {
  return new PoolscopeError(`Cannot set up PgBouncer: ${what}; ${INSTALL_HINT}`);
}

/** Unpacks that of a release of Debian; gives the version alone where it is not the one asked for. */
async function unpack(
  tools: string,
  suite: Suite,
  options: Pick<PgbouncerOptions, "log" | "signal" | "version">,
): Promise<{ folder: string; parts: Unpacked } | string> {
  const { log, signal, version = null } = options;
  const refuse = (what: string) =>
    version === null ? cannot(what) : new PoolscopeError(
      `Cannot find PgBouncer ${version}: ${what}; put that version on PATH`,
    );
  await Deno.mkdir(tools, { recursive: true });
  const work = await Deno.makeTempDir({ dir: tools, prefix: "pgbouncer.partial-" });
  try {
    const what = "PgBouncer and its libraries";
    const folder = await unpackDebian(PACKAGES, work, { refuse, what, log, signal, suite });
    const loader = findFile(folder, (name) => /^ld-linux.*\.so\.\d+$/.test(name));
    const libc = findFile(folder, (name) => name === "libc.so.6");
    const program = findFile(join(folder, "usr", "sbin"), (name) => name === "pgbouncer");
    if (loader === null || libc === null || program === null) {
      throw cannot("Debian's packages do not hold what was expected");
    }
    keepOnly(folder, [loader, program, join(libc, "..")]);
    const parts: Unpacked = {
      version: "",
      suite,
      loader: relative(folder, loader),
      libraries: relative(folder, join(libc, "..")),
      program: relative(folder, program),
    };
    const answer = await readVersion(toArgv(folder, parts), null);
    if ("problem" in answer) throw cannot(`unpacked, it does not run: ${answer.problem}`);
    if (!isVersion(answer.version, version)) return answer.version;
    parts.version = answer.version;
    await Deno.writeTextFile(join(folder, "poolscope.json"), JSON.stringify(parts, null, 2) + "\n");
    const target = join(tools, `pgbouncer-${answer.version}`);
    await Deno.remove(target, { recursive: true }).catch(() => {}); // Half-made, or we were not here.
    await Deno.rename(folder, target);
    log?.(`PgBouncer ${answer.version} is unpacked`);
    return { folder: target, parts };
  } finally {
    await Deno.remove(work, { recursive: true }).catch(() => {});
  }
}

/** Removes what is not needed to run it: documentation, locales, character sets. */
function keepOnly(folder: string, kept: string[]): void {
  for (const entry of [...Deno.readDirSync(folder)]) {
    const path = join(folder, entry.name);
    if (kept.includes(path)) {
      for (const name of ["gconv", "audit", "perl", "systemd"]) {
        if (!existsSync(join(path, name))) continue;
        if (Deno.statSync(join(path, name)).isDirectory) {
          Deno.removeSync(join(path, name), { recursive: true });
        }
      }
    } else if (entry.isDirectory && kept.some((one) => one.startsWith(`${path}/`))) {
      keepOnly(path, kept);
    } else {
      Deno.removeSync(path, { recursive: true });
    }
  }
}

function installedPrograms(): string[] {
  return [...new Set([...allOnPath("pgbouncer"), "/usr/sbin/pgbouncer"])].filter(existsSync);
}

/** Unpacks it from the first release of Debian that has the version. */
async function unpackFirst(
  tools: string,
  seen: string[],
  options: Pick<PgbouncerOptions, "log" | "signal" | "version">,
): Promise<{ folder: string; parts: Unpacked }> {
  const suites = Object.keys(SUITES) as Suite[];
  for (const suite of options.version == null ? suites.slice(0, 1) : suites) {
    const found = await unpack(tools, suite, options);
    if (typeof found !== "string") return found;
    seen.push(`${SUITES[suite]} has ${found}`);
  }
  throw new PoolscopeError(
    `Cannot find PgBouncer ${options.version}: ${seen.join(", ")}; put that version on PATH`,
  );
}

/**
 * Finds PgBouncer, or unpacks it into `.poolscope/`, and makes it reachable for whoever runs it.
 *
 * @param options Options for this call.
 * @throws {PoolscopeError} If there is none and it cannot be had, or no such version.
 */
export async function ensurePgbouncer(options: PgbouncerOptions = {}): Promise<PgbouncerBinary> {
  const { log, signal, root = ROOT, installed = installedPrograms(), version = null } = options;
  const user = serviceUser();
  const seen: string[] = [];
  for (const path of installed) {
    const answer = await readVersion([path], user);
    if ("version" in answer && isRecentPgbouncer(answer.version)) {
      if (isVersion(answer.version, version)) {
        return { argv: [path], version: answer.version, source: "system" };
      }
      seen.push(`${path} is ${answer.version}`);
      continue;
    }
    log?.(
      "version" in answer
        ? `${path} is PgBouncer ${answer.version}, older than ${OLDEST_PGBOUNCER}`
        : `${path} does not run: ${answer.problem}`,
    );
  }
  const tools = join(root, ".poolscope");
  const found = findUnpacked(tools, version) ??
    await withLock(
      join(tools, "pgbouncer.lock"),
      async () => findUnpacked(tools, version) ?? await unpackFirst(tools, seen, options),
      { signal, onWait: () => log?.("Waiting for another setup of PgBouncer") },
    );
  const folder = stageFolder(found.folder, `pgbouncer-${found.parts.version}`, user, root);
  const argv = toArgv(folder, found.parts);
  const answer = await readVersion(argv, user);
  if ("problem" in answer) {
    throw cannot(
      `${found.folder} does not run (${answer.problem}); remove that folder to try anew`,
    );
  }
  return { argv, version: answer.version, source: "debian" };
}

/**
 * Looks for PgBouncer, or for the way to unpack it, and downloads nothing.
 *
 * @returns What is there and where from, and what the next start will do; null when nothing.
 * @throws {PoolscopeError} If there is none and it cannot be had.
 */
export async function inspectPgbouncer(
  root: string = ROOT,
): Promise<{ value: string; next: string | null }> {
  let tooOld = "";
  for (const path of installedPrograms()) {
    const answer = await readVersion([path], null);
    if ("version" in answer && isRecentPgbouncer(answer.version)) {
      return { value: `${answer.version} at ${path}`, next: null };
    }
    if ("version" in answer) {
      tooOld = ` (${path} is ${answer.version}, older than ${OLDEST_PGBOUNCER})`;
    }
  }
  const found = findUnpacked(join(root, ".poolscope"), null);
  if (found !== null) {
    const answer = await readVersion(toArgv(found.folder, found.parts), null);
    if ("version" in answer) {
      const place = relative(root, found.folder);
      return { value: `${answer.version} of Debian 13, unpacked in ${place}${tooOld}`, next: null };
    }
    throw cannot(`${found.folder} does not run (${answer.problem})`);
  }
  const [source] = await requireDebian(cannot);
  return { value: `to be had from ${source!.uri}${tooOld}`, next: "the first start unpacks it" };
}
