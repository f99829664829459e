/**
 * The doctor: checks the prerequisites of a study, and says how to get those that are missing. It
 * installs and keeps nothing. The machine's answers are gathered first and judged by pure functions.
 *
 * No npm package is imported here, not even through other modules: Deno would install it before the
 * first line runs.
 */

import { accessSync, constants, existsSync, readFileSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { appFolders, describeFolder } from "../apps/folders.ts";
import { findControllers, readLimitsOf, tryLimits } from "../hosts/linux/cgroup.ts";
import { askDocker, dockerEnvironment, findDocker } from "../hosts/docker/daemon.ts";
import { parseHostCpu } from "../hosts/linux/proc.ts";
import { firstLine, PoolscopeError, UsageError } from "../errors.ts";
import { runsFolder, TOOLS } from "../store/layout.ts";
import type { Limits } from "../store/manifest.ts";
import { findOnPath, tryCommand } from "../setup/command.ts";
import { inspectPgbouncer } from "../setup/pgbouncer.ts";
import { inspectPostgres } from "../setup/postgres.ts";
import { inspectPython } from "../setup/python.ts";
import { stagingFolder } from "../setup/stage.ts";
import { serviceUser } from "../setup/user.ts";

export interface Finding {
  /** `missing` makes a study impossible; a `warning` makes its numbers worth less. */
  state: "ok" | "warning" | "missing";
  /** The state of things, with version or size. */
  value: string;
  /** The next step; null when nothing has to be done. */
  next: string | null;
}

/** A finding by what was looked at, as in `open files`. */
export type Check = { name: string } & Finding;

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

const ok = (value: string): Finding => ({ state: "ok", value, next: null });
const warning = (value: string, next: string): Finding => ({ state: "warning", value, next });
const missing = (value: string, next: string): Finding => ({ state: "missing", value, next });

/** When something is wrong, how bad it is, what it means, and what to do about it. */
type Fault = [holds: boolean, state: "warning" | "missing", meaning: string, next: string];

function judge(value: string, ...faults: Fault[]): Finding {
  const fault = faults.find(([holds]) => holds);
  if (fault === undefined) return ok(value);
  const [, state, meaning, next] = fault;
  return { state, value: `${value}; ${meaning}`, next };
}

function thousands(n: number): string {
  return n === Infinity ? "unlimited" : Math.round(n).toLocaleString("en");
}

function gib(mib: number): string {
  return mib >= 1024 ? `${(mib / 1024).toFixed(1)} GiB` : `${Math.round(mib)} MiB`;
}

/** Soft and hard limit of one kind in the text of `/proc/<pid>/limits`. */
function parseLimit(text: string, kind: string): { soft: number; hard: number } | null {
  const match = new RegExp(`^Max ${kind} +(\\S+) +(\\S+)`, "m").exec(text);
  if (match === null) return null;
  const number = (word: string) => word === "unlimited" ? Infinity : Number(word);
  return { soft: number(match[1]!), hard: number(match[2]!) };
}

/**
 * Judges the limit on open files. Deno raises its soft limit to the hard one when it starts, and
 * services inherit that: the hard limit decides.
 */
export function judgeOpenFiles(limits: string, needs: Needs = {}): Finding {
  const { users = 1000, maxClientConn = 10_000 } = needs;
  const found = parseLimit(limits, "open files");
  if (found === null) return warning("limit unknown", "look at `ulimit -Hn`");
  const { soft, hard } = found;
  const usable = Math.min(soft, hard);
  const least = users + OTHER_FILES;
  const pooler = maxClientConn + OTHER_FILES;
  const wanted = Math.max(LOCUST_FILES, pooler);
  const raise = (n: number) =>
    `raise the hard limit to ${
      thousands(n)
    } (\`ulimit -Hn\` as root, limits.conf, or systemd's LimitNOFILE)`;
  const asked = `Locust asks for ${thousands(LOCUST_FILES)}, PgBouncer for ${thousands(pooler)}`;
  return judge(
    `soft ${thousands(soft)}, hard ${thousands(hard)}; services inherit the soft one`,
    [usable < least, "missing", `${users} users need ${thousands(least)}`, raise(least)],
    [usable < wanted, "warning", `${asked} (max_client_conn)`, raise(wanted)],
  );
}

/** Judges how many processes and threads this user may have, from `/proc/self/limits`. */
export function judgeProcesses(limits: string): Finding {
  const { soft = Infinity, hard = Infinity } = parseLimit(limits, "processes") ?? {};
  const usable = Math.min(soft, hard);
  const raise = `raise it to ${thousands(PROCESSES)} (\`ulimit -u\`)`;
  return judge(
    `at most ${thousands(usable)} for this user`,
    [usable < PROCESSES, "warning", "a study uses some 300, threads among them", raise],
  );
}

function lookAtPorts() {
  return {
    range: tryRead("/proc/sys/net/ipv4/ip_local_port_range"),
    sockstat: tryRead("/proc/net/sockstat"),
    reuse: tryRead("/proc/sys/net/ipv4/tcp_tw_reuse"),
    bound: bindLoopback(),
  };
}

type PortFacts = ReturnType<typeof lookAtPorts>;

/** Judges loopback and ephemeral ports: each user holds one, a reconnecting app many for a minute. */
export function judgePorts(facts: PortFacts, { users = 1000 }: Needs = {}): Finding {
  if (facts.bound !== true) {
    return missing(
      `127.0.0.1 has no port to listen on (${facts.bound})`,
      "bring the loopback interface up and allow listening on it",
    );
  }
  const [low = 32_768, high = 60_999] = (facts.range?.trim().split(/\s+/) ?? []).map(Number);
  const total = Math.max(0, high - low + 1);
  const count = (word: string) =>
    Number(new RegExp(`^TCP:.* ${word} (\\d+)`, "m").exec(facts.sockstat ?? "")?.[1] ?? 0);
  const free = Math.max(0, total - count("inuse") - count("tw"));
  const widen = `widen it: sysctl -w net.ipv4.ip_local_port_range="15000 60999"`;
  const kept = "closed connections keep theirs for a minute (tcp_tw_reuse is 0)";
  const reuse = "sysctl -w net.ipv4.tcp_tw_reuse=2";
  return judge(
    `${thousands(free)} of ${thousands(total)} ephemeral ports free (${low}–${high})`,
    [free < users + OTHER_FILES, "missing", `${users} users need one each`, widen],
    [total < 20_000, "warning", "an app that reconnects keeps each busy for a minute", widen],
    [facts.reuse?.trim() === "0", "warning", kept, reuse],
  );
}

/** Judges the kernel's cap on `listen_backlog`. */
export function judgeBacklog(somaxconn: string | null, needs: Needs = {}): Finding {
  const { listenBacklog = 4096 } = needs;
  if (somaxconn === null) {
    return warning("net.core.somaxconn cannot be read", "sysctl net.core.somaxconn");
  }
  const limit = Number(somaxconn);
  if (limit >= listenBacklog) return ok(`${limit}, listen_backlog is ${listenBacklog}`);
  return warning(
    `${limit}, below the listen_backlog of ${listenBacklog} that the services ask for: bursts of new connections wait for SYN retries`,
    `sysctl -w net.core.somaxconn=${listenBacklog}`,
  );
}

export function judgeDisk(
  where: string,
  freeMib: number,
  neededMib: number,
  purpose: string,
): Finding {
  const need = `${purpose} needs ${gib(neededMib)}`;
  return judge(
    `${gib(freeMib)} free in ${where}`,
    [freeMib < neededMib, "missing", need, "free some disk space"],
    [freeMib < 2 * neededMib + 1024, "warning", need, "free some disk space soon"],
  );
}

/** Judges memory by `/proc/meminfo` and by the limit that this process itself is under. */
export function judgeMemory(meminfo: string, own: Limits): Finding {
  const kib = (key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(meminfo)?.[1] ?? NaN);
  const total = Math.min(kib("MemTotal") / 1024, own.memoryMiB ?? Infinity);
  const available = Math.min(kib("MemAvailable") / 1024, total);
  if (!Number.isFinite(available)) return warning("unknown", "look at /proc/meminfo");
  const limited = total === own.memoryMiB ? " (this process's own limit)" : "";
  const need = `a run needs about ${gib(MEMORY_MIB)}`;
  return judge(
    `${gib(available)} available of ${gib(total)}${limited}`,
    [available < MEMORY_MIB / 2, "missing", need, "close other programs"],
    [available < MEMORY_MIB, "warning", need, "close other programs"],
  );
}

/** Judges the number of cores, or the quota that this process itself is under. */
export function judgeCpus(cores: number, own: Limits): Finding {
  const usable = Math.min(cores, own.cpus ?? Infinity);
  const shared = "the load generator shares them with app and database";
  return judge(
    usable < cores ? `${usable} of ${cores} cores (own quota)` : `${cores} cores`,
    [usable < 2, "warning", shared, "measure on two cores or more: one saturates"],
    [usable < 4, "warning", shared, "compare arms, do not read absolute numbers as limits"],
  );
}

type HostSample = ReturnType<typeof sampleHost>;

/** Judges how busy others keep the machine between two moments. */
export function judgeHostLoad(before: HostSample, after: HostSample, cores: number): Finding {
  if (before.stat === null || after.stat === null) {
    return warning("/proc/stat cannot be read", "look at it with top");
  }
  const [a, b] = [parseHostCpu(before.stat), parseHostCpu(after.stat)];
  const elapsedS = after.atS - before.atS;
  const share = (seconds: number) => Math.max(0, seconds) / (elapsedS * cores);
  const busy = share(b.busyS - a.busyS - (after.ownS - before.ownS));
  const steal = share(b.stolenS - a.stolenS);
  const percent = (x: number) => `${Math.round(100 * x)}%`;
  const duration = `${elapsedS.toFixed(1)} s`;
  const value = `${percent(busy)} of ${cores} cores busy, ${
    percent(steal)
  } stolen, over ${duration}`;
  if (steal > 0.02) {
    return warning(
      `${value}; the hypervisor gives this machine's time to others`,
      "measure at another time or on a dedicated machine; rounds and intervals show what it costs",
    );
  }
  return busy > 0.15
    ? warning(value, "end what else runs here: it takes part in every measurement")
    : ok(value);
}

/** Judges whether limits can be set; what the engine's sentence says is what manifests will say. */
export function judgeLimits(refusal: string | null, versions: string): Finding {
  return refusal === null
    ? ok(`${versions}: CPU and memory of each service can be limited`)
    : warning(
      refusal,
      "without limits a study runs all the same; manifests and captions then say “no limit”, and the database takes what CPU it gets",
    );
}

/** The mount options of the file system that a path is on. */
export function mountOptions(mountinfo: string, path: string): string[] {
  const mounts = mountinfo.split("\n").map((line) => line.split(" ").slice(4, 6))
    .filter(([mount]) => mount !== undefined && `${path}/`.startsWith(mount.replace(/\/?$/, "/")))
    // The later of two mounts at one place hides the earlier.
    .sort(([a], [b]) => a!.length - b!.length);
  return mounts.at(-1)?.[1]?.split(",") ?? [];
}

/** The machine's Node: only npx needs it, so it is missed only where npx started us. */
export function judgeNode(version: string | null, underNpx: boolean): Finding {
  if (!underNpx) {
    return ok(
      version === null
        ? "not there and not needed: Deno was started without npx"
        : `${version}, not needed without npx`,
    );
  }
  const major = Number(/^v?(\d+)/.exec(version ?? "")?.[1]);
  if (version !== null && !(major < 20)) return ok(version);
  return warning(
    version === null ? "npx runs, but no node is on PATH" : `${version}, which npx runs on`,
    "install Node 20 or later",
  );
}

/** Deno's own version: from 2.9 on it is the one that everything was tested with. */
export function judgeDeno(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isTested = major === 2 && minor >= 9;
  return judge(version, [!isTested, "warning", "tested with 2.9", "npx -y deno@2.9.6 task doctor"]);
}

function tryRead(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null; // Not there, or not for our eyes: the check says what that means.
  }
}

function existing(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : existing(dirname(path));
}

/** A folder that must be written to, with the space that is needed there. */
function checkFolder(where: string, path: string, neededMib: number, purpose: string): Finding {
  const folder = existing(path);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    return missing(`${where} is not writable for this user`, "give this user the folder");
  }
  const { bavail, bsize } = statfsSync(folder);
  return judgeDisk(where, bavail * bsize / MIB, neededMib, purpose);
}

/** Where programs are copied to when the service user cannot reach the checkout. */
function checkStaging(installed: boolean): Finding {
  const folder = stagingFolder();
  const parent = dirname(folder);
  const needed = installed ? STUDY_MIB : STUDY_MIB + INSTALL_MIB / 4;
  const other = "set POOLSCOPE_STAGING to a folder that every user can reach";
  if (!existsSync(parent)) return missing(`${parent} is not there`, other);
  if (mountOptions(tryRead("/proc/self/mountinfo") ?? "", parent).includes("noexec")) {
    return warning(`${parent} is mounted noexec: no program can be started there`, other);
  }
  return checkFolder(parent, folder, needed, "a study's database");
}

function checkServiceUser(): Finding {
  try {
    const user = serviceUser();
    if (user === null) return ok("PostgreSQL and PgBouncer run as this user");
    if (findOnPath("setpriv") !== null) {
      return ok(`PostgreSQL and PgBouncer run as ${user.name}, for they refuse root`);
    }
  } catch (error) {
    return missing((error as Error).message, "start as an ordinary user");
  }
  const what = "setpriv is not on PATH, which starts PostgreSQL as another user than root";
  return missing(what, "install util-linux");
}

function bindLoopback(): true | string {
  try {
    Deno.listen({ hostname: "127.0.0.1", port: 0 }).close();
    return true;
  } catch (error) {
    return firstLine(error);
  }
}

/** The machine at a moment: the text of `/proc/stat`, and CPU time of our own until then. */
function sampleHost() {
  const { user, system } = process.cpuUsage();
  const atS = performance.now() / 1000;
  return { stat: tryRead("/proc/stat"), ownS: (user + system) / 1e6, atS };
}

function toChecks(findings: Record<string, Finding | Promise<Finding>>): Promise<Check[]> {
  return Promise.all(
    Object.entries(findings).map(async ([name, finding]) => ({ name, ...await finding })),
  );
}

/** The checks that need no other program and no waiting but for the sample of the host's load. */
function quickChecks(needs: Needs, sampleS: number): Promise<Check[]> {
  const before = sampleHost(); // First, while nothing else of ours runs.
  const cores = navigator.hardwareConcurrency;
  const load = sleep(sampleS * 1000).then(() => judgeHostLoad(before, sampleHost(), cores));
  const limits = tryRead("/proc/self/limits") ?? "";
  const own = readLimitsOf(Deno.pid);
  const installed = existsSync(TOOLS);
  const toolsMib = installed ? STUDY_MIB : STUDY_MIB + INSTALL_MIB;
  return toChecks({
    "service user": checkServiceUser(),
    "open files": judgeOpenFiles(limits, needs),
    "processes": judgeProcesses(limits),
    "ports": judgePorts(lookAtPorts(), needs),
    "somaxconn": judgeBacklog(tryRead("/proc/sys/net/core/somaxconn"), needs),
    "results": checkFolder("data/runs", runsFolder(), 200, "a study"),
    "checkout": checkFolder(".poolscope", TOOLS, toolsMib, "what is installed"),
    "staging folder": checkStaging(installed),
    "memory": judgeMemory(tryRead("/proc/meminfo") ?? "", own),
    "CPU": judgeCpus(cores, own),
    "host load": load,
  });
}

/** The finding of what throws one line where something is missing: `Cannot …: what; what to do`. */
export function describeRefusal(error: unknown, next: string): Finding {
  if (!(error instanceof UsageError || error instanceof PoolscopeError)) throw error;
  const [value = "", ...steps] = error.message.split("; ");
  return missing(value, steps.join("; ") || next);
}

/** A part that a start finds or installs; `inspect…` of its module never installs. */
function checkPart(inspect: () => Promise<string>): Promise<Finding> {
  return inspect().then(ok, (error) => describeRefusal(error, "see README.md"));
}

async function checkNode(): Promise<Finding> {
  const underNpx = (Deno.env.get("npm_config_user_agent") ?? "").startsWith("npm/");
  const { stdout } = await tryCommand(["node", "--version"]);
  // Where there is no node, `deno task` puts itself on PATH in its place.
  return judgeNode(/^v\d+[\d.]*/.exec(stdout)?.[0] ?? null, underNpx);
}

async function checkLimits(): Promise<Finding> {
  const found = findControllers(
    tryRead("/proc/self/mountinfo") ?? "",
    tryRead("/proc/self/cgroup") ?? "",
  );
  const [cpu, memory] = [found.cpu?.version, found.memory?.version];
  const versions = cpu === memory ? `v${cpu}` : `cpu v${cpu}, memory v${memory}`;
  return judgeLimits(await tryLimits(found, `poolscope-${Deno.pid}-doctor`), versions);
}

/** Where Docker answers, in which version, and whether the images are built. */
async function checkDocker(dockerHost?: string): Promise<Finding> {
  const local = "studies run without it, as processes of this machine (--engine local)";
  try {
    const found = await findDocker(dockerEnvironment(dockerHost));
    if (typeof found === "string") return ok(`${found}; ${local}`);
    const { daemon, version } = found;
    const { text } = await askDocker(daemon, "GET", "/images/json");
    const images: { RepoTags: string[] | null }[] = JSON.parse(text);
    const tags = images.flatMap(({ RepoTags }) => RepoTags ?? []);
    const tag = Deno.env.get("POOLSCOPE_TAG") || "latest";
    // As `deno task images` names them.
    const apps = appFolders().filter((app) => describeFolder(app).environment === "shared");
    const names = ["postgres", "pgbouncer", ...apps.map(({ name }) => name), "locust"];
    const lacking = names.filter((image) => !tags.includes(`poolscope/${image}:${tag}`));
    const value = `${version} at ${daemon.url}`;
    if (lacking.length === 0) return ok(`${value}, all ${names.length} images are built`);
    return warning(
      `${value}; the images of ${lacking.join(", ")} are not built`,
      "deno task images builds them, and so does the first start",
    );
  } catch (error) {
    return warning(firstLine(error), local);
  }
}

/** Everything that the doctor looks at, in the order of its report. */
export async function examine(dockerHost?: string): Promise<Check[]> {
  const quick = await quickChecks({}, 0.6);
  const parts = await toChecks({
    "Deno": judgeDeno(Deno.version.deno),
    "Node": checkNode(),
    "Python": checkPart(inspectPython),
    "PostgreSQL": checkPart(inspectPostgres),
    "PgBouncer": checkPart(inspectPgbouncer),
    "Docker": checkDocker(dockerHost),
    "control groups": checkLimits(),
  });
  return [...parts, ...quick];
}

export function formatCheck({ name, state, value, next }: Check): string {
  return `${state.padEnd(7)}  ${name.padEnd(14)}  ${value}${next === null ? "" : ` → ${next}`}`;
}

/**
 * The part that `run` and `run-all` begin with: whatever makes a run impossible stops it here. Returns the
 * warnings, a line each.
 */
export async function quickCheck(needs: Needs = {}): Promise<string[]> {
  const checks = await quickChecks(needs, 0.3);
  const first = checks.find(({ state }) => state === "missing");
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
