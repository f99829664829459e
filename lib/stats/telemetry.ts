/**
 * What PostgreSQL and PgBouncer did within the measurement window.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import {
  counterAt,
  countWithin,
  findFault,
  findGap,
  maxWithin,
  meanWithin,
  type Series,
} from "./readings.ts";
import type { Window } from "./window.ts";
import type { Work } from "./work.ts";

/** What PostgreSQL did for the app within the window. */
export interface PostgresActivity {
  /** New sessions of the run's database. */
  sessions: number;
  /**
   * Transactions, committed and rolled back, without the one by which PostgreSQL begins a session.
   * Each backend reports its own once a second.
   */
  transactions: number;
  /** The largest number of the app's connections (PgBouncer's, when pooled) of any reading. */
  maxConnections: number;
  /** Means over the readings: connections that execute, and those of them that wait for a lock. */
  meanActive: number;
  meanWaitingLock: number;
}

/** What PgBouncer did within the window. */
export interface PgbouncerActivity {
  /** Transactions and queries, by `total_xact_count` and `total_query_count`. */
  transactions: number;
  queries: number;
  /** How long clients waited for a server, all together: by `total_wait_time`, and `starvedUs`. */
  waitUs: number;
  /**
   * The part of it that no counter tells, of clients that got no server: `total_wait_time` grows only
   * when a client gets one. See {@linkcode pgbouncerActivity}.
   */
  starvedUs: number;
  /** The mean numbers of the app's client connections, and of those that waited for a server. */
  meanClients: number;
  meanWaiting: number;
  /** How long servers were busy with queries, as PgBouncer sees it, by `total_query_time`. */
  queryUs: number;
  /** The largest number of the app's client connections, and of server connections. */
  maxClients: number;
  maxServers: number;
  /** The mean number of server connections that were linked to a client, over the readings. */
  meanServersActive: number;
  /**
   * Logins of clients, from the numbers that PgBouncer gives its connections as they come: exact to
   * a few. Null with a PgBouncer that does not show them (before 1.24).
   */
  logins: number | null;
}

/**
 * What requests took within the window, as the app saw it: sums over all of them, in milliseconds; of a
 * busy app estimates by a part of them.
 */
export interface AppActivity {
  /** Answered requests, of whatever status. */
  requests: number;
  /** From the app's first touch of a request to its answer; the others are within it. */
  handlerMs: number;
  /** Waiting for a connection of the app's own pool, without opening one. */
  poolWaitMs: number;
  /** Opening connections, and how many were opened. */
  connectMs: number;
  connections: number;
  /** Waiting for the database's answers. */
  databaseMs: number;
}

/** What the samplers saw of a run; a part is null where there was none, or it cannot be read. */
export interface Telemetry {
  postgres: PostgresActivity | null;
  /** Null when the path is direct. */
  pgbouncer: PgbouncerActivity | null;
  /** What the requests had PostgreSQL execute; null in runs of earlier versions. */
  work: Work | null;
  /** What its requests took, as the app saw it; null in runs of earlier versions. */
  app: AppActivity | null;
}

/** Counters that the summary is made of. */
export const POSTGRES_COUNTERS = ["sessions", "xact_commit", "xact_rollback"] as const;
export const PGBOUNCER_COUNTERS = [
  "total_xact_count",
  "total_query_count",
  "total_wait_time_us",
  "total_query_time_us",
] as const;

/**
 * PostgreSQL's part.
 *
 * @param postgres A frame of `readPostgres` without a gap.
 * @param window The measurement window.
 */
export function postgresActivity(postgres: DataFrame, window: Window): PostgresActivity {
  const sessions = countWithin(postgres, ["sessions"], window);
  const all = countWithin(postgres, ["xact_commit", "xact_rollback"], window);
  return {
    sessions,
    transactions: Math.max(0, all - sessions),
    maxConnections: maxWithin(postgres, ["backends"], window),
    meanActive: meanWithin(postgres, ["active"], window),
    meanWaitingLock: meanWithin(postgres, ["waiting_lock"], window),
  };
}

/** Readings are a second apart: a longer wait than this is seen by at least one, most likely by two. */
const STARVING_US = 2e6;

/**
 * PgBouncer's part. Where some client waited for longer than that (`maxwait`), what all of them waited
 * is the mean of `cl_waiting` times the window (Little, "A proof for the queuing formula L = λW",
 * Operations Research 9(3), 1961): `total_wait_time` has the part of those that got a server, and the
 * rest is of those that starved, or waited on when the window ended. Shorter waits end within it and
 * are counted, which is more exact than what readings happen to see.
 *
 * @param pgbouncer A frame of `readPgbouncer` without a gap.
 * @param sessions New sessions of PostgreSQL within the window, which are PgBouncer's servers; null
 * where they are not known.
 * @param window The measurement window.
 */
export function pgbouncerActivity(
  pgbouncer: DataFrame,
  sessions: number | null,
  window: Window,
): PgbouncerActivity {
  const servers = ["sv_active", "sv_idle", "sv_used", "sv_login", "sv_tested"];
  const clients = ["cl_active", "cl_waiting"];
  const countedUs = countWithin(pgbouncer, ["total_wait_time_us"], window);
  const meanWaiting = meanWithin(pgbouncer, ["cl_waiting"], window);
  const starvedUs = maxWithin(pgbouncer, ["maxwait_us"], window) < STARVING_US
    ? 0
    : Math.max(0, meanWaiting * (window.endUs - window.startUs) - countedUs);
  return {
    transactions: countWithin(pgbouncer, ["total_xact_count"], window),
    queries: countWithin(pgbouncer, ["total_query_count"], window),
    waitUs: countedUs + starvedUs,
    starvedUs,
    meanClients: meanWithin(pgbouncer, clients, window),
    meanWaiting,
    queryUs: countWithin(pgbouncer, ["total_query_time_us"], window),
    maxClients: maxWithin(pgbouncer, clients, window),
    maxServers: maxWithin(pgbouncer, servers, window),
    meanServersActive: meanWithin(pgbouncer, ["sv_active"], window),
    logins: sessions === null ? null : countLogins(pgbouncer, sessions, window),
  };
}

/** Logins within the window; each reading of the number was a login itself. */
function countLogins(pgbouncer: DataFrame, sessions: number, window: Window): number | null {
  const column = "last_client_id";
  const known = pgbouncer.filter(pgbouncer.getColumn(column).isNotNull());
  if (known.height === 0 || findFault(known, [column], window) !== null) return null;
  // Clients and servers are counted together.
  return Math.max(0, countWithin(known, [column], window) - 1 - sessions);
}

/** Counters of `app.csv`. */
const APP_COUNTERS = [
  "requests",
  "handler_us",
  "pool_wait_us",
  "connect_us",
  "connections",
  "database_us",
];

/**
 * The app's part: of each worker what its counters rose by.
 *
 * @param app A frame of `readApp`.
 * @param window The measurement window.
 * @returns The sums, or a text that says why they cannot be told.
 */
export function appActivity(app: DataFrame, window: Window): AppActivity | string {
  const numbers = (column: string) => app.getColumn(column).toArray().map(Number);
  const workers = Map.groupBy(numbers("worker").entries(), ([, worker]) => worker);
  const rows = [...workers.values()].map((entries) => entries.map(([row]) => row));
  const timesUs = numbers("time_us");
  const gap = findGap(timesUs, window);
  if (gap !== null) return gap;
  const within: Record<string, number> = {};
  for (const counter of APP_COUNTERS) {
    const all = numbers(counter);
    within[counter] = 0;
    for (const own of rows) {
      const series = { timesUs: own.map((i) => timesUs[i]!), values: own.map((i) => all[i]!) };
      if ([series.timesUs, series.values].some(falls)) return `${counter} of a worker falls`;
      within[counter] += workerCounterAt(series, window.endUs) -
        workerCounterAt(series, window.startUs);
    }
  }
  return {
    requests: Math.round(within.requests!),
    handlerMs: within.handler_us! / 1000,
    poolWaitMs: within.pool_wait_us! / 1000,
    connectMs: within.connect_us! / 1000,
    connections: Math.round(within.connections!),
    databaseMs: within.database_us! / 1000,
  };
}

function falls(values: readonly number[]): boolean {
  return values.some((value, i) => i > 0 && value < values[i - 1]!);
}

/** A worker's counter: 0 before the worker was there, and what it told last ever after. */
function workerCounterAt(series: Series, timeUs: number): number {
  if (timeUs < series.timesUs[0]!) return 0;
  return timeUs > series.timesUs.at(-1)! ? series.values.at(-1)! : counterAt(series, timeUs);
}

/** New connections for every 1,000 answered requests. */
export interface Churn {
  /** New sessions of PostgreSQL. */
  sessions: number;
  /** Logins to PgBouncer; null when the path is direct, or PgBouncer does not tell. */
  logins: number | null;
}

/**
 * How often connections were opened anew: what a claim about their reuse rests on.
 *
 * @param run A run's answered requests and what the samplers saw.
 * @returns Null where either is unknown.
 *
 * @example
 * ```ts
 * import { connectionChurn } from "./telemetry.ts";
 *
 * const counts = { sessions: 50, transactions: 900, maxConnections: 9 };
 * const postgres = { ...counts, meanActive: 2, meanWaitingLock: 0 };
 * const churn = connectionChurn({
 *   requests: 1000,
 *   telemetry: { postgres, pgbouncer: null, work: null, app: null },
 * });
 * console.assert(churn?.sessions === 50 && churn.logins === null);
 * ```
 */
export function connectionChurn(
  { requests, telemetry }: { requests: number; telemetry: Telemetry | null },
): Churn | null {
  if (requests === 0 || telemetry === null || telemetry.postgres === null) return null;
  const per = (count: number) => 1000 * count / requests;
  const logins = telemetry.pgbouncer?.logins ?? null;
  return {
    sessions: per(telemetry.postgres.sessions),
    logins: logins === null ? null : per(logins),
  };
}
