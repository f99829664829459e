/**
 * The manifest of a run: what was asked for, what was in force, what came of it.
 *
 * @module
 */

import type { Leg, Scenario } from "../scenario.ts";
import { ANY_VERSION } from "../settings.ts";

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
  /**
   * Whether the process on the port gave back this run's nonce; null of an app that has none, whose
   * listener was seen to be a process, or in a container, that was started for the run.
   */
  nonceMatched: boolean | null;
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

/** What a run was made of, beside its scenario. */
export interface RunInputs {
  /** SHA-256 by path in the checkout, grouped by the part of a run that the files make up. */
  files: Record<string, Record<string, string>>;
  /**
   * Settings in force that are not at their defaults, as `postgres` and `pgbouncer` tell them
   * themselves, without those that differ with each start; null when the run failed before.
   */
  settings: Record<string, Record<string, string>> | null;
}

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

/**
 * Which version of a program a scenario asks for.
 *
 * @param program A name in `versions`, such as `pgbouncer`.
 */
export function askedVersion(scenario: Scenario | undefined, program: string): string {
  // Manifests of earlier versions have no such settings.
  if (program === "postgres") return scenario?.postgresVersion ?? ANY_VERSION;
  const runs = program === "pgbouncer" && scenario?.path === "pooled";
  return runs ? scenario.pgbouncerVersion ?? ANY_VERSION : ANY_VERSION;
}

/** What runs share, with the values of each: files by hash, settings and versions as they are. */
function sharedInputs(runs: readonly Comparable[]): Map<string, Record<string, string>[]> {
  const shared = new Map<string, Record<string, string>[]>();
  const add = (scope: string, values: Record<string, string>) =>
    shared.set(scope, [...(shared.get(scope) ?? []), values]);
  for (const { engine, versions = {}, scenarioId, scenario, inputs } of runs) {
    if (engine !== undefined) add("engine", { engine });
    for (const [key, title] of Object.entries(TITLES)) {
      const scope = `${key} ${askedVersion(scenario, key)}`;
      if (versions[key] !== undefined) add(scope, { [title]: versions[key] });
    }
    for (const [part, files] of Object.entries(inputs?.files ?? {})) add(`files ${part}`, files);
    for (const [service, settings] of Object.entries(inputs?.settings ?? {})) {
      const named = Object.entries(settings)
        .map(([name, value]) => [`${TITLES[service] ?? service}'s ${name}`, value]);
      add(`${service} of ${scenarioId}`, Object.fromEntries(named));
    }
  }
  return shared;
}

/**
 * What differs between runs of one study that may not: engine, Python, versions of PostgreSQL and
 * PgBouncer that no scenario asks for, files, and settings in force of the same scenario. No comparison between such runs would be
 * one of paths or frameworks. Manifests of earlier versions, which lack some of it, are compared in
 * what they have.
 *
 * @param runs Manifests, or parts of them.
 * @returns What differs, as in `PgBouncer (1.24.1, 1.25.0)`; null when nothing does.
 *
 * @example
 * ```ts
 * import { differingInputs } from "./manifest.ts";
 *
 * const [a, b] = [{ pgbouncer: "1.24.1" }, { pgbouncer: "1.25.0" }];
 * console.assert(
 *   differingInputs([{ versions: a }, { versions: b }]) === "PgBouncer (1.24.1, 1.25.0)",
 * );
 * ```
 */
export function differingInputs(runs: readonly Comparable[]): string | null {
  const differing = new Set<string>();
  for (const [scope, records] of sharedInputs(runs)) {
    for (const name of new Set(records.flatMap((record) => Object.keys(record)))) {
      const values = [...new Set(records.map((record) => record[name] ?? "default"))].sort();
      if (values.length < 2) continue;
      differing.add(scope.startsWith("files ") ? name : `${name} (${values.join(", ")})`);
    }
  }
  if (differing.size === 0) return null;
  const named = [...differing].slice(0, MAX_NAMED);
  const more = differing.size - named.length;
  return more > 0 ? `${named.join(", ")} and ${more} more` : named.join(" and ");
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
  /** What else it was made of; not there in runs of earlier versions. */
  inputs?: RunInputs;
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
  /**
   * Poolscope's own connections, by which `max_client_conn`, `max_connections` and
   * `superuser_reserved_connections` were raised; not there in runs of earlier versions.
   */
  ownConnections?: { postgres: number; pgbouncer: number };
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
  /** Of runs whose app told what its requests took; not there in others, nor in earlier versions. */
  appTimings?: true;
  /** Of runs whose requests are those of the app's own locustfile. */
  ownLocustfile?: true;
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
