/** Synthetic study folders for tests: real files with known content, in a temporary folder. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Plan, planHash, type PlannedRun, planRuns } from "../plan.ts";
import { createScenario, type Scenario } from "../scenario.ts";
import {
  APP_COLUMNS,
  PGBOUNCER_COLUMNS,
  POSTGRES_COLUMNS,
  REQUEST_COLUMNS,
  RESOURCE_COLUMNS,
  runFolder,
  SCHEMA_VERSION,
  STATEMENT_COLUMNS,
} from "../store/layout.ts";
import type { FinalAccount, Manifest } from "../store/manifest.ts";
import { SYNTHETIC_BLOCKS, SyntheticTurns } from "./synthetic_turns.ts";

/** When the first synthetic load started: Unix time in microseconds. */
const EPOCH_US = 1_700_000_000_000_000;

/** One row of a synthetic requests.csv; what is not given is that of a correct answer. */
export interface SyntheticRequest {
  startUs: number;
  serviceUs: number;
  /** When it was due, in an open loop. */
  intendedUs?: number;
  /** How long it took from then on, or was waited for. */
  responseUs?: number;
  route?: string;
  status?: number;
  error?: string;
}

/** What a synthetic run is to look like. */
export interface SyntheticRun {
  /** Correct answers per second in the window; an open loop goes by its arrival rate. */
  rps: number;
  /** Median service time; the distribution is log-normal. */
  medianMs: number;
  /** Spread of the logarithm of the service time. @default 0.4 */
  sigma?: number;
  /** Change of throughput from the window's start to its end, as a share of its mean. @default 0 */
  drift?: number;
  /** Failed requests per second. @default 0 */
  failuresPerS?: number;
  /** Requests without an answer at the window's end. @default 0 */
  unfinished?: number;
  /** Arrivals of an open loop that were never sent, the last of the window. @default 0 */
  dropped?: number;
  /** Arrivals of an open loop that were sent 20 ms late, per hundred. @default 0 */
  latePercent?: number;
  /** True for a run that a gate rejects: its generator ran late. @default false */
  rejected?: boolean;
  /** Data statements per request, of which the contract has one. @default 1 */
  statements?: number;
  /** The cause, for a run that failed. @default none */
  cause?: string;
  /** True for a run that failed before any load: no window, no files. @default false */
  noLoad?: boolean;
  /** True for a run that was never done. @default false */
  absent?: boolean;
}

/** A study folder that is removed when it is disposed. */
export interface SyntheticStudy extends Disposable {
  /** The study's folder. */
  folder: string;
  /** The folder of the first run of the plan's order. */
  firstRun: string;
}

/** A plan for tests: all arms at the given users, or the scenarios given. */
export function syntheticPlan(
  changes: Partial<Plan> & { users?: number[] } = {},
): Plan {
  const { users = [100, 1000], design, ...rest } = changes;
  const scenarios = (["fastapi", "django", "flask"] as const).flatMap((framework) =>
    (["direct", "pooled"] as const).flatMap((path) =>
      users.map((n) => createScenario({ framework, path, users: n }))
    )
  );
  return {
    name: "synthetic",
    purpose: "A study made up for tests.",
    functionalCheck: false,
    warmUpS: 1,
    windowS: 2,
    // Where a plan that is read has it: a plan's hash goes by the order.
    ...(design !== undefined && { design }),
    rounds: 5,
    seed: 1,
    scenarios,
    ...rest,
  };
}

/** A small seeded generator of uniform numbers, so that tests are the same every time. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

/** A standard normal number (Box–Muller). */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** The text of a requests.csv. */
export function requestsCsv(rows: SyntheticRequest[]): string {
  const lines = rows.map(({ startUs, serviceUs, intendedUs, responseUs, route, status, error }) =>
    [
      intendedUs ?? "",
      startUs,
      serviceUs,
      responseUs ?? "",
      route ?? "/users/{id}",
      status ?? 200,
      error ?? "",
      120,
    ].join(",")
  );
  return [REQUEST_COLUMNS.join(","), ...lines].join("\n") + "\n";
}

function makeRequests(
  run: SyntheticRun,
  plan: Plan,
  seed: number,
  arrivalRate: number | null,
): SyntheticRequest[] {
  const random = seededRandom(seed);
  const startUs = EPOCH_US + plan.warmUpS * 1e6;
  const endUs = startUs + plan.windowS * 1e6;
  const serviceUs = () =>
    Math.round(1000 * run.medianMs * Math.exp((run.sigma ?? 0.4) * normal(random)));
  const completing = (
    about: number,
    from: number,
    to: number,
    rest: Partial<SyntheticRequest>,
  ) => {
    const n = Math.round(about);
    return Array.from({ length: n }, (_, i) => {
      const service = serviceUs();
      const share = (i + 0.5) / n;
      const slope = run.drift ?? 0;
      // When that share of the answers has come, at a rate that changes linearly.
      const when = slope === 0
        ? share
        : (Math.sqrt((1 - slope / 2) ** 2 + 2 * slope * share) - 1 + slope / 2) / slope;
      const at = Math.floor(from + (to - from) * when);
      return { startUs: at - service, serviceUs: service, ...rest };
    });
  };
  const failure = { status: 500, error: "500 Internal Server Error" };
  if (arrivalRate !== null) {
    const n = Math.round(arrivalRate * (plan.warmUpS + plan.windowS + 0.5));
    const first = n - Math.round(arrivalRate * 0.5) - (run.unfinished ?? 0) - (run.dropped ?? 0);
    return Array.from({ length: n }, (_, i): SyntheticRequest => {
      const intendedUs = EPOCH_US + Math.round(1e6 * i / arrivalRate);
      const delayUs = i % 100 < (run.latePercent ?? 0) ? 20_000 : 100;
      const took = serviceUs();
      const sent = { intendedUs, startUs: intendedUs + delayUs, serviceUs: took };
      const inLast = i - first;
      if (inLast >= 0 && inLast < (run.unfinished ?? 0) + (run.dropped ?? 0)) {
        const waitedUs = 2_000_000 + 100 * inLast;
        const error = inLast < (run.unfinished ?? 0) ? "unfinished" : "dropped";
        const service = error === "dropped" ? 0 : waitedUs - delayUs;
        return { ...sent, serviceUs: service, responseUs: waitedUs, status: 0, error };
      }
      return { ...sent, responseUs: delayUs + took };
    });
  }
  return [
    ...completing(run.rps * plan.warmUpS / 2, EPOCH_US, startUs, {}),
    ...completing(run.rps * plan.windowS, startUs, endUs, {}),
    ...completing((run.failuresPerS ?? 0) * plan.windowS, startUs, endUs, failure),
    ...Array.from({ length: run.unfinished ?? 0 }, () => {
      const service = serviceUs();
      return { startUs: endUs - service, serviceUs: service, status: 0, error: "unfinished" };
    }),
  ];
}

/** A manifest of a run that went well, as written by this version. */
export function syntheticManifest(
  plan: Plan,
  { id, scenario, round, order }: PlannedRun,
  changes: Partial<Manifest> = {},
): Manifest {
  const startUs = EPOCH_US + plan.warmUpS * 1e6;
  const limits = (cpus: number | null, memoryMiB: number | null) => ({
    asked: { cpus, memoryMiB },
    readBack: { cpus, memoryMiB },
  });
  return {
    schemaVersion: SCHEMA_VERSION,
    study: plan.name,
    plan: { name: plan.name, hash: planHash(plan), functionalCheck: plan.functionalCheck },
    scenarioId: id,
    scenario,
    round,
    order,
    seed: plan.seed + order,
    status: "ok",
    cause: null,
    times: {
      started: "2023-11-14T22:13:15Z",
      loadStarted: "2023-11-14T22:13:20Z",
      ended: "2023-11-14T22:13:30Z",
    },
    overheadS: 3,
    warmUpS: plan.warmUpS,
    windowS: plan.windowS,
    window: { startUs, endUs: startUs + plan.windowS * 1e6 },
    engine: "local",
    versions: { postgres: "16.14", pgbouncer: "1.24.1", locust: "2.47.0", python: "3.11.7" },
    inputs: {
      files: {},
      settings: {
        postgres: { max_connections: "106" },
        ...(scenario.path === "pooled" && { pgbouncer: { reserve_pool_size: "5" } }),
      },
    },
    ownConnections: { postgres: 3, pgbouncer: 2 },
    gitCommit: "0123456789abcdef0123456789abcdef01234567",
    host: { cpus: 2, cpuModel: "Synthetic CPU", memoryMiB: 8192, kernel: "6.1" },
    limits: {
      postgres: limits(scenario.dbCpus, scenario.dbMemoryMiB),
      app: limits(scenario.appCpus, scenario.appMemoryMiB),
    },
    limitsWarning: null,
    network: null,
    cpuSets: null,
    images: {},
    appOptions: { APP_WORKERS: String(scenario.workers) },
    exitCodes: { postgres: null, app: null },
    verification: {
      ok: true,
      contractRequests: 12,
      nonceMatched: true,
      pgbouncerQueries: scenario.path === "pooled" ? { before: 3, after: 4 } : null,
      throughPgbouncer: scenario.path === "pooled",
    },
    work: { "/users/{id}": { statements: 1, rows: 1 } },
    appTimings: true,
    files: {},
    ...changes,
  };
}

function resourcesCsv(plan: Plan, scenario: Scenario): string {
  const lines = [RESOURCE_COLUMNS.join(",")];
  const cores = { postgres: 0.49, app: 0.8, locust: 0.3, host: 1.7 };
  const services = scenario.path === "pooled" ? { ...cores, pgbouncer: 0.1 } : cores;
  for (let second = 0; second <= plan.warmUpS + plan.windowS; second++) {
    for (const [service, share] of Object.entries(services)) {
      const switches = service === "host" ? "" : 1000 * second;
      const row = [EPOCH_US + second * 1e6, service, share * second, 0, 100, 2, switches];
      lines.push(row.join(","));
    }
  }
  return lines.join("\n") + "\n";
}

/**
 * The samplers' files of a synthetic run, by name: a reading each second, until a second after the
 * window, of an app that keeps 8 connections and does a transaction for each request.
 */
function telemetryFiles(
  plan: Plan,
  scenario: Scenario,
  run: SyntheticRun,
): Record<string, string> {
  const rps = scenario.arrivalRate ?? run.rps;
  const table = (columns: readonly string[], row: (second: number) => Record<string, unknown>) => {
    const lines = Array.from({ length: plan.warmUpS + plan.windowS + 2 }, (_, second) => {
      const values: Record<string, unknown> = {
        time_us: EPOCH_US + second * 1e6,
        ...row(second),
      };
      return columns.map((column) => values[column] ?? 0).join(",");
    });
    return [columns.join(","), ...lines].join("\n") + "\n";
  };
  const pooled = scenario.path === "pooled";
  // Nothing comes after the last turn.
  const endS = plan.warmUpS + plan.windowS;
  const lastS = plan.design === "alternating" ? endS : Infinity;
  const calls = (second: number) => Math.round(rps * Math.min(second, lastS));
  const asked = [
    { id: 11, query: "SELECT * FROM users WHERE id = $1", times: run.statements ?? 1 },
    { id: 12, query: "BEGIN", times: 1 },
  ];
  const statements = [0, plan.warmUpS, endS, endS + 1].flatMap((second) =>
    asked.map(({ id, query, times }) => {
      const rows = calls(second);
      return [EPOCH_US + second * 1e6, id, times * rows, rows, rows / 8, query].join();
    })
  );
  // Two workers, a request of each of which takes 8 ms of the app's time, 5 ms of them the database's.
  const app = Array.from(
    { length: plan.warmUpS + plan.windowS + 2 },
    (_, second) =>
      [31, 32].map((worker) => {
        const requests = Math.round(rps * Math.min(second, lastS) / 2);
        const sums = [requests, 8000 * requests, 200 * requests, 0, 4, 5000 * requests];
        return [EPOCH_US + second * 1e6 - 40_000, worker, ...sums].join();
      }),
  ).flat();
  return {
    "app.csv": [APP_COLUMNS.join(), ...app].join("\n") + "\n",
    "statements.csv": [STATEMENT_COLUMNS.join(), ...statements].join("\n") + "\n",
    "postgres.csv": table(POSTGRES_COLUMNS, (second) => ({
      backends: 8,
      active: 2,
      idle: 6,
      sessions: 8,
      xact_commit: calls(second),
      wait_events: "",
    })),
    "pgbouncer.csv": !pooled ? PGBOUNCER_COLUMNS.join(",") + "\n" : table(
      PGBOUNCER_COLUMNS,
      (second) => ({
        cl_active: 8,
        cl_waiting: 2,
        sv_active: 2,
        sv_idle: 6,
        last_client_id: 18 + second,
        total_xact_count: calls(second),
        total_query_count: 2 * calls(second),
        total_wait_time_us: 1000 * second,
      }),
    ),
  };
}

const PERCENTILES = "50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%";

/** The generator's closing account of such rows. */
function finalJson(rows: SyntheticRequest[], plan: Plan, lagMs: number): FinalAccount {
  const windowStartUs = EPOCH_US + plan.warmUpS * 1e6;
  const windowEndUs = windowStartUs + plan.windowS * 1e6;
  const open = rows.some((row) => row.intendedUs !== undefined);
  // Of an open loop, requests belong to when they were due; of a closed one, to when they ended.
  const timeUs = (row: SyntheticRequest) =>
    row.intendedUs ?? (row.error === "unfinished" ? windowStartUs : row.startUs + row.serviceUs);
  const within = rows.filter((row) => timeUs(row) >= windowStartUs && timeUs(row) < windowEndUs);
  const withError = (error: string) => within.filter((row) => row.error === error).length;
  const requests = within.length - withError("unfinished") - withError("dropped");
  const process = {
    loadStartUs: EPOCH_US,
    windowStartUs,
    windowEndUs,
    requests,
    cpuS: 0.3,
    loopLagMaxMs: 2,
  };
  return {
    schemaVersion: SCHEMA_VERSION,
    ...process,
    failures: requests - within.filter((row) => row.error === undefined).length,
    unfinished: withError("unfinished"),
    warmUpRequests: rows.filter((row) => timeUs(row) < windowStartUs).length,
    drainRequests: rows.filter((row) => timeUs(row) >= windowEndUs).length,
    arrivals: open ? within.length : 0,
    late: within.filter((row) => row.startUs - (row.intendedUs ?? row.startUs) > 10_000).length,
    dropped: withError("dropped"),
    // Rates and latencies are made up, so that no number of users would go with them.
    usersAtWindowStart: 0,
    loopLagMeanMs: lagMs,
    processes: [{ seed: plan.seed, ...process }],
  };
}

/** Locust's own files, with its header, its line ends and its way to say that nothing was there. */
function locustFiles({ requests, failures }: FinalAccount): Record<string, string> {
  const none = Array(11).fill("N/A").join(",");
  return {
    "locust_stats.csv":
      "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time," +
      "Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s," +
      `${PERCENTILES}\r\n` +
      "GET,/users/{id},20,1,11,12.5,3,40,120.0,9.5,0.5,11,12,13,14,20,30,38,40,40,40,40\r\n" +
      `,Aggregated,${requests},${failures},0,0,0,0,0,0.0,0.0,${none}\r\n`,
    "locust_stats_history.csv": `Timestamp,User Count,Type,Name,Requests/s,Failures/s,` +
      `${PERCENTILES},Total Request Count,Total Failure Count,Total Median Response Time,` +
      "Total Average Response Time,Total Min Response Time,Total Max Response Time," +
      "Total Average Content Size\r\n" +
      `1700000000,0,,Aggregated,0.000000,0.000000,${none},0,0,0,0.0,0,0,0\r\n`,
    "locust_failures.csv": "Method,Name,Error,Occurrences,First Seen,Last Seen\r\n",
    "locust_exceptions.csv": "Count,Message,Traceback,Nodes\r\n",
  };
}

/**
 * Writes a study folder: plan, and for each run manifest, requests and series. Runs of an alternating
 * plan take turns with one other.
 *
 * @param plan The plan.
 * @param describe What each run is to look like.
 */
export function syntheticStudy(
  plan: Plan = syntheticPlan(),
  describe: (run: PlannedRun) => SyntheticRun = () => ({ rps: 100, medianMs: 10 }),
): SyntheticStudy {
  const root = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  const folder = join(root, plan.name);
  mkdirSync(folder);
  writeFileSync(join(folder, "plan.json"), JSON.stringify(plan));
  const runs = planRuns(plan);
  addRuns(folder, plan, runs, describe);
  return {
    folder,
    firstRun: runFolder(folder, runs[0]!.id, 1),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Writes runs into a study's folder; see {@linkcode syntheticStudy}. */
export function addRuns(
  folder: string,
  plan: Plan,
  runs: readonly PlannedRun[],
  describe: (run: PlannedRun) => SyntheticRun,
): void {
  for (const planned of runs) {
    const run = describe(planned);
    if (run.absent) continue;
    const target = runFolder(folder, planned.id, planned.round);
    mkdirSync(target, { recursive: true });
    const failed = run.cause === undefined
      ? {}
      : { status: "failed" as const, cause: run.cause, ...(run.noLoad ? { window: null } : {}) };
    const turns = plan.design === "alternating"
      ? new SyntheticTurns(plan, planned, EPOCH_US)
      : null;
    const inTurns = turns && { slices: SYNTHETIC_BLOCKS, window: turns.window };
    if (!run.noLoad) {
      const rows = makeRequests(run, plan, planned.order, planned.scenario.arrivalRate);
      const alone = finalJson(rows, plan, run.rejected ? 1000 : 0.1);
      const final = turns?.account(alone) ?? alone;
      const samples = {
        "resources.csv": resourcesCsv(plan, planned.scenario),
        ...telemetryFiles(plan, planned.scenario, run),
      };
      const requests = requestsCsv(rows);
      const files = {
        ...locustFiles(final),
        "final.json": JSON.stringify(final, null, 2) + "\n",
        ...samples,
        "requests.csv": requests,
        ...(turns !== null && {
          ...Object.fromEntries(
            Object.entries(samples).map(([name, text]) => [name, turns.convert(text, "time_us")]),
          ),
          "resources.csv": turns.resources(samples["resources.csv"]),
          "requests.csv": turns.convert(requests, "start_us"),
          "slices.csv": turns.csv(),
        }),
      };
      for (const [name, text] of Object.entries(files)) writeFileSync(join(target, name), text);
    }
    writeFileSync(
      join(target, "manifest.json"),
      JSON.stringify(syntheticManifest(plan, planned, { ...inTurns, ...failed }), null, 2),
    );
  }
}
