/**
 * What PgBouncer's console tells of a run's database.
 *
 * @module
 */

import type postgres from "postgres";
import { connect } from "../engine/database.ts";
import type { Access } from "../engine/engine.ts";
import type { Row } from "./postgres.ts";

/** Opens a connection that speaks the console's part of the protocol: simple queries only. */
export function openConsole(access: Access): postgres.Sql {
  // The console knows no prepared statements.
  return connect(access, { prepare: false, max_lifetime: null });
}

function sum(rows: Iterable<Row>, key: string): number {
  let total = 0;
  for (const row of rows) total += Number(row[key] ?? 0);
  return total;
}

/**
 * Reads PgBouncer's pools, counters and lists: three questions, sent at once.
 *
 * @param sql A connection of {@linkcode openConsole}.
 * @param database The run's database, as PgBouncer calls it.
 */
export async function samplePgbouncer(sql: postgres.Sql, database: string): Promise<Row> {
  const ask = async (what: string) =>
    [...await sql.unsafe(`show ${what}`).simple()] as unknown as Row[];
  const [allPools = [], allStats = [], lists = []] = await Promise.all(
    ["pools", "stats", "lists"].map(ask),
  );
  const ofDatabase = (row: Row) => row.database === database;
  const pools = allPools.filter(ofDatabase);
  const stats = allStats.filter(ofDatabase);
  const list = (name: string) => Number(lists.find((row) => row.list === name)?.items ?? 0);
  return {
    cl_active: sum(pools, "cl_active"),
    cl_waiting: sum(pools, "cl_waiting"),
    sv_active: sum(pools, "sv_active"),
    sv_idle: sum(pools, "sv_idle"),
    sv_used: sum(pools, "sv_used"),
    sv_login: sum(pools, "sv_login"),
    maxwait_us: sum(pools, "maxwait") * 1e6 + sum(pools, "maxwait_us"),
    total_xact_count: sum(stats, "total_xact_count"),
    total_query_count: sum(stats, "total_query_count"),
    total_wait_time_us: sum(stats, "total_wait_time"),
    total_query_time_us: sum(stats, "total_query_time"),
    sv_tested: sum(pools, "sv_tested"),
    total_xact_time_us: sum(stats, "total_xact_time"),
    total_server_assignment_count: sum(stats, "total_server_assignment_count"),
    used_clients: list("used_clients"),
    login_clients: list("login_clients"),
    used_servers: list("used_servers"),
  };
}

/**
 * The number of the newest client, by logging in: PgBouncer counts its connections as they come, and
 * tells the numbers of those that are there. Costs it a login, so that it is not for every reading.
 *
 * @param access The console.
 * @returns The number; null with a PgBouncer that does not tell (before 1.24).
 */
export async function readLastClient(access: Access): Promise<number | null> {
  const sql = openConsole(access);
  try {
    const clients = [...await sql.unsafe("show clients").simple()] as unknown as Row[];
    const ids = clients.map(({ id }) => Number(id)).filter(Number.isSafeInteger);
    return ids.length === 0 ? null : Math.max(...ids);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** What PgBouncer knows of its way to PostgreSQL. */
export interface PoolerState {
  /** Whether it has had a server connection for the run's database. */
  connected: boolean;
  /** Clients that wait for one. */
  waiting: number;
  /** Where `[databases]` sends it, as in `127.0.0.1:5432`; null where it has no such database. */
  target: string | null;
}

/**
 * Asks PgBouncer for its way to PostgreSQL.
 *
 * @param access The console.
 * @param database The run's database, as PgBouncer calls it.
 * @returns What it tells; null when it does not answer.
 */
export async function readPoolerState(
  access: Access,
  database: string,
): Promise<PoolerState | null> {
  const sql = openConsole(access);
  try {
    const pools = await samplePgbouncer(sql, database);
    const databases = [...await sql.unsafe("show databases").simple()] as unknown as Row[];
    const own = databases.find(({ name }) => name === database);
    const servers = ["sv_active", "sv_idle", "sv_used", "sv_tested", "total_xact_count"];
    return {
      connected: servers.some((column) => Number(pools[column]) > 0),
      waiting: Number(pools.cl_waiting),
      target: own === undefined ? null : `${own.host}:${own.port}`,
    };
  } catch {
    return null; // It has ended, or never came up: its log and exit tell of that.
  } finally {
    await sql.end({ timeout: 1 });
  }
}
