/** A load on a service that already runs: nothing but the load generator is started. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { judgeOpenFiles } from "./doctor/doctor.ts";
import { firstLine, PoolscopeError, UsageError } from "./errors.ts";
import type { Host, Instance } from "./hosts/host.ts";
import { LocalHost } from "./hosts/local/local_host.ts";
import { sweep } from "./hosts/owned.ts";
import { collectRun, followLoad } from "./load/generator.ts";
import { locustCommand, LOCUSTFILE } from "./load/locust.ts";
import type { ErrorCount, LiveSample } from "./load/requests.ts";
import type { LoadLevel, Scenario } from "./scenario.ts";
import { COUNT, NOT_NEGATIVE, POSITIVE, type Rule } from "./settings.ts";
import { ensurePython, installedVersions } from "./setup/python.ts";
import { hashRunFiles, writeAtomic } from "./store/files.ts";
import { RESOURCE_COLUMNS, ROOT, runsFolder, SCHEMA_VERSION } from "./store/layout.ts";
import type { LoadManifest } from "./store/load_manifest.ts";
import { csvLines, usageRows } from "./telemetry/rows.ts";
import { nowUs } from "./telemetry/sample_loop.ts";

export interface RunLoadOptions extends LoadLevel {
  /** Scheme, host and port; a path in it is the route, where none is given. */
  url: string;
  /** Paths on the host, asked for at random with equal shares. @default the URL's path */
  routes?: string[];
  /** @default "constant" */
  arrivals?: Scenario["arrivals"];
  /** @default "lean", or "fast" for https */
  client?: Scenario["client"];
  /** Length of the measurement window in seconds. */
  durationS: number;
  /** Seconds before it; users are started in them. */
  warmUpS: number;
  /** Processes that generate the load. */
  processes: number;
  /** The folder to write; it must not exist. @default one below data/runs/ with host and time */
  out?: string;
  /** Seed of the load's random choices. */
  seed: number;
  onLive: (sample: LiveSample) => void;
  log: (line: string) => void;
  /** Ends the load; what was measured by then is kept. */
  signal?: AbortSignal;
}

type Target = ReturnType<typeof parseTarget>;

/** How long the service may take for its first answer, in seconds. */
const ANSWER_LIMIT_S = 10;

/** Where the load goes: reads a URL and its routes. */
function parseTarget({ url: text, routes: given = [] }: RunLoadOptions) {
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
  if (given.length > 0 && own !== "/") {
    fail(`it has a path of its own; give paths by --route alone: --route ${own}`);
  }
  const routes = given.length > 0 ? given.map((route) => encodeRoute(route, url)) : [own];
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

function checkNumber(name: string, value: number | null, rule: Rule): void {
  if (value === null || rule.accepts(value)) return;
  throw new UsageError(`Cannot use ${name} ${value}: it must be ${rule.words}`);
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
 * Loads a service that already runs; Python and Locust are all that is set up.
 *
 * @returns The load's folder, also when it was interrupted or every request failed; and why the
 * generator did not do its work, null when it did.
 * @throws {UsageError} If an option is not one.
 * @throws {PoolscopeError} If nothing answers at the URL or the generator fails.
 * @throws The signal's reason when it is aborted before the load begins.
 */
export async function runLoad(options: RunLoadOptions) {
  const { users, arrivalRate, arrivals = "constant", processes, seed, warmUpS, durationS } =
    options;
  const { signal, log } = options;
  const target = parseTarget(options);
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
  const level = { users, arrivalRate, arrivals, client };
  const command = commandFor(target, options, level, python.python, folder);
  writeFileSync(command.startFile, "");
  const started = new Date();
  const ended = await drive(command, python.folder, folder, warmUpS + durationS, options);
  const { final, errors, trouble } = ended;
  const measured = final !== null && final.windowEndUs >= final.loadStartUs + warmUpS * 1e6;
  const correct = final === null ? 0 : final.requests - final.failures;
  const cause = trouble ??
    (measured && correct === 0 ? describeFailures(final.requests, errors) : null);
  const { locust = "unknown" } = installedVersions(python.folder, ["locust"]);
  const manifest: LoadManifest = {
    schemaVersion: SCHEMA_VERSION,
    kind: "load",
    url: target.origin,
    routes: target.routes,
    ...level,
    processes,
    seed,
    status: cause === null ? "ok" : "failed",
    cause,
    interrupted: signal?.aborted ?? false,
    times: { started: started.toISOString(), ended: new Date().toISOString() },
    warmUpS,
    windowS: durationS,
    window: measured ? { startUs: final.windowStartUs, endUs: final.windowEndUs } : null,
    versions: { python: python.version, locust },
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
  return { folder, fault: trouble };
}

function checkOptions(options: RunLoadOptions): void {
  const { users, arrivalRate, durationS, warmUpS, processes } = options;
  checkNumber("users", users, COUNT);
  checkNumber("arrival rate", arrivalRate, POSITIVE);
  checkNumber("duration", durationS, POSITIVE);
  checkNumber("warm-up", warmUpS, NOT_NEGATIVE);
  checkNumber("processes", processes, COUNT);
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
  { users, durationS, warmUpS, processes, seed }: RunLoadOptions,
  level: Pick<Scenario, "users" | "arrivalRate" | "arrivals" | "client">,
  python: string,
  folder: string,
) {
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
      ...level,
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
        firstLine(error)
      }; choose another --out below an existing folder of yours (${dirname(folder)})`,
      { cause: error },
    );
  }
}

/** Runs the generator to its end, or to the signal. */
async function drive(
  command: ReturnType<typeof locustCommand>,
  environment: string,
  folder: string,
  loadS: number,
  { onLive, signal }: RunLoadOptions,
) {
  await using host = new LocalHost({ folder: tmpdir(), limits: false });
  const [python, ...args] = command.argv;
  const locust = host.place({
    service: "locust",
    program: { command: [python!], path: [join(environment, "bin")], folder: ROOT },
    logFile: join(folder, "logs", "locust.log"),
    folder,
    // Each of its processes waits up to 5 s for the others.
    graceS: 10,
  });
  try {
    await locust.start({ args, env: command.env });
    using _resources = recordResources(locust, host, folder);
    const ended = await followLoad(locust, folder, { loadS, signal, onLive });
    await locust.collect(folder);
    return { ...ended, ...await collectRun(folder, ended.trouble) };
  } finally {
    await locust.remove();
  }
}

/** Writes what generator and host use, a row per second, until it is disposed. */
function recordResources(locust: Instance, host: Host, folder: string): Disposable {
  const file = join(folder, "resources.csv");
  writeFileSync(file, RESOURCE_COLUMNS.join(",") + "\n");
  const sample = async () => {
    const usages = await Promise.all([locust.usage(), host.usage()]);
    const lines = csvLines(RESOURCE_COLUMNS, usageRows(nowUs(), usages));
    writeFileSync(file, lines, { flag: "a" });
  };
  sample();
  const timer = setInterval(sample, 1000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
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
