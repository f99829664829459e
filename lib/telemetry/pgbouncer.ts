/** What PgBouncer's console tells of a run's database. */

import type postgres from "postgres";
import { type Access, connect, withConnection } from "../services/database.ts";
import { PGBOUNCER_COLUMNS } from "../store/layout.ts";
import type { Row } from "./rows.ts";

/** The console's part of the protocol: simple queries, and no prepared statements. */
const CONSOLE = { prepare: false, max_lifetime: null };

/** Opens a connection that speaks the console's part of the protocol. */
export function openConsole(access: Access): postgres.Sql {
  return connect(access, CONSOLE);
}

/** As {@linkcode withConnection}, of PgBouncer's console. */
export function withConsole<T>(
  access: Access,
  use: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  return withConnection(access, use, CONSOLE);
}

async function show(sql: postgres.Sql, what: string): Promise<Row[]> {
  return [...await sql.unsafe<Row[]>(`show ${what}`).simple()];
}

function sum(rows: readonly Row[], key: string): number {
  let total = 0;
  for (const row of rows) total += Number(row[key] ?? 0);
  return total;
}

/** Columns of `SHOW POOLS`, `SHOW STATS` (with its own names, without a unit) and `SHOW LISTS`. */
const POOLS = PGBOUNCER_COLUMNS.filter((name) => /^(cl|sv)_/.test(name));
const STATS = PGBOUNCER_COLUMNS.filter((name) => name.startsWith("total_"))
  .map((name) => [name, name.replace(/_us$/, "")] as const);
const LISTS = PGBOUNCER_COLUMNS.filter((name) => /^(used|login)_/.test(name));

/**
 * Reads PgBouncer's pools, counters and lists: three questions, sent at once.
 *
 * @param sql A connection of {@linkcode openConsole}.
 */
export async function samplePgbouncer(sql: postgres.Sql, database: string): Promise<Row> {
  const [allPools = [], allStats = [], lists = []] = await Promise.all(
    ["pools", "stats", "lists"].map((what) => show(sql, what)),
  );
  const pools = allPools.filter((row) => row.database === database);
  const stats = allStats.filter((row) => row.database === database);
  const row: Row = { maxwait_us: sum(pools, "maxwait") * 1e6 + sum(pools, "maxwait_us") };
  for (const name of POOLS) row[name] = sum(pools, name);
  for (const [column, name] of STATS) row[column] = sum(stats, name);
  for (const name of LISTS) row[name] = Number(lists.find(({ list }) => list === name)?.items ?? 0);
  return row;
}

/**
 * The number of the newest client, by logging in to the console: PgBouncer counts its connections as
 * they come, and tells the numbers of those that are there; null before 1.24. Costs it a login, so that
 * it is not for every reading.
 */
export async function readLastClient(access: Access): Promise<number | null> {
  const clients = await withConsole(access, (sql) => show(sql, "clients"));
  const ids = clients.map(({ id }) => Number(id)).filter(Number.isSafeInteger);
  return ids.length === 0 ? null : Math.max(...ids);
}

/** What PgBouncer knows of its way to PostgreSQL. */
export type PoolerState = NonNullable<Awaited<ReturnType<typeof readPoolerState>>>;

/** Asks PgBouncer's console for its way to PostgreSQL; null when it does not answer. */
export async function readPoolerState(access: Access, database: string) {
  try {
    const [pools, databases] = await withConsole(
      access,
      async (sql) => [await samplePgbouncer(sql, database), await show(sql, "databases")] as const,
    );
    const own = databases.find(({ name }) => name === database);
    const servers = ["sv_active", "sv_idle", "sv_used", "sv_tested", "total_xact_count"];
    return {
      /** Whether it has had a server connection for the run's database. */
      connected: servers.some((column) => Number(pools[column]) > 0),
      /** Clients that wait for one. */
      waiting: Number(pools.cl_waiting),
      /** Where `[databases]` sends it, as in `127.0.0.1:5432`; null where it has no such database. */
      target: own === undefined ? null : `${own.host}:${own.port}`,
    };
  } catch {
    return null; // It has ended, or never came up: its log and exit tell of that.
  }
}
