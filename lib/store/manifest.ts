/**
 * The manifest of a run: what was asked for, what was in force, what came of it.
 *
 * @module
 */

import type { Leg, Scenario } from "../scenario.ts";

/** A CPU and memory limit; null where there is none. */
export interface Limits {
  /** Quota in cores. */
  cpus: number | null;
  /** Limit in MiB. */
  memoryMiB: number | null;
}

/** What was asked for one service, and what its own cgroup says while it runs. */
export interface ServiceLimits {
  /** The scenario's limits. */
  asked: Limits;
  /** As read from the cgroup that the service's own process is in. */
  readBack: Limits;
}

/** What was checked of the app before the load. */
export interface Verification {
  /** Whether every check held. */
  ok: boolean;
  /** The requests of the contract whose status and body were compared. */
  contractRequests: number;
  /** Whether the process on the port gave back this run's nonce. */
  nonceMatched: boolean;
  /** PgBouncer's `total_query_count` around one request; null when the path is direct. */
  pgbouncerQueries: { before: number; after: number } | null;
  /** Whether the app's connection to PostgreSQL came from PgBouncer's process. */
  throughPgbouncer: boolean;
}

/** How round-trip times are made: `relay` is a process that holds bytes back (lib/engine/network.py). */
export type NetworkMethod = "relay";

/** What the contract lets a request of one route ask of the database. */
export interface RouteWork {
  /** Statements that read or write data. */
  statements: number;
  /** Rows that they return. */
  rows: number;
}

/** What was asked of one leg, and what was seen of it before the load. */
export interface LegInForce {
  /** Milliseconds; `measured` is what the leg adds to a query, null where nothing stands between. */
  rttMs: { asked: number; measured: number | null };
  /** `inForce` is protocol and cipher as the receiving server tells them, null without encryption. */
  tls: { asked: boolean; inForce: string | null };
}

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
  /** The legs of the scenario's path. */
  legs: Partial<Record<Leg["name"], LegInForce>>;
  /** By leg, from verification to the end of the load; empty when no leg takes time. */
  deliveries: Partial<Record<Leg["name"], Deliveries>>;
}

/**
 * What the kernel counted of TCP from the window's begin to its end, where the services run: on the
 * local engine the whole machine, on Docker the containers of the run together.
 */
export interface TcpCounts {
  /** Connections that found a listen queue full. */
  listenOverflows: number;
  /** Ephemeral ports in use at the end, connections in TIME_WAIT among them, and how many there are. */
  portsInUse: number;
  ports: number;
}

/** What must not differ between runs that are compared with each other, with its name. */
const DECISIVE: Record<string, string> = {
  postgres: "PostgreSQL",
  pgbouncer: "PgBouncer",
  python: "Python",
};

/**
 * Whether runs were made with different versions of PostgreSQL, PgBouncer or Python, so that no
 * comparison between them would be one of paths or frameworks.
 *
 * @param runs The `versions` of their manifests.
 * @returns What differs, as in `PgBouncer (1.24.1, 1.25.0)`; null when nothing does.
 *
 * @example
 * ```ts
 * import { differingVersions } from "./manifest.ts";
 *
 * const [a, b] = [{ pgbouncer: "1.24.1" }, { pgbouncer: "1.25.0" }];
 * console.assert(differingVersions([a, b]) === "PgBouncer (1.24.1, 1.25.0)");
 * ```
 */
export function differingVersions(runs: readonly Record<string, string>[]): string | null {
  const differing = Object.entries(DECISIVE).flatMap(([key, title]) => {
    const found = [...new Set(runs.flatMap((versions) => versions[key] ?? []))].sort();
    return found.length > 1 ? [`${title} (${found.join(", ")})`] : [];
  });
  return differing.length === 0 ? null : differing.join(" and ");
}

/** One run, complete: written last, so that its presence means that the folder is complete. */
export interface Manifest {
  /** See `SCHEMA_VERSION`. */
  schemaVersion: number;
  /** The study's name. */
  study: string;
  /** The plan's name and hash. */
  plan: { name: string; hash: string; functionalCheck: boolean };
  /** The scenario's id. */
  scenarioId: string;
  /** The scenario's values. */
  scenario: Scenario;
  /** From 1. */
  round: number;
  /** Place in the study's order, from 1. */
  order: number;
  /** Seed of this run's load. */
  seed: number;
  /** `ok`, or `failed` with {@linkcode Manifest.cause}. */
  status: "ok" | "failed";
  /** Why the run failed, in one sentence; null when it did not. */
  cause: string | null;
  /** Times of the steps, ISO 8601 in UTC. */
  times: { started: string; loadStarted: string | null; ended: string };
  /** Seconds spent outside warm-up and window. */
  overheadS: number;
  /** Warm-up and window in seconds, as planned. */
  warmUpS: number;
  windowS: number;
  /** The measurement window in Unix time, microseconds; null when no load ran. */
  window: { startUs: number; endUs: number } | null;
  /** `local` or `docker`. */
  engine: string;
  /** Versions of everything that took part. */
  versions: Record<string, string>;
  /** The images of the services with their digests; empty for the local engine. */
  images: Record<string, string>;
  /** Commit of the checkout; null outside git. `-dirty` is appended when files had changed. */
  gitCommit: string | null;
  /** The machine. */
  host: { cpus: number; cpuModel: string; memoryMiB: number; kernel: string };
  /** For each service of the run. */
  limits: Record<string, ServiceLimits>;
  /** The warning for the reader when limits could not be set; null when all are in force. */
  limitsWarning: string | null;
  /** Null when the run failed before, or is older than the settings of the network. */
  network: NetworkInForce | null;
  /**
   * The cores that generator, app, pooler and database have for themselves, as read back; null when
   * they share the host's.
   */
  cpuSets: Record<string, string> | null;
  /** Null when the run failed before its window; missing in manifests of earlier versions. */
  tcp?: TcpCounts | null;
  /** What the scenario said to the app, by the names of its environment variables. */
  appOptions: Record<string, string>;
  /** How each service ended: exit code, or null when Poolscope stopped it. */
  exitCodes: Record<string, number | null>;
  /** Null when the run failed before. */
  verification: Verification | null;
  /** The contract's work by route, as in `requests.csv`; not there in runs of earlier versions. */
  work?: Record<string, RouteWork>;
  /** Of runs whose app told what its requests took; not there in runs of earlier versions. */
  appTimings?: true;
  /** SHA-256 of each file beside the manifest. */
  files: Record<string, string>;
}

/** Locust's closing account, `final.json`. Counts are those of the measurement window. */
export interface FinalAccount {
  /** See `SCHEMA_VERSION`. */
  schemaVersion: number;
  /**
   * Requests answered in the window, failures among them; in an open loop, those that were meant to
   * start in it and were answered.
   */
  requests: number;
  /** Failed requests among them. */
  failures: number;
  /** Requests without an answer at the window's end. */
  unfinished: number;
  /** Requests answered before the window began; in an open loop, all that were meant to start then. */
  warmUpRequests: number;
  /** Requests of an open loop that were meant to start after the window, while its last were awaited. */
  drainRequests: number;
  /** Arrivals scheduled within the window; 0 in a closed loop. */
  arrivals: number;
  /** Arrivals of the window that were sent more than 10 ms after their intended start. */
  late: number;
  /** Arrivals of the window that were never sent: too many requests were without an answer. */
  dropped: number;
  /** Unix time in microseconds. */
  loadStartUs: number;
  windowStartUs: number;
  windowEndUs: number;
  /** Users running when the window began. */
  usersAtWindowStart: number;
  /** CPU time of the generator over the window, in seconds. */
  cpuS: number;
  /** The event loop's lag over the window: largest and mean, in milliseconds. */
  loopLagMaxMs: number;
  loopLagMeanMs: number;
  /**
   * Connections opened over the window; null where the client does not tell, missing in accounts of
   * earlier versions.
   */
  connections?: number | null;
  /** The generating processes; the fields above are their sums and extremes. */
  processes: GeneratorProcess[];
}

/** One generating process. Counts and times are those of its measurement window. */
export interface GeneratorProcess {
  /** Seed of its random choices. */
  seed: number;
  /** Unix time in microseconds. */
  loadStartUs: number;
  windowStartUs: number;
  windowEndUs: number;
  /** Requests answered. */
  requests: number;
  /** CPU time in seconds. */
  cpuS: number;
  /** The event loop's largest lag in milliseconds. */
  loopLagMaxMs: number;
}
