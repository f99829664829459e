/**
 * Time series of a run, one row per second and service, written while the load runs. The
 * connections are opened before the load, so that a database that refuses clients is still seen.
 *
 * @module
 */

import { join } from "node:path";
import postgres from "postgres";
import type { Access, RunServices } from "../engine/engine.ts";
import { PoolscopeError } from "../errors.ts";
import { PGBOUNCER_COLUMNS, POSTGRES_COLUMNS, RESOURCE_COLUMNS } from "../store/layout.ts";

const POSTGRES_QUERY = `
  select
    a.backends, a.active, a.idle, a.idle_in_transaction, a.waiting_lock,
    d.sessions, d.xact_commit, d.xact_rollback, d.tup_returned, d.tup_fetched, d.tup_inserted
  from pg_stat_database d, (
    select
      count(*) backends,
      count(*) filter (where state = 'active') active,
      count(*) filter (where state = 'idle') idle,
      count(*) filter (where state like 'idle in transaction%') idle_in_transaction,
      count(*) filter (where wait_event_type = 'Lock') waiting_lock
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
  ) a
  where d.datname = current_database()`;

/** How long the last sample may take, after which the connections are closed all the same. */
const LAST_SAMPLE_MS = 3000;

type Row = Record<string, string | number | bigint | null>;

/** A connection that speaks PgBouncer's console: simple queries only, nothing looked up. */
function openConsole(access: Access): postgres.Sql {
  return postgres({ ...access, max: 1, prepare: false, fetch_types: false, onnotice: () => {} });
}

function sum(rows: Iterable<Row>, key: string): number {
  let total = 0;
  for (const row of rows) total += Number(row[key] ?? 0);
  return total;
}

/** PgBouncer's pools and counters of one database. */
export async function readPgbouncer(sql: postgres.Sql, database: string): Promise<Row> {
  const ofDatabase = (rows: Row[]) => rows.filter((row) => row.database === database);
  const pools = ofDatabase([...await sql.unsafe("show pools").simple()] as unknown as Row[]);
  const stats = ofDatabase([...await sql.unsafe("show stats").simple()] as unknown as Row[]);
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
  };
}

/** Samples until it is disposed. */
export class Sampler implements AsyncDisposable {
  #services: RunServices;
  #folder: string;
  #database: postgres.Sql;
  #console: postgres.Sql | null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #pending: Promise<void> = Promise.resolve();
  /** Why sampling has ended before its time; told when the sampler is disposed. */
  #failure: unknown = null;

  private constructor(services: RunServices, folder: string) {
    this.#services = services;
    this.#folder = folder;
    this.#database = postgres({ ...services.postgres, max: 1, onnotice: () => {} });
    this.#console = services.pgbouncer && openConsole(services.pgbouncer);
  }

  /**
   * Connects, writes the headers and begins to sample.
   *
   * @param services The run's services.
   * @param folder The run's folder.
   * @param intervalMs Time between two samples. @default 1000
   */
  static async start(services: RunServices, folder: string, intervalMs = 1000): Promise<Sampler> {
    const sampler = new Sampler(services, folder);
    try {
      sampler.#write("resources.csv", RESOURCE_COLUMNS.join(","), true);
      sampler.#write("postgres.csv", POSTGRES_COLUMNS.join(","), true);
      sampler.#write("pgbouncer.csv", PGBOUNCER_COLUMNS.join(","), true);
      await sampler.#database`select 1`;
      await sampler.#sample();
    } catch (error) {
      await sampler.#disconnect();
      throw new PoolscopeError(`Cannot begin to sample: ${(error as Error).message}`);
    }
    sampler.#timer = setInterval(() => {
      // One at a time: a slow database must not pile up samples.
      sampler.#pending = sampler.#pending.then(() => sampler.#sample()).catch((error) => {
        clearInterval(sampler.#timer);
        sampler.#failure ??= error;
      });
    }, intervalMs);
    return sampler;
  }

  #write(file: string, line: string, header = false): void {
    Deno.writeTextFileSync(join(this.#folder, file), line + "\n", { append: !header });
  }

  async #sample(): Promise<void> {
    const timeUs = Math.round((performance.timeOrigin + performance.now()) * 1000);
    const row = (columns: readonly string[], values: Row) =>
      columns.map((column) => column === "time_us" ? timeUs : values[column] ?? "").join(",");
    for (const usage of await this.#services.usage()) {
      this.#write(
        "resources.csv",
        row(RESOURCE_COLUMNS, {
          service: usage.service,
          cpu_s: usage.cpuS.toFixed(6),
          throttled_s: usage.throttledS.toFixed(6),
          memory_mib: usage.memoryMiB.toFixed(2),
          processes: usage.processes,
        }),
      );
    }
    // A dead server is the run's finding, not the sampler's: the row is missing, the run goes on.
    await Promise.all([
      this.#database.unsafe(POSTGRES_QUERY).then((rows) =>
        this.#write("postgres.csv", row(POSTGRES_COLUMNS, rows[0] as Row))
      ).catch(() => {}),
      this.#console &&
      readPgbouncer(this.#console, this.#services.postgres.database).then((values) =>
        this.#write("pgbouncer.csv", row(PGBOUNCER_COLUMNS, values))
      ).catch(() => {}),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    const last = this.#pending.then(() => this.#failure === null ? this.#sample() : undefined)
      .catch((error) => {
        this.#failure ??= error;
      });
    // A server that hangs answers when its connections are closed, by an error.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, LAST_SAMPLE_MS));
    await Promise.race([last, late]);
    clearTimeout(timer);
    await this.#disconnect();
    if (this.#failure !== null) {
      throw new PoolscopeError(`Cannot sample: ${(this.#failure as Error).message}`);
    }
  }

  async #disconnect(): Promise<void> {
    await Promise.all([
      this.#database.end({ timeout: 1 }),
      this.#console?.end({ timeout: 1 }),
    ]);
  }
}
