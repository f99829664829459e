/**
 * The doctor: what this machine has of what a study needs, in which version, what is missing and how
 * to get it. Nothing is installed and nothing is kept. What the machine says is gathered first and
 * judged by pure functions, so that each judgement is tested with the texts of other machines.
 *
 * No npm package is imported here, not even through other modules: Deno would install it before the
 * first line runs.
 *
 * @module
 */

import { accessSync, constants, existsSync, readFileSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { appFolders, describeFolder } from "../apps/folders.ts";
import { findControllers, readLimits, tryLimits } from "../engine/cgroup.ts";
import { askDocker, dockerEnvironment, findDocker } from "../engine/docker_host.ts";
import { parseHostCpu } from "../engine/proc.ts";
import { PoolscopeError } from "../errors.ts";
import { runsFolder, TOOLS } from "../store/layout.ts";
import type { Limits } from "../store/manifest.ts";
import { findOnPath, tryCommand } from "./command.ts";
import { inspectPgbouncer } from "./pgbouncer.ts";
import { inspectPostgres } from "./postgres.ts";
import { inspectPython } from "./python.ts";
import { stagingFolder } from "./stage.ts";
import { serviceUser } from "./user.ts";

/** What one check found. */
export interface Check {
  /** What was looked at, as in `open files`. */
  name: string;
  /** `missing` makes a study impossible; a `warning` makes its numbers worth less. */
  state: "ok" | "warning" | "missing";
  /** What was found, with its version or size. */
  value: string;
  /** What to do about it; null when nothing has to be done. */
  next: string | null;
}

/** What a study would ask of the machine; what is not known is not checked. */
export interface Needs {
  /** The largest number of users. @default 1000 */
  users?: number;
  /** PgBouncer's `max_client_conn`. @default 10000 */
  maxClientConn?: number;
  /** `listen_backlog` of PgBouncer and the apps' servers. @default 4096 */
  listenBacklog?: number;
}

/** Locust warns below this many open files, and slows down to say so. */
const LOCUST_FILES = 10_000;
/** Files that a process has open beside one for each connection. */
const OTHER_FILES = 100;
/** PostgreSQL's backends, the apps' threads, PgBouncer, Locust and the samplers, with room. */
const PROCESSES = 1000;
const MIB = 2 ** 20;
/** One study's database copy, template and clone, and the logs beside them. */
const STUDY_MIB = 400;
/** Python's and npm's packages, PgBouncer and the seeded database. */
const INSTALL_MIB = 1000;
/** PostgreSQL's limit, an app's workers, Locust and Deno itself. */
const MEMORY_MIB = 1500;

function ok(name: string, value: string): Check {
  return { name, state: "ok", value, next: null };
}

function warning(name: string, value: string, next: string): Check {
  return { name, state: "warning", value, next };
}

function missing(name: string, value: string, next: string): Check {
  return { name, state: "missing", value, next };
}

function thousands(n: number): string {
  return n === Infinity ? "unlimited" : Math.round(n).toLocaleString("en");
}

function gib(mib: number): string {
  return mib >= 1024 ? `${(mib / 1024).toFixed(1)} GiB` : `${Math.round(mib)} MiB`;
}

/**
 * Soft and hard limit of one kind in the text of `/proc/<pid>/limits`.
 *
 * @example
 * ```ts
 * import { parseProcessLimit } from "./doctor.ts";
 *
 * const text = "Max open files            1024                 4096                 files\n";
 * console.assert(parseProcessLimit(text, "Max open files")?.hard === 4096);
 * ```
 */
export function parseProcessLimit(
  text: string,
  kind: string,
): { soft: number; hard: number } | null {
  const match = new RegExp(`^${kind} +(\\S+) +(\\S+)`, "m").exec(text);
  if (match === null) return null;
  const number = (word: string) => word === "unlimited" ? Infinity : Number(word);
  return { soft: number(match[1]!), hard: number(match[2]!) };
}

/**
 * Judges the limit on open files. Deno raises its soft limit to the hard one when it starts, and
 * services inherit that: the hard limit decides.
 *
 * @param limits The text of `/proc/self/limits`.
 * @param needs What the study asks for.
 */
export function judgeOpenFiles(limits: string, needs: Needs = {}): Check {
  const { users = 1000, maxClientConn = 10_000 } = needs;
  const name = "open files";
  const found = parseProcessLimit(limits, "Max open files");
  if (found === null) return warning(name, "limit unknown", "look at `ulimit -Hn`");
  const { soft, hard } = found;
  const usable = Math.min(soft, hard);
  const value = `soft ${thousands(soft)}, hard ${thousands(hard)}; services inherit the soft one`;
  const raise = (n: number) =>
    `raise the hard limit to ${
      thousands(n)
    } (\`ulimit -Hn\` as root, limits.conf, or systemd's LimitNOFILE)`;
  const least = users + OTHER_FILES;
  if (usable < least) {
    return missing(name, `${value}; ${users} users need ${thousands(least)}`, raise(least));
  }
  const wanted = Math.max(LOCUST_FILES, maxClientConn + OTHER_FILES);
  if (usable < wanted) {
    return warning(
      name,
      `${value}; Locust asks for ${thousands(LOCUST_FILES)}, PgBouncer for ${
        thousands(maxClientConn + OTHER_FILES)
      } (max_client_conn)`,
      raise(wanted),
    );
  }
  return ok(name, value);
}

/** Judges how many processes and threads this user may have, from `/proc/self/limits`. */
export function judgeProcesses(limits: string): Check {
  const name = "processes";
  const found = parseProcessLimit(limits, "Max processes");
  const usable = found === null ? Infinity : Math.min(found.soft, found.hard);
  const value = `at most ${thousands(usable)} for this user`;
  return usable < PROCESSES
    ? warning(
      name,
      `${value}; a study uses some 300, threads among them`,
      `raise it to ${thousands(PROCESSES)} (\`ulimit -u\`)`,
    )
    : ok(name, value);
}

/** What the kernel tells about TCP ports; null where a file cannot be read. */
export interface PortFacts {
  /** The text of `ip_local_port_range`. */
  range: string | null;
  /** The text of `/proc/net/sockstat`. */
  sockstat: string | null;
  /** The text of `tcp_tw_reuse`: 0 off, 1 on, 2 on for loopback. */
  reuse: string | null;
  /** Whether a port of the loopback address could be bound, or why not. */
  bound: true | string;
}

/** Judges loopback and ephemeral ports: each user holds one, a reconnecting app many for a minute. */
export function judgePorts(facts: PortFacts, needs: Needs = {}): Check {
  const { users = 1000 } = needs;
  const name = "ports";
  if (facts.bound !== true) {
    return missing(
      name,
      `127.0.0.1 has no port to listen on (${facts.bound})`,
      "bring the loopback interface up and allow listening on it",
    );
  }
  const [low = 32_768, high = 60_999] = (facts.range?.trim().split(/\s+/) ?? []).map(Number);
  const total = Math.max(0, high - low + 1);
  const count = (word: string) =>
    Number(new RegExp(`^TCP:.* ${word} (\\d+)`, "m").exec(facts.sockstat ?? "")?.[1] ?? 0);
  const free = Math.max(0, total - count("inuse") - count("tw"));
  const reused = facts.reuse?.trim() !== "0";
  const value = `${thousands(free)} of ${thousands(total)} ephemeral ports free (${low}–${high})`;
  const widen = `widen it: sysctl -w net.ipv4.ip_local_port_range="15000 60999"`;
  if (free < users + OTHER_FILES) {
    return missing(name, `${value}; ${users} users need one each`, widen);
  }
  if (total < 20_000) {
    return warning(name, `${value}; an app that reconnects keeps each busy for a minute`, widen);
  }
  if (!reused) {
    return warning(
      name,
      `${value}; closed connections keep theirs for a minute (tcp_tw_reuse is 0)`,
      "sysctl -w net.ipv4.tcp_tw_reuse=2",
    );
  }
  return ok(name, value);
}

/** Judges the kernel's cap on `listen_backlog`. */
export function judgeBacklog(somaxconn: string | null, needs: Needs = {}): Check {
  const { listenBacklog = 4096 } = needs;
  const name = "somaxconn";
  if (somaxconn === null) {
    return warning(name, "net.core.somaxconn cannot be read", "sysctl net.core.somaxconn");
  }
  const limit = Number(somaxconn);
  return limit < listenBacklog
    ? warning(
      name,
      `${limit}, below the listen_backlog of ${listenBacklog} that the services ask for: bursts of new connections wait for SYN retries`,
      `sysctl -w net.core.somaxconn=${listenBacklog}`,
    )
    : ok(name, `${limit}, listen_backlog is ${listenBacklog}`);
}

/** Judges a folder's file system. */
export function judgeDisk(
  name: string,
  where: string,
  freeMib: number,
  neededMib: number,
  purpose: string,
): Check {
  const value = `${gib(freeMib)} free in ${where}`;
  if (freeMib < neededMib) {
    return missing(name, `${value}; ${purpose} needs ${gib(neededMib)}`, "free some disk space");
  }
  return freeMib < 2 * neededMib + 1024
    ? warning(name, `${value}; ${purpose} needs ${gib(neededMib)}`, "free some disk space soon")
    : ok(name, value);
}

/** Judges memory by `/proc/meminfo` and by the limit that this process itself is under. */
export function judgeMemory(meminfo: string, own: Limits): Check {
  const name = "memory";
  const kib = (key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(meminfo)?.[1] ?? NaN);
  const total = Math.min(kib("MemTotal") / 1024, own.memoryMiB ?? Infinity);
  const available = Math.min(kib("MemAvailable") / 1024, total);
  if (!Number.isFinite(available)) return warning(name, "unknown", "look at /proc/meminfo");
  const value = `${gib(available)} available of ${gib(total)}${
    own.memoryMiB !== null && total === own.memoryMiB ? " (this process's own limit)" : ""
  }`;
  if (available < MEMORY_MIB / 2) {
    return missing(name, `${value}; a run needs about ${gib(MEMORY_MIB)}`, "close other programs");
  }
  return available < MEMORY_MIB
    ? warning(name, `${value}; a run needs about ${gib(MEMORY_MIB)}`, "close other programs")
    : ok(name, value);
}

/** Judges the number of cores, or the quota that this process itself is under. */
export function judgeCpus(cores: number, own: Limits): Check {
  const name = "CPU";
  const usable = Math.min(cores, own.cpus ?? Infinity);
  const value = usable < cores ? `${usable} of ${cores} cores (own quota)` : `${cores} cores`;
  const shared = "the load generator shares them with app and database";
  if (usable < 2) {
    return warning(name, `${value}; ${shared}`, "measure on two cores or more: one saturates");
  }
  return usable < 4
    ? warning(name, `${value}; ${shared}`, "compare arms, do not read absolute numbers as limits")
    : ok(name, value);
}

/** How busy others keep the machine: two texts of `/proc/stat`, and the seconds between them. */
export function judgeHostLoad(
  before: string,
  after: string,
  elapsedS: number,
  cores: number,
  ownS = 0,
): Check {
  const name = "host load";
  const [a, b] = [parseHostCpu(before), parseHostCpu(after)];
  const share = (seconds: number) => Math.max(0, seconds) / (elapsedS * cores);
  const busy = share(b.busyS - a.busyS - ownS);
  const steal = share(b.stolenS - a.stolenS);
  const percent = (x: number) => `${Math.round(100 * x)}%`;
  const value = `${percent(busy)} of ${cores} cores busy, ${percent(steal)} stolen, over ${
    elapsedS.toFixed(1)
  } s`;
  if (steal > 0.02) {
    return warning(
      name,
      `${value}; the hypervisor gives this machine's time to others`,
      "measure at another time or on a dedicated machine; rounds and intervals show what it costs",
    );
  }
  return busy > 0.15
    ? warning(name, value, "end what else runs here: it takes part in every measurement")
    : ok(name, value);
}

/** Judges whether limits can be set; what the engine's sentence says is what manifests will say. */
export function judgeLimits(refusal: string | null, versions: string): Check {
  const name = "control groups";
  return refusal === null
    ? ok(name, `${versions}: CPU and memory of each service can be limited`)
    : warning(
      name,
      refusal,
      "without limits a study runs all the same; manifests and captions then say “no limit”, and the database takes what CPU it gets",
    );
}

/**
 * The mount options of the file system that a path is on.
 *
 * @param mountinfo The text of `/proc/self/mountinfo`.
 */
export function mountOptions(mountinfo: string, path: string): string[] {
  let best = { mount: "", options: [] as string[] };
  for (const line of mountinfo.split("\n")) {
    const [, , , , mount, options] = line.split(" ");
    if (mount === undefined || options === undefined) continue;
    const inside = path === mount || path.startsWith(mount === "/" ? "/" : `${mount}/`);
    // The later of two mounts at one place hides the earlier.
    if (inside && mount.length >= best.mount.length) best = { mount, options: options.split(",") };
  }
  return best.options;
}

/** The machine's Node: only npx needs it, so it is missed only where npx started us. */
export function judgeNode(version: string | null, underNpx: boolean): Check {
  const name = "Node";
  if (version === null) {
    return underNpx
      ? warning(name, "npx runs, but no node is on PATH", "install Node 20 or later")
      : ok(name, "not there and not needed: Deno was started without npx");
  }
  const major = Number(/^v?(\d+)/.exec(version)?.[1]);
  return underNpx && major < 20
    ? warning(name, `${version}, which npx runs on`, "install Node 20 or later")
    : ok(name, `${version}${underNpx ? "" : ", not needed without npx"}`);
}

/** Deno's own version: from 2.9 on it is the one that everything was tested with. */
export function judgeDeno(version: string): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major === 2 && minor >= 9
    ? ok("Deno", version)
    : warning("Deno", `${version}; tested with 2.9`, "npx -y deno@2.9.6 task doctor");
}

function tryRead(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null; // Not there, or not for our eyes: the check says what that means.
  }
}

/** The nearest folder of a path that exists. */
function existing(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : existing(dirname(path));
}

function freeMib(path: string): number {
  const { bavail, bsize } = statfsSync(existing(path));
  return bavail * bsize / MIB;
}

function isWritable(path: string): boolean {
  try {
    accessSync(existing(path), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A folder that must be written to, with the space that is needed there. */
function checkFolder(
  name: string,
  where: string,
  path: string,
  neededMib: number,
  purpose: string,
): Check {
  if (!isWritable(path)) {
    return missing(name, `${where} is not writable for this user`, "give this user the folder");
  }
  return judgeDisk(name, where, freeMib(path), neededMib, purpose);
}

/** Where programs are copied to when the service user cannot reach the checkout. */
function checkStaging(installed: boolean): Check {
  const name = "staging folder";
  const folder = stagingFolder();
  const parent = dirname(folder);
  const needed = installed ? STUDY_MIB : STUDY_MIB + INSTALL_MIB / 4;
  const other = "set POOLSCOPE_STAGING to a folder that every user can reach";
  if (!existsSync(parent)) return missing(name, `${parent} is not there`, other);
  if (mountOptions(tryRead("/proc/self/mountinfo") ?? "", parent).includes("noexec")) {
    return warning(name, `${parent} is mounted noexec: no program can be started there`, other);
  }
  return checkFolder(name, parent, folder, needed, "a study's database");
}

function checkServiceUser(): Check {
  const name = "service user";
  try {
    const user = serviceUser();
    if (user === null) return ok(name, "PostgreSQL and PgBouncer run as this user");
    if (findOnPath("setpriv") === null) {
      return missing(
        name,
        "setpriv is not on PATH, which starts PostgreSQL as another user than root",
        "install util-linux",
      );
    }
    return ok(name, `PostgreSQL and PgBouncer run as ${user.name}, for they refuse root`);
  } catch (error) {
    return missing(name, (error as Error).message, "start as an ordinary user");
  }
}

function bindLoopback(): true | string {
  try {
    Deno.listen({ hostname: "127.0.0.1", port: 0 }).close();
    return true;
  } catch (error) {
    return (error as Error).message.split("\n")[0]!;
  }
}

/** The limits that hold for this process and so for all that it starts. */
function ownLimits(): Limits {
  const mountinfo = tryRead("/proc/self/mountinfo");
  const membership = tryRead("/proc/self/cgroup");
  return mountinfo === null || membership === null
    ? { cpus: null, memoryMiB: null }
    : readLimits(findControllers(mountinfo, membership));
}

async function sampleHostLoad(seconds: number): Promise<Check> {
  const cores = navigator.hardwareConcurrency;
  const own = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  const [before, ownBefore, begun] = [tryRead("/proc/stat"), own(), performance.now()];
  await sleep(seconds * 1000);
  const after = tryRead("/proc/stat");
  const elapsedS = (performance.now() - begun) / 1000;
  if (before === null || after === null) {
    return warning("host load", "/proc/stat cannot be read", "look at it with top");
  }
  return judgeHostLoad(before, after, elapsedS, cores, own() - ownBefore);
}

/** The checks that need no other program and no waiting but for the sample of the host's load. */
async function quickChecks(needs: Needs, sampleS: number): Promise<Check[]> {
  const load = sampleHostLoad(sampleS); // First, while nothing else of ours runs.
  const limits = tryRead("/proc/self/limits") ?? "";
  const own = ownLimits();
  const installed = existsSync(TOOLS);
  const installMib = installed ? 0 : INSTALL_MIB;
  return [
    checkServiceUser(),
    judgeOpenFiles(limits, needs),
    judgeProcesses(limits),
    judgePorts({
      range: tryRead("/proc/sys/net/ipv4/ip_local_port_range"),
      sockstat: tryRead("/proc/net/sockstat"),
      reuse: tryRead("/proc/sys/net/ipv4/tcp_tw_reuse"),
      bound: bindLoopback(),
    }, needs),
    judgeBacklog(tryRead("/proc/sys/net/core/somaxconn"), needs),
    checkFolder("results", "data/runs", runsFolder(), 200, "a study"),
    checkFolder("checkout", ".poolscope", TOOLS, installMib + STUDY_MIB, "what is installed"),
    checkStaging(installed),
    judgeMemory(tryRead("/proc/meminfo") ?? "", own),
    judgeCpus(navigator.hardwareConcurrency, own),
    await load,
  ];
}

/** A part that a start finds or installs; `inspect…` of its module never installs. */
async function checkPart(
  name: string,
  inspect: () => Promise<{ value: string; next: string | null }>,
): Promise<Check> {
  try {
    const { value, next } = await inspect();
    return { name, state: "ok", value: next === null ? value : `${value}; ${next}`, next: null };
  } catch (error) {
    if (!(error instanceof PoolscopeError)) throw error;
    // The setup's own sentence: `Cannot …: what; what to do`.
    const [what = "", ...rest] = error.message.split("; ");
    return missing(name, what, rest.join("; ") || "see README.md");
  }
}

async function checkNode(): Promise<Check> {
  const underNpx = (Deno.env.get("npm_config_user_agent") ?? "").startsWith("npm/");
  const node = findOnPath("node");
  if (node === null) return judgeNode(null, underNpx);
  const { stdout } = await tryCommand([node, "--version"]);
  // Where there is no node, `deno task` puts itself on PATH in its place.
  return judgeNode(/^v\d+[\d.]*/.exec(stdout)?.[0] ?? null, underNpx);
}

async function checkLimits(): Promise<Check> {
  const found = findControllers(
    tryRead("/proc/self/mountinfo") ?? "",
    tryRead("/proc/self/cgroup") ?? "",
  );
  const versions = [found.cpu, found.memory].map((place) => `v${place?.version}`);
  const words = versions[0] === versions[1]
    ? versions[0]!
    : `cpu ${versions[0]}, memory ${versions[1]}`;
  return judgeLimits(await tryLimits(found, `poolscope-${Deno.pid}-doctor`), words);
}

/** The images of a study, as `deno task images` names them; the tag is the environment's. */
function imageNames(): string[] {
  const apps = appFolders().filter((app) => describeFolder(app).environment === "shared");
  return ["postgres", "pgbouncer", ...apps.map(({ name }) => name), "locust"];
}

/** Where Docker answers, in which version, and whether the images are built. */
async function checkDocker(dockerHost?: string): Promise<Check> {
  const name = "Docker";
  const local = "studies run without it, as processes of this machine (--engine local)";
  try {
    const found = await findDocker(dockerEnvironment(dockerHost));
    if (typeof found === "string") return ok(name, `${found}; ${local}`);
    const { host, version } = found;
    const { text } = await askDocker(host, "GET", "/images/json");
    const tag = Deno.env.get("POOLSCOPE_TAG") || "latest";
    const tags = (JSON.parse(text) as { RepoTags: string[] | null }[])
      .flatMap(({ RepoTags }) => RepoTags ?? []);
    const names = imageNames();
    const lacking = names.filter((image) => !tags.includes(`poolscope/${image}:${tag}`));
    const value = `${version} at ${host.url}`;
    return lacking.length === 0
      ? ok(name, `${value}, all ${names.length} images are built`)
      : warning(
        name,
        `${value}; the images of ${lacking.join(", ")} are not built`,
        "deno task images builds them, and so does the first start",
      );
  } catch (error) {
    return warning(name, (error as Error).message.split("\n")[0]!, local);
  }
}

/**
 * Everything that the doctor looks at, in the order of its report.
 *
 * @param needs What a study would ask for.
 * @param dockerHost Docker's address. @default where Docker itself looks
 */
export async function examine(needs: Needs = {}, dockerHost?: string): Promise<Check[]> {
  const quick = await quickChecks(needs, 0.6);
  const parts = await Promise.all([
    Promise.resolve(judgeDeno(Deno.version.deno)),
    checkNode(),
    checkPart("Python", inspectPython),
    checkPart("PostgreSQL", inspectPostgres),
    checkPart("PgBouncer", inspectPgbouncer),
    checkDocker(dockerHost),
    checkLimits(),
  ]);
  return [...parts, ...quick];
}

/** One line of the report. */
export function formatCheck({ name, state, value, next }: Check): string {
  return `${state.padEnd(7)}  ${name.padEnd(14)}  ${value}${next === null ? "" : ` → ${next}`}`;
}

/**
 * The part that `run` and `run-all` begin with: whatever makes a run impossible stops it here.
 *
 * @param needs What the study asks for.
 * @returns The warnings, a line each.
 * @throws {PoolscopeError} If a study cannot run on this machine; one line with the next step.
 */
export async function quickCheck(needs: Needs = {}): Promise<string[]> {
  const checks = await quickChecks(needs, 0.3);
  const [first] = checks.filter(({ state }) => state === "missing");
  if (first !== undefined) {
    throw new PoolscopeError(
      `Cannot run a study here: ${first.name}: ${first.value}; ${first.next} (deno task doctor shows all)`,
    );
  }
  return checks
    // Every caption names the cores; a start need not.
    .filter(({ state, name }) => state === "warning" && name !== "CPU")
    .map(({ name, value, next }) => `Warning: ${name}: ${value}; ${next}`);
}
