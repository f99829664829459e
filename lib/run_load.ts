/**
 * A load on a service that already runs: nothing but the load generator is started. It writes the
 * files of a study's run and reads them as a study's run is read.
 *
 * @module
 */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Owned, sweep } from "./engine/cleanup.ts";
import { parseHostCpu, parseMemoryInUse } from "./engine/proc.ts";
import { LocalProcess } from "./engine/process.ts";
import { PoolscopeError, UsageError } from "./errors.ts";
import { readLocustTotals } from "./frames/locust.ts";
import { explainExit, locustCommand, LOCUSTFILE } from "./load/locust.ts";
import {
  checkCounts,
  convertRequests,
  type ErrorCount,
  type LiveSample,
  readFinal,
  readLive,
} from "./load/requests.ts";
import { judgeOpenFiles } from "./setup/doctor.ts";
import { serviceEnvironment } from "./setup/environment.ts";
import { ensurePython } from "./setup/python.ts";
import type { LoadLevel, Scenario } from "./scenario.ts";
import { hashRunFiles, writeAtomic } from "./store/files.ts";
import { RESOURCE_COLUMNS, ROOT, runsFolder, SCHEMA_VERSION } from "./store/layout.ts";
import type { LoadManifest } from "./store/load_manifest.ts";

/** What to load, and how. */
export interface RunLoadOptions extends LoadLevel {
  /** Scheme, host and port; a path in it is the route, where none is given. */
  url: string;
  /** Paths on the host, asked for at random with equal shares. @default the URL's path */
  routes?: string[];
  /** @default "constant" */
  arrivals?: Scenario["arrivals"];
  /** @default "lean", or "fast" for https */
  client?: Scenario["client"];
  /** Length of the measurement window in seconds. @default 20 */
  durationS?: number;
  /** Seconds before it; users are started in them. @default 2 */
  warmUpS?: number;
  /** Processes that generate the load. @default 1 */
  processes?: number;
  /** The folder to write; it must not exist. @default one below data/runs/ with host and time */
  out?: string;
  /** Seed of the load's random choices. @default 1 */
  seed?: number;
  /** Called each second with the load's figures. */
  onLive?: (sample: LiveSample) => void;
  /** Called with each line of the setup. */
  log?: (line: string) => void;
  /** Ends the load; what was measured by then is kept. */
  signal?: AbortSignal;
}

/** A load that has ended. */
export interface LoadRun {
  /** Its folder. */
  folder: string;
  manifest: LoadManifest;
  /** Why the generator did not do its work; null when it did, whatever the service answered. */
  fault: string | null;
}

/** Where the load goes. */
interface Target {
  origin: string;
  hostname: string;
  port: number;
  routes: string[];
}

/** How long the service may take for its first answer, in seconds. */
const ANSWER_LIMIT_S = 10;

/** How long the generator may take beyond its window, in seconds. */
const END_LIMIT_S = 30;

/** Reads a URL and its routes. */
function parseTarget(text: string, given: string[] | undefined): Target {
  const fail = (what: string): never => {
    throw new UsageError(`Cannot load "${text.replace(/\/\/.*@/, "//")}": ${what}`);
  };
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail("it is not a URL; give one such as http://127.0.0.1:8000");
  }
  if (!["http:", "https:"].includes(url.protocol)) {
    fail(`it is not a URL of http or https; give one such as http://127.0.0.1:8000`);
  }
  if (url.username !== "" || url.password !== "") {
    fail("it holds a user name or password, which would be written into the run's files");
  }
  const own = url.pathname + url.search;
  if (given !== undefined && given.length > 0 && own !== "/") {
    fail(`it has a path of its own; give paths by --route alone: --route ${own}`);
  }
  const routes = given !== undefined && given.length > 0
    ? given.map((route) => encodeRoute(route, url))
    : [own];
  if (new Set(routes).size < routes.length) {
    throw new UsageError("Cannot use routes: one of them is given twice");
  }
  return {
    origin: url.origin,
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || (url.protocol === "https:" ? 443 : 80)),
    routes,
  };
}

/** A route as a browser would ask for it: what a URL may not hold is percent-encoded. */
function encodeRoute(route: string, { origin }: URL): string {
  if (!route.startsWith("/")) {
    throw new UsageError(`Cannot use route "${route}": it must be a path that begins with "/"`);
  }
  const { pathname, search } = new URL(origin + route);
  return pathname + search;
}

function checkNumber(name: string, value: number, least: number, whole: boolean): void {
  if (Number.isFinite(value) && value >= least && (!whole || Number.isInteger(value))) return;
  const kind = whole ? "a whole number" : "a number";
  throw new UsageError(
    `Cannot use ${name} ${value}: it must be ${kind} ${
      least === 0 && !whole ? "of at least 0" : least < 1 ? "above 0" : `of at least ${least}`
    }`,
  );
}

/** One request, as a client would send it; whatever comes of it, somebody must be there. */
async function checkAnswer(target: Target, signal?: AbortSignal): Promise<void> {
  const { origin, hostname, port, routes } = target;
  const send = origin.startsWith("https:") ? httpsRequest : httpRequest;
  await new Promise<void>((resolve, reject) => {
    const fail = (what: string) =>
      reject(new PoolscopeError(`Cannot load ${origin}: ${what}; start the service first`));
    const request = send(origin + routes[0], {
      // As the generator: it measures, and does not judge certificates.
      rejectUnauthorized: false,
      timeout: ANSWER_LIMIT_S * 1000,
      agent: false,
    }, (response) => {
      response.destroy();
      resolve();
    });
    request.on("timeout", () => {
      fail(`no answer to GET ${routes[0]} within ${ANSWER_LIMIT_S} s`);
      request.destroy();
    });
    request.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.code ?? "";
      if (code === "ENOTFOUND" || code === "EAI_AGAIN" || /lookup address/.test(error.message)) {
        reject(
          new PoolscopeError(
            `Cannot load ${origin}: the host "${hostname}" is not known; check it`,
          ),
        );
      } else if (code === "ECONNRESET" || code === "EPIPE") {
        resolve(); // Somebody is there, and fails: that is for the load to measure.
      } else if (code.startsWith("HPE_")) fail("what answers there does not speak HTTP");
      else if (code === "ECONNREFUSED") fail(`nothing answers on port ${port}`);
      else fail(`it does not answer (${error.message.split("\n")[0]})`);
    });
    signal?.addEventListener("abort", () => {
      reject(signal.reason);
      request.destroy();
    }, { once: true });
    request.end();
  });
}

function defaultFolder({ hostname, port }: Target): string {
  const stamp = new Date().toISOString().replace(/[-:]/g, "").slice(0, 15);
  const host = hostname.replace(/[^A-Za-z0-9.]+/g, "-");
  const folder = join(runsFolder(), `load-${host}-${port}-${stamp}Z`);
  for (let i = 1;; i++) {
    const candidate = i === 1 ? folder : `${folder}-${i}`;
    if (!existsSync(candidate)) return candidate;
  }
}

/**
 * Loads a service that already runs, with nothing else being started: Python and Locust are all that
 * is set up.
 *
 * @returns The load, also when it was interrupted or every request failed.
 * @throws {UsageError} If an option is not one.
 * @throws {PoolscopeError} If nothing answers at the URL or the generator fails.
 * @throws The signal's reason when it is aborted before the load begins.
 */
export async function runLoad(options: RunLoadOptions): Promise<LoadRun> {
  const { users, signal, log = () => {} } = options;
  const { warmUpS = 2, durationS = 20 } = options;
  const target = parseTarget(options.url, options.routes);
  checkOptions(options);
  const client = chooseClient(options, target);
  const folder = options.out === undefined ? defaultFolder(target) : resolve(options.out);
  if (existsSync(folder)) {
    throw new UsageError(
      `Cannot write ${options.out}: it exists already; choose another --out, or remove it`,
    );
  }
  const files = judgeOpenFiles(readFileSync("/proc/self/limits", "utf8"), {
    users: users ?? 0,
    maxClientConn: 0,
  });
  if (files.state === "missing") {
    throw new PoolscopeError(`Cannot load with ${users} users: ${files.value}; ${files.next}`);
  }
  await checkAnswer(target, signal);
  for (const line of await sweep()) log(line);
  const python = await ensurePython({ parts: ["locust"], log, signal });

  makeFolder(folder);
  const command = commandFor(target, { ...options, client }, python.python, folder);
  writeFileSync(command.startFile, "");
  const started = new Date();
  const ended = await drive(command, python.folder, folder, warmUpS + durationS, options);
  const { final, errors, trouble } = await collect(folder, ended);
  const measured = final !== null && final.windowEndUs >= final.loadStartUs + warmUpS * 1e6;
  const correct = final === null ? 0 : final.requests - final.failures;
  const cause = trouble ??
    (measured && correct === 0 ? describeFailures(final.requests, errors) : null);
  const manifest: LoadManifest = {
    schemaVersion: SCHEMA_VERSION,
    kind: "load",
    url: target.origin,
    routes: target.routes,
    users,
    arrivalRate: options.arrivalRate,
    arrivals: options.arrivals ?? "constant",
    client,
    processes: options.processes ?? 1,
    seed: options.seed ?? 1,
    status: cause === null ? "ok" : "failed",
    cause,
    interrupted: ended.interrupted,
    times: { started: started.toISOString(), ended: new Date().toISOString() },
    warmUpS,
    windowS: durationS,
    window: measured ? { startUs: final.windowStartUs, endUs: final.windowEndUs } : null,
    versions: { python: python.version, locust: locustVersion() },
    host: {
      cpus: cpus().length,
      cpuModel: cpus()[0]?.model ?? "unknown",
      memoryMiB: Math.round(totalmem() / 2 ** 20),
      kernel: release(),
    },
    exitCode: ended.exitCode,
    files: await hashRunFiles(folder),
  };
  writeAtomic(join(folder, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
  return { folder, manifest, fault: trouble };
}

function checkOptions(
  { users, arrivalRate, durationS = 20, warmUpS = 2, processes = 1 }: RunLoadOptions,
): void {
  if ((users === null) === (arrivalRate === null)) {
    throw new UsageError("Cannot load: give either users (closed loop) or an arrival rate (open)");
  }
  if (users !== null) checkNumber("users", users, 1, true);
  if (arrivalRate !== null) checkNumber("arrival rate", arrivalRate, Number.MIN_VALUE, false);
  checkNumber("duration", durationS, Number.MIN_VALUE, false);
  checkNumber("warm-up", warmUpS, 0, false);
  checkNumber("processes", processes, 1, true);
}

function chooseClient({ client }: RunLoadOptions, { origin }: Target): Scenario["client"] {
  const secure = origin.startsWith("https:");
  if (secure && client === "lean") {
    throw new UsageError(
      `Cannot load ${origin}: the lean client speaks http alone; leave --client out, or use --client fast`,
    );
  }
  return client ?? (secure ? "fast" : "lean");
}

/** Writes the routes of a load, and gives the generator's command for it. */
function commandFor(
  target: Target,
  options: RunLoadOptions & Pick<Scenario, "client">,
  python: string,
  folder: string,
): ReturnType<typeof locustCommand> {
  const { users, arrivalRate, arrivals = "constant", client } = options;
  const { durationS = 20, warmUpS = 2, processes = 1, seed = 1 } = options;
  const contract = join(folder, "routes.json");
  const routes = target.routes.map((path) => ({ name: `GET ${path}`, path, weight: 1 }));
  writeFileSync(contract, JSON.stringify({ routes }, null, 2) + "\n");
  return locustCommand({
    python,
    host: target.origin,
    folder,
    seed,
    warmUpS,
    contract,
    processes,
    locustfile: LOCUSTFILE,
    windowS: durationS,
    scenario: {
      users,
      arrivalRate,
      arrivals,
      client,
      thinkTimeMinS: 0,
      thinkTimeMaxS: 0,
      // All users run before the window begins.
      spawnRate: users === null ? 1 : Math.max(1, users / Math.max(0.5, 0.7 * warmUpS)),
    },
  });
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(join(folder, "logs"), { recursive: true });
  } catch (error) {
    throw new PoolscopeError(
      `Cannot write ${relative(ROOT, folder)}: ${
        (error as Error).message.split("\n")[0]
      }; choose another --out below an existing folder of yours (${dirname(folder)})`,
      { cause: error },
    );
  }
}

/** How the generator ended. */
interface Ended {
  exitCode: number | null;
  interrupted: boolean;
  /** Why it should not have ended so; null when it should. */
  trouble: string | null;
}

/** Runs the generator to its end, or to the signal. */
async function drive(
  command: { argv: string[]; env: Record<string, string> },
  environment: string,
  folder: string,
  loadS: number,
  { onLive, signal }: RunLoadOptions,
): Promise<Ended> {
  await using owned = Owned.withKeeper();
  const home = join(tmpdir(), `${owned.id}-home`);
  owned.addFolder(home);
  mkdirSync(home, { mode: 0o700 });
  const locust = LocalProcess.start({
    name: "locust",
    argv: command.argv,
    cwd: ROOT,
    owned,
    // Each of its processes waits up to 5 s for the others.
    graceS: 10,
    logFile: join(folder, "logs", "locust.log"),
    env: serviceEnvironment(home, { PATH: `${environment}/bin:/usr/bin:/bin`, ...command.env }),
  });
  let trouble: string | null = null;
  try {
    using _resources = recordResources(locust, folder);
    const deadline = performance.now() + (loadS + END_LIMIT_S) * 1000;
    const aborted = new Promise<void>((resolve) => {
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
    let shown: number | null = null;
    while (locust.exit === null && !signal?.aborted) {
      if (performance.now() > deadline) {
        trouble = `the generator did not end ${END_LIMIT_S} s after the load; see logs/locust.log`;
        break;
      }
      await Promise.race([
        locust.exited,
        aborted,
        sleep(200),
      ]);
      const live = readLive(folder);
      if (live !== null && live.timeS !== shown) onLive?.(live);
      shown = live?.timeS ?? shown;
    }
  } finally {
    const alone = locust.exit !== null;
    await locust.stop();
    owned.removeFolder(home);
    const { code, signal: by } = await locust.exited;
    // One that was asked to end before it could listen has ended as it was asked to.
    if (alone || by !== "SIGTERM") trouble ??= explainExit(code, by, locust.logTail(20));
  }
  for (const name of [".live.json", ".start"]) rmSync(join(folder, name), { force: true });
  return { exitCode: locust.exit!.code, interrupted: signal?.aborted ?? false, trouble };
}

/** Writes what generator and host use, a row per second, until it is disposed. */
function recordResources(locust: LocalProcess, folder: string): Disposable {
  const file = join(folder, "resources.csv");
  writeFileSync(file, RESOURCE_COLUMNS.join(",") + "\n");
  const sample = () => {
    const timeUs = Math.round((performance.timeOrigin + performance.now()) * 1000);
    const host = parseHostCpu(readFileSync("/proc/stat", "utf8"));
    const rows = [locust.usage(), {
      service: "host",
      cpuS: host.busyS,
      throttledS: host.stolenS,
      processes: 0,
      contextSwitches: null,
      memoryMiB: parseMemoryInUse(readFileSync("/proc/meminfo", "utf8")),
    }];
    const text = rows.map((usage) =>
      [
        timeUs,
        usage.service,
        usage.cpuS.toFixed(6),
        usage.throttledS.toFixed(6),
        usage.memoryMiB.toFixed(2),
        usage.processes,
        usage.contextSwitches ?? "",
      ].join(",") + "\n"
    ).join("");
    writeFileSync(file, text, { flag: "a" });
  };
  sample();
  const timer = setInterval(sample, 1000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Turns what the generator recorded into the run's files, and says what in them disagrees. */
async function collect(folder: string, ended: Ended) {
  const result = { final: null, errors: [], trouble: ended.trouble } as {
    final: ReturnType<typeof readFinal> | null;
    errors: ErrorCount[];
    trouble: string | null;
  };
  try {
    const counts = await convertRequests(folder);
    result.final = readFinal(folder);
    result.errors = counts.errors;
    result.trouble ??= checkCounts(counts, result.final, readLocustTotals(folder));
  } catch (error) {
    if (!(error instanceof PoolscopeError)) throw error;
    result.trouble ??= error.message.split("\n")[0]!;
  }
  return result;
}

function describeFailures(requests: number, errors: ErrorCount[]): string {
  const first = errors[0];
  if (first === undefined) return "no request was answered within the window";
  const { error, example } = first;
  const what = example === "" || example === error ? error : `${error}: ${example.split("\n")[0]}`;
  return requests === 0
    ? `no request was answered within the window (${what})`
    : `all ${requests} requests failed, most of them with "${what}"`;
}

/** As the lock of the generator's packages says. */
function locustVersion(): string {
  const lock = readFileSync(join(ROOT, "locust", "requirements.txt"), "utf8");
  return /^locust==([^\s\\;]+)/m.exec(lock)?.[1] ?? "unknown";
}
