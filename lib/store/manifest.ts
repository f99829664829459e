/** The manifest of a run and the closing account of its load. A report refuses other files. */

import { z } from "zod";
import type { Leg, Scenario } from "../scenario.ts";
import { ANY_VERSION } from "../settings.ts";

// The parts of schemas; each message says what its field must be.
export const whole = (words = "a whole number of at least 0") => z.int(words).min(0, words);

const amount = (words = "a number of at least 0") => z.number(words).min(0, words);

export const text = (words = "a text") => z.string(words).min(1, words);

/** An object, whose fields are those of `T` by the word of what wrote it. */
export const record = <T extends object>() =>
  z.custom<T>(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
    "an object",
  );

const IN_ORDER = "a start before an end";

/** The measurement window in Unix time, microseconds; null when there was none. */
export const WINDOW = z.object({ startUs: whole(IN_ORDER), endUs: whole(IN_ORDER) }, IN_ORDER)
  .refine(({ startUs, endUs }) => startUs < endUs, IN_ORDER).nullable();

/** A CPU and memory limit; null where there is none. */
export interface Limits {
  /** Quota in cores. */
  cpus: number | null;
  memoryMiB: number | null;
}

/** What was asked for one service, and what its own cgroup says while it runs. */
export interface ServiceLimits {
  asked: Limits;
  /** As read from the cgroup that the service's own process is in. */
  readBack: Limits;
}

/** What was checked of the app before the load. */
export interface Verification {
  ok: boolean;
  /** The requests of the contract whose status and body were compared. */
  contractRequests: number;
  /** Null of an app that has none, whose listener was seen to have been started for the run. */
  nonceMatched: boolean | null;
  /** PgBouncer's `total_query_count` around one request; null when the path is direct. */
  pgbouncerQueries: { before: number; after: number } | null;
  /** Whether the app's connection to PostgreSQL came from PgBouncer's process. */
  throughPgbouncer: boolean;
}

/** How round-trip times are made: `relay` is a process that holds bytes back (lib/services/network.py). */
export type NetworkMethod = "relay";

/** How far one leg kept its delay during the load. */
export interface Deliveries {
  /** Pieces handed on, both ways. */
  chunks: number;
  /** Questions with an answer: round trips of the services' own conversation. */
  roundTrips: number;
  /** How much too late they were handed on; the percentile to within a factor of two, upwards. */
  lateMeanMs: number;
  lateP99Ms: number;
}

/** The network between the services of a run. */
export interface NetworkInForce {
  /** Null when no leg takes time. */
  method: NetworkMethod | null;
  /**
   * The legs of the scenario's path. `measured` is what one adds to a query, null where nothing stands
   * between; `inForce` is protocol and cipher as the receiving server tells them.
   */
  legs: Partial<
    Record<Leg["name"], {
      rttMs: { asked: number; measured: number | null };
      tls: { asked: boolean; inForce: string | null };
    }>
  >;
  /** By leg, from verification to the end of the load; empty when no leg takes time. */
  deliveries: Partial<Record<Leg["name"], Deliveries>>;
}

/** What the kernel counted of TCP in the window: of the whole machine, or of the run's containers. */
export interface TcpCounts {
  /** Connections that found a listen queue full. */
  listenOverflows: number;
  /** Ephemeral ports in use at the end, connections in TIME_WAIT among them, and how many there are. */
  portsInUse: number;
  ports: number;
}

/** What a run was made of, beside its scenario. */
export interface RunInputs {
  /** SHA-256 by path in the checkout, grouped by the part of a run that the files make up. */
  files: Record<string, Record<string, string>>;
  /** Settings in force that are not at their defaults, by service; null when the run failed before. */
  settings: Record<string, Record<string, string>> | null;
}

const WORK = "statements and rows of each route";
const ROUTE_WORK = z.object({ statements: whole(WORK), rows: whole(WORK) }, WORK);

/** The statements that the contract lets a request of one route ask of the database, and their rows. */
export type RouteWork = z.infer<typeof ROUTE_WORK>;

/** What a report needs of every manifest. */
export const MANIFEST = z.object({
  study: text(),
  plan: record<{ name: string; hash: string; functionalCheck: boolean }>(),
  scenarioId: text(),
  scenario: record<Scenario>(),
  /** From 1. */
  round: whole(),
  /** Place in the study's order, from 1. */
  order: whole(),
  status: z.enum(["ok", "failed"], '"ok" or "failed"'),
  /** Why the run failed, in one sentence; null when it did not. */
  cause: z.string("a text or null").nullable(),
  /** `local` or `docker`. */
  engine: text(),
  versions: record<Record<string, string>>(),
  /** Commit of the checkout; null outside git. `-dirty` is appended when files had changed. */
  gitCommit: z.string("a text or null").nullable(),
  host: record<{ cpus: number; cpuModel: string; memoryMiB: number; kernel: string }>(),
  limits: record<Record<string, ServiceLimits>>(),
  /** The warning for the reader when limits could not be set; null when all are in force. */
  limitsWarning: z.string("a text or null").nullable(),
  /** What the scenario said to the app, by the names of its environment variables. */
  appOptions: record<Record<string, string>>(),
  /** How each service ended: exit code, or null when Poolscope stopped it. */
  exitCodes: record<Record<string, number | null>>(),
  files: record<Record<string, string>>(),
  window: WINDOW,
  /** The contract's work by route, as in `requests.csv`; not there in runs of earlier versions. */
  work: z.record(z.string(), ROUTE_WORK, WORK).optional(),
}).superRefine(({ status, cause, window }, context) => {
  const fail = (key: string, message: string) =>
    context.addIssue({ code: "custom", path: [key], message });
  if ((status === "ok") !== (cause === null)) fail("cause", "a text exactly when the run failed");
  // Without one a successful run has no numbers.
  if (status === "ok" && window === null) fail("window", IN_ORDER);
});

/** One run, complete: written last, so that its presence means that the folder is complete. */
export interface Manifest extends z.infer<typeof MANIFEST> {
  schemaVersion: number;
  seed: number;
  times: { started: string; loadStarted: string | null; ended: string };
  /** Seconds spent outside warm-up and window. */
  overheadS: number;
  /** Warm-up and window in seconds, as planned. */
  warmUpS: number;
  windowS: number;
  /** What else it was made of; not there in runs of earlier versions. */
  inputs?: RunInputs;
  /** The images of the services with their digests; empty for the local engine. */
  images: Record<string, string>;
  /** Poolscope's own, by which limits were raised; not there in runs of earlier versions. */
  ownConnections?: { postgres: number; pgbouncer: number };
  /** Null when the run failed before, or is older than the settings of the network. */
  network: NetworkInForce | null;
  /** The cores that each service has for itself, as read back; null when they share the host's. */
  cpuSets: Record<string, string> | null;
  /** Null when the run failed before its window; missing in manifests of earlier versions. */
  tcp?: TcpCounts | null;
  /** Null when the run failed before. */
  verification: Verification | null;
  /** Of runs whose app told what its requests took; not there in others, nor in earlier versions. */
  appTimings?: true;
  /** Of runs whose requests are those of the app's own locustfile. */
  ownLocustfile?: true;
  /** Slices of load that count, of a run that took turns with others beside it. */
  slices?: number;
}

/** One generating process. Counts and times are those of its measurement window. */
const PROCESS = z.object({
  seed: whole(),
  /** Unix time in microseconds. */
  loadStartUs: whole(),
  windowStartUs: whole(),
  windowEndUs: whole(),
  requests: whole(),
  cpuS: amount(),
  loopLagMaxMs: amount(),
}, "an object");
const PROCESSES = "a list of at least one process";

export const FINAL = z.object({
  schemaVersion: whole(),
  /** Requests answered in the window (in an open loop: due in it), failures among them. */
  requests: whole(),
  failures: whole(),
  /** Requests without an answer at the window's end. */
  unfinished: whole(),
  /** Requests answered before the window began; in an open loop, all that were meant to start then. */
  warmUpRequests: whole(),
  /** Requests of an open loop that were meant to start after the window, while its last were awaited. */
  drainRequests: whole(),
  /** Arrivals scheduled within the window; 0 in a closed loop. */
  arrivals: whole(),
  /** Arrivals of the window that were sent more than 10 ms after their intended start. */
  late: whole(),
  /** Arrivals of the window that were never sent: too many requests were without an answer. */
  dropped: whole(),
  /** Unix time in microseconds. */
  loadStartUs: whole(),
  windowStartUs: whole(),
  windowEndUs: whole(),
  usersAtWindowStart: whole(),
  cpuS: amount(),
  /** How long CPU and lag were measured: the window, or the arm's turns in it. Not in earlier accounts. */
  meteredS: amount().optional(),
  /** The event loop's lag over the window: largest and mean, in milliseconds. */
  loopLagMaxMs: amount(),
  loopLagMeanMs: amount(),
  /** Null where the client does not tell, missing in accounts of earlier versions. */
  connections: whole().nullish(),
  /** Of a run that took turns: connections that the app had closed meanwhile, opened before its turns. */
  reopened: whole().nullish(),
  /**
   * Of an arm that takes turns, when it got no more of them, in Unix time, microseconds: after so many
   * seconds without an answer, or (null) because all its requests failed. Null where it got all.
   */
  lost: z.object({ atUs: whole(), silentS: amount().nullable() }, "an object").nullish(),
  /** The generating processes; the fields above are their sums and extremes. */
  processes: z.array(PROCESS, PROCESSES).min(1, PROCESSES),
});

/** Locust's closing account, `final.json`. Counts are those of the measurement window. */
export type FinalAccount = z.infer<typeof FINAL>;

/** The parts of a manifest that {@linkcode differingInputs} looks at; what is missing is not compared. */
export type Comparable = Partial<
  Pick<Manifest, "engine" | "versions" | "scenarioId" | "scenario" | "inputs">
>;

/** Programs of which no two versions are compared unless asked for, and services, with names. */
const TITLES: Record<string, string> = {
  postgres: "PostgreSQL",
  pgbouncer: "PgBouncer",
  python: "Python",
};

/** More differences than these are only counted. */
const MAX_NAMED = 3;

/** Which version of a program, by its name in `versions`, a scenario asks for. */
export function askedVersion(scenario: Scenario | undefined, program: string): string {
  // Manifests of earlier versions have no such settings.
  if (program === "postgres") return scenario?.postgresVersion ?? ANY_VERSION;
  const runs = program === "pgbouncer" && scenario?.path === "pooled";
  return runs ? scenario.pgbouncerVersion ?? ANY_VERSION : ANY_VERSION;
}

/** What a run shares with others, by scope: files by hash, settings and versions as they are. */
function* sharedInputs(
  { engine, versions = {}, scenarioId, scenario, inputs }: Comparable,
): Generator<[scope: string, values: Record<string, string>]> {
  if (engine !== undefined) yield ["engine", { engine }];
  for (const [key, title] of Object.entries(TITLES)) {
    const version = versions[key];
    if (version !== undefined) {
      yield [`${key} ${askedVersion(scenario, key)}`, { [title]: version }];
    }
  }
  for (const [part, files] of Object.entries(inputs?.files ?? {})) yield [`files ${part}`, files];
  for (const [service, settings] of Object.entries(inputs?.settings ?? {})) {
    const named = Object.entries(settings)
      .map(([name, value]) => [`${TITLES[service] ?? service}'s ${name}`, value]);
    yield [`${service} of ${scenarioId}`, Object.fromEntries(named)];
  }
}

/**
 * What differs between runs of one study that may not, as in `PgBouncer (1.24.1, 1.25.0)`: engine,
 * Python, versions that no scenario asks for, files, and settings in force of the same scenario.
 * Manifests of earlier versions, which lack some of it, are compared in what they have.
 */
export function differingInputs(runs: readonly Comparable[]): string | null {
  const differing = new Set<string>();
  const shared = runs.flatMap((run) => [...sharedInputs(run)]);
  for (const [scope, records] of Map.groupBy(shared, ([scope]) => scope)) {
    for (const name of new Set(records.flatMap(([, record]) => Object.keys(record)))) {
      const values = [...new Set(records.map(([, record]) => record[name] ?? "default"))].sort();
      if (values.length < 2) continue;
      differing.add(scope.startsWith("files ") ? name : `${name} (${values.join(", ")})`);
    }
  }
  if (differing.size === 0) return null;
  const named = [...differing].slice(0, MAX_NAMED);
  const more = differing.size - named.length;
  return more > 0 ? `${named.join(", ")} and ${more} more` : named.join(" and ");
}
