/** What PostgreSQL, PgBouncer and the app did within the measurement window. */

import type { DataFrame } from "nodejs-polars";
import { APP_COLUMNS } from "../store/layout.ts";
import { counterAt, findFall, findFault, findGap, numbersOf, readingsWithin } from "./readings.ts";
import type { Window } from "./window.ts";
import type { Work } from "./work.ts";
import type { RunSummary } from "./summary.ts";

/** What the samplers saw of a run; a part is null where there was none, or it cannot be read. */
export interface Telemetry {
  postgres: PostgresActivity | null;
  /** Null when the path is direct. */
  pgbouncer: PgbouncerActivity | null;
  /** What the requests had PostgreSQL execute; null in runs of earlier versions. */
  work: Work | null;
  /** What the requests took, as the app saw it; null in runs of earlier versions. */
  app: AppActivity | null;
}

export const POSTGRES_COUNTERS = ["sessions", "xact_commit", "xact_rollback"] as const;
export const PGBOUNCER_COUNTERS = [
  "total_xact_count",
  "total_query_count",
  "total_wait_time_us",
  "total_query_time_us",
  "total_xact_time_us",
] as const;

export type PostgresActivity = ReturnType<typeof postgresActivity>;

/** PostgreSQL's part, of a frame of `readPostgres` without a fault. */
export function postgresActivity(postgres: DataFrame, window: Window) {
  const { count, max, mean } = readingsWithin(postgres, window);
  const sessions = count("sessions");
  return {
    sessions,
    /** Transactions, without the one by which PostgreSQL begins a session. */
    transactions: Math.max(0, count("xact_commit", "xact_rollback") - sessions),
    /** The largest number of the app's connections (PgBouncer's, when pooled) of any reading. */
    maxConnections: max("backends"),
    /** Means over the readings: connections that execute, and those of them that wait for a lock. */
    meanActive: mean("active"),
    meanWaitingLock: mean("waiting_lock"),
    /** Those whose transaction waits for the app. */
    meanIdleInTransaction: mean("idle_in_transaction"),
  };
}

/** Readings are a second apart: a longer wait than this is seen by at least one, most likely by two. */
const STARVING_US = 2e6;

export type PgbouncerActivity = ReturnType<typeof pgbouncerActivity>;

/**
 * PgBouncer's part, of a frame of `readPgbouncer` without a fault. Where some client waited for longer
 * than that (`maxwait`), what all of them waited is the mean of `cl_waiting` times the window (Little,
 * Operations Research 9(3), 1961): `total_wait_time` has the part of those that got a server, and the
 * rest is of those that starved. Shorter waits end within the window and are counted exactly.
 *
 * @param sessions New sessions of PostgreSQL within the window, which are PgBouncer's servers, if known.
 */
export function pgbouncerActivity(pgbouncer: DataFrame, sessions: number | null, window: Window) {
  const { count, max, mean } = readingsWithin(pgbouncer, window);
  const countedUs = count("total_wait_time_us");
  const meanWaiting = mean("cl_waiting");
  const starvedUs = max("maxwait_us") < STARVING_US
    ? 0
    : Math.max(0, meanWaiting * (window.endUs - window.startUs) - countedUs);
  return {
    /** Transactions and queries, by `total_xact_count` and `total_query_count`. */
    transactions: count("total_xact_count"),
    queries: count("total_query_count"),
    /** How long clients waited for a server, all together: by `total_wait_time`, and `starvedUs`. */
    waitUs: countedUs + starvedUs,
    /** The part of clients that got no server: `total_wait_time` grows only when a client gets one. */
    starvedUs,
    /** The mean numbers of the app's client connections, and of those that waited for a server. */
    meanClients: mean("cl_active", "cl_waiting"),
    meanWaiting,
    /**
     * How long servers were busy with queries, and linked to transactions: by `total_query_time` and
     * `total_xact_time`, which begin when a client asks, so that what it waited for a server is taken off.
     */
    queryUs: Math.max(0, count("total_query_time_us") - countedUs),
    transactionUs: Math.max(0, count("total_xact_time_us") - countedUs),
    /** The largest number of the app's client connections, and of server connections. */
    maxClients: max("cl_active", "cl_waiting"),
    maxServers: max("sv_active", "sv_idle", "sv_used", "sv_login", "sv_tested"),
    /** The most server connections of any reading that were linked to a client, and their mean. */
    maxServersActive: max("sv_active"),
    meanServersActive: mean("sv_active"),
    /** Logins of clients, exact to a few; null with a PgBouncer that does not number them (before 1.24). */
    logins: sessions === null ? null : countLogins(pgbouncer, sessions, window),
  };
}

/** Logins within the window; each reading of the number was a login itself. */
function countLogins(pgbouncer: DataFrame, sessions: number, window: Window): number | null {
  const column = "last_client_id";
  const known = pgbouncer.filter(pgbouncer.getColumn(column).isNotNull());
  if (known.height === 0 || findFault(known, [column], window) !== null) return null;
  // Clients and servers are counted together.
  return Math.max(0, readingsWithin(known, window).count(column) - 1 - sessions);
}

export type AppActivity = Exclude<ReturnType<typeof appActivity>, string>;

/**
 * The app's part, of a frame of `readAppTimes`: of each worker what its counters rose by; of a busy app
 * estimates by a part of its requests.
 *
 * @returns The sums, or a text that says why they cannot be told.
 */
export function appActivity(app: DataFrame, window: Window) {
  const timesUs = numbersOf(app, "time_us");
  const gap = findGap(timesUs, window);
  if (gap !== null) return gap;
  const workers = Map.groupBy(numbersOf(app, "worker").entries(), ([, worker]) => worker);
  const sums: Record<string, number> = {};
  for (const counter of APP_COLUMNS.slice(2)) {
    const all = numbersOf(app, counter);
    sums[counter] = 0;
    for (const own of workers.values()) {
      const times = own.map(([row]) => timesUs[row]!);
      const values = own.map(([row]) => all[row]!);
      if ([times, values].some((series) => findFall(series) > 0)) {
        return `${counter} of a worker falls`;
      }
      // 0 before the worker was there.
      const at = (timeUs: number) =>
        timeUs < times[0]! ? 0 : counterAt({ timesUs: times, values }, timeUs);
      sums[counter] += at(window.endUs) - at(window.startUs);
    }
  }
  return {
    /** Answered requests, of whatever status. */
    requests: Math.round(sums.requests!),
    /** From the app's first touch of a request to its answer; the others are within it. */
    handlerMs: sums.handler_us! / 1000,
    /** Waiting for a connection of the app's own pool, without opening one. */
    poolWaitMs: sums.pool_wait_us! / 1000,
    /** Opening connections, and how many were opened. */
    connectMs: sums.connect_us! / 1000,
    connections: Math.round(sums.connections!),
    /** Waiting for the database's answers. */
    databaseMs: sums.database_us! / 1000,
  };
}

/**
 * How long a request had a connection to the database, and how long of this its transaction waited for
 * the app, in milliseconds: by PgBouncer's clock (`total_xact_time` less `total_query_time`), and on the
 * direct path by how many of PostgreSQL's connections were seen so (Little, Operations Research 9(3),
 * 1961). Null where that was not recorded.
 */
export function heldTransactions(
  { telemetry, rps, requests }: { telemetry: Telemetry | null; rps: number; requests: number },
): { occupiedMs: number; heldMs: number } | null {
  const { postgres = null, pgbouncer = null } = telemetry ?? {};
  if (requests === 0) return null;
  if (pgbouncer !== null) {
    const { transactionUs, queryUs } = pgbouncer;
    const per = (us: number) => Math.max(0, us) / 1000 / requests;
    return { occupiedMs: per(transactionUs), heldMs: per(transactionUs - queryUs) };
  }
  if (postgres === null || rps === 0) return null;
  const { meanActive, meanIdleInTransaction } = postgres;
  const per = (connections: number) => 1000 * connections / rps;
  return {
    occupiedMs: per(meanActive + meanIdleInTransaction),
    heldMs: per(meanIdleInTransaction),
  };
}

/** Less of a transaction's time than this is what an app and its driver need between statements. */
const HELD_SHARE = 0.5;
const HELD_MS = 5;

/** How far a request's transaction is beyond what an app needs between its statements: 1 at the limit. */
export function heldScore(held: ReturnType<typeof heldTransactions>): number {
  if (held === null || held.occupiedMs === 0) return 0;
  return Math.min(held.heldMs / held.occupiedMs / HELD_SHARE, held.heldMs / HELD_MS);
}

/** Seconds of a service's CPU time for each answer of a run; null where that is not known. */
export function cpuPerAnswer(
  { conditions, rps, failuresPerS }: Pick<RunSummary, "conditions" | "rps" | "failuresPerS">,
  service: string,
): number | null {
  const own = conditions.services.find((one) => one.service === service);
  const answers = rps + failuresPerS;
  return own === undefined || answers === 0 ? null : own.cores / answers;
}

/** How often connections were opened anew, for every 1,000 answered requests; null where unknown. */
export function connectionChurn(
  { requests, telemetry }: { requests: number; telemetry: Telemetry | null },
) {
  if (requests === 0 || telemetry === null || telemetry.postgres === null) return null;
  const per = (count: number) => 1000 * count / requests;
  const logins = telemetry.pgbouncer?.logins ?? null;
  return {
    sessions: per(telemetry.postgres.sessions),
    /** Logins to PgBouncer; null when the path is direct, or PgBouncer does not tell. */
    logins: logins === null ? null : per(logins),
  };
}
