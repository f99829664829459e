/** What PostgreSQL tells of a run's database, by one question on one connection. */

import type postgres from "postgres";
import { type Access, connect } from "../services/database.ts";
import type { Row } from "./rows.ts";
import { nowUs } from "./sample_loop.ts";

/**
 * Opens a sampler's connection: to the maintenance database, so that the sampler is no session and
 * no transaction of the run's, and as administrator, so that slots stay reserved for it.
 */
export function openServer(access: Access): postgres.Sql {
  return connect({ ...access, database: "postgres" }, { max_lifetime: null });
}

/**
 * Of the run's database, backends of the app alone: those by the functions that the views are made
 * of, which spares their joins. The time is the server's own, as that of the requests is, for the
 * load runs on its machine.
 */
const QUERY = `
  with backend as materialized (
    select state, case when state = 'active' then wait_event_type end as kind, wait_event
    from pg_stat_get_activity(null)
    where datid = $1::oid and usesysid = $2::oid
  )
  select
    (extract(epoch from clock_timestamp()) * 1000000)::bigint as time_us,
    a.*,
    (
      select string_agg(event, ' ' order by event) from (
        select kind || ':' || wait_event || '=' || count(*) as event
        from backend where kind is not null group by kind, wait_event
      ) waiting
    ) as wait_events,
    pg_stat_get_db_sessions($1) as sessions,
    pg_stat_get_db_xact_commit($1) as xact_commit,
    pg_stat_get_db_xact_rollback($1) as xact_rollback,
    pg_stat_get_db_tuples_returned($1) as tup_returned,
    pg_stat_get_db_tuples_fetched($1) as tup_fetched,
    pg_stat_get_db_tuples_inserted($1) as tup_inserted
  from (
    select
      count(*) as backends,
      count(*) filter (where state = 'active') as active,
      count(*) filter (where state = 'idle') as idle,
      count(*) filter (where state like 'idle in transaction%') as idle_in_transaction,
      count(*) filter (where kind = 'Lock') as waiting_lock,
      count(*) filter (where kind = 'LWLock') as waiting_lwlock,
      count(*) filter (where kind = 'IO') as waiting_io,
      count(*) filter (where kind not in ('Lock', 'LWLock', 'IO')) as waiting_other
    from backend
  ) a`;

/** Statements of one role in one database; one reading has one time. */
const STATEMENTS = `
  select
    (extract(epoch from statement_timestamp()) * 1000000)::bigint as time_us,
    queryid::text as query_id,
    sum(calls)::bigint as calls,
    sum(rows)::bigint as rows,
    sum(total_exec_time) as exec_ms,
    min(left(regexp_replace(query, '\\s+', ' ', 'g'), 4000)) as query
  from pg_stat_statements(true)
  where dbid = $1 and userid = $2
  group by queryid
  order by queryid`;

/** Reads what one database and one role's backends in it have done so far. */
export type PostgresReader = Awaited<ReturnType<typeof openReader>>;

/**
 * Looks up database and role, which do not change while a run lasts.
 *
 * @param sql A connection of {@linkcode openServer}.
 * @throws {Error} If the server does not answer, or has no such database or role.
 */
export async function openReader(sql: postgres.Sql, database: string, role: string) {
  const [found] = await sql`
      select d.oid::text as database, r.oid::text as role
      from pg_database d, pg_roles r where d.datname = ${database} and r.rolname = ${role}`;
  if (found === undefined) throw new Error(`there is no database ${database} of ${role}`);
  const ids = [found.database, found.role];
  const ask = async (query: string): Promise<Row[]> =>
    await sql.unsafe<Row[]>(query, ids, { prepare: true });
  return {
    /** Takes one reading; the statement is prepared by the first. */
    read: async () => (await ask(QUERY))[0]!,
    /** Reads what has been executed so far, a row for each statement. */
    readStatements: () => ask(STATEMENTS),
  };
}

/**
 * How far the server's clock is ahead of ours, in microseconds: 0 where the difference is too
 * small to be told from the time of an answer.
 */
export async function clockOffsetUs(reader: PostgresReader): Promise<number> {
  let best = { tripUs: Infinity, offsetUs: 0 };
  for (let i = 0; i < 5; i++) {
    const sent = nowUs();
    const { time_us } = await reader.read();
    const tripUs = nowUs() - sent;
    if (tripUs < best.tripUs) best = { tripUs, offsetUs: Number(time_us) - sent - tripUs / 2 };
  }
  return Math.abs(best.offsetUs) <= best.tripUs ? 0 : Math.round(best.offsetUs);
}
