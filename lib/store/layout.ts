/** Where things lie: folders, files and the files' columns. Nothing is read or written here. */

import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";

export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");

/** Everything that is installed or kept between starts; ignored by git. */
export const TOOLS: string = join(ROOT, ".poolscope");

export function runsFolder(root: string = ROOT): string {
  return join(root, "data", "runs");
}

/** The folder of one study, whose name must be a plain folder name. */
export function studyFolder(study: string, root: string = ROOT): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(study)) {
    throw new UsageError(
      `Cannot use study "${study}": a study's name is made of letters, digits, dots, dashes and underscores`,
    );
  }
  return join(runsFolder(root), study);
}

/** Folders within a study's, each of a study that follows it, with a plan of its own. */
const FOLLOW_UPS = { openLoop: "open-loop", confirmation: "confirmation" };

export function openLoopFolder(study: string): string {
  return join(study, FOLLOW_UPS.openLoop);
}

/** The folder of the study that puts a study's verdicts to the test, within the study's. */
export function confirmationFolder(study: string): string {
  return join(study, FOLLOW_UPS.confirmation);
}

/** A study's name by its folder; one that follows another is named after that. */
export function studyName(folder: string): string {
  const name = basename(folder);
  return Object.values(FOLLOW_UPS).includes(name) ? join(basename(dirname(folder)), name) : name;
}

export function runFolder(study: string, scenarioId: string, round: number): string {
  return join(study, scenarioId, `round-${round}`);
}

/** The version of the files below; a reader refuses any other. */
export const SCHEMA_VERSION = 1;

/** The files of one run, beside `manifest.json` and `logs/`. */
export const RUN_FILES = [
  "locust_stats.csv",
  "locust_stats_history.csv",
  "locust_failures.csv",
  "locust_exceptions.csv",
  "requests.csv",
  "final.json",
  "resources.csv",
  "postgres.csv",
  "pgbouncer.csv",
  "statements.csv",
  "app.csv",
  "slices.csv",
] as const;

/** Files that not all runs have, with the field of the manifest that comes with them. */
export const LATER_FILES: Partial<
  Record<typeof RUN_FILES[number], "work" | "appTimings" | "slices">
> = {
  "statements.csv": "work",
  "app.csv": "appTimings",
  "slices.csv": "slices",
};

export type ValueKind = "integer" | "number" | "text";

/** The columns of a file in order, each with its values; with `?` a value may be missing. */
export type ColumnKinds = Record<string, ValueKind | `${ValueKind}?`>;

/** The columns of a run's CSV files. */
export const RUN_COLUMNS = {
  /**
   * Columns of `requests.csv`, one row per request in order of completion. Times are microseconds;
   * starts are Unix time. `intended_start_us` and `response_us` are empty in a closed loop, where a
   * request has no intended start. `error` is empty for a correct answer, `unfinished` for a request
   * that had no answer when the window (in an open loop: its drain) ended: its `service_us` is how long
   * it had waited by then, and its status is 0. An open loop's `dropped` request was never sent: its
   * `service_us` is 0, and `response_us` is how long it had waited by the window's end. Any other
   * `error` says what went wrong.
   */
  "requests.csv": {
    intended_start_us: "integer?",
    start_us: "integer",
    service_us: "integer",
    response_us: "integer?",
    route: "text",
    status: "integer",
    error: "text?",
    bytes: "integer",
  },
  /**
   * Columns of `resources.csv`: a row per service and second. `cpu_s` and `throttled_s` are
   * cumulative; `service` is `postgres`, `pgbouncer`, `app`, `network`, `locust` or `host`. For the host,
   * `cpu_s` is the busy time of all cores, `throttled_s` the time stolen by the hypervisor.
   * `context_switches`, cumulative too, is of all its threads but those that came and went between two
   * readings; it is empty for the host.
   */
  "resources.csv": {
    time_us: "integer",
    service: "text",
    cpu_s: "number?",
    throttled_s: "number?",
    memory_mib: "number?",
    processes: "integer?",
    context_switches: "integer?",
  },
  /**
   * Columns of `postgres.csv`: a row per second, of the run's database. Connections are the app's (or
   * PgBouncer's for it) by state; `waiting_*` are those of the active ones that wait, by the type of
   * their wait event, and `wait_events` names the events, as in `Lock:transactionid=3 LWLock:WALWrite=1`.
   * From `sessions` on counters are cumulative.
   */
  "postgres.csv": {
    time_us: "integer",
    backends: "integer",
    active: "integer",
    idle: "integer",
    idle_in_transaction: "integer",
    waiting_lock: "integer",
    sessions: "integer",
    xact_commit: "integer",
    xact_rollback: "integer",
    tup_returned: "integer",
    tup_fetched: "integer",
    tup_inserted: "integer",
    waiting_lwlock: "integer",
    waiting_io: "integer",
    waiting_other: "integer",
    wait_events: "text?",
  },
  /**
   * Columns of `pgbouncer.csv`: a row per second, of the run's database, `total_*` cumulative; header
   * only when direct. `used_clients`, `login_clients` and `used_servers` are those of `SHOW LISTS`, of
   * all databases. `last_client_id` is the number of the newest client: PgBouncer counts clients and
   * servers together as they come. It is asked for at the first and last reading and at the window's
   * ends, each time by a login of our own, and empty elsewhere and with PgBouncer before 1.24.
   */
  "pgbouncer.csv": {
    time_us: "integer",
    cl_active: "integer",
    cl_waiting: "integer",
    sv_active: "integer",
    sv_idle: "integer",
    sv_used: "integer",
    sv_login: "integer",
    maxwait_us: "integer",
    total_xact_count: "integer",
    total_query_count: "integer",
    total_wait_time_us: "integer",
    total_query_time_us: "integer",
    sv_tested: "integer",
    total_xact_time_us: "integer",
    total_server_assignment_count: "integer",
    used_clients: "integer",
    login_clients: "integer",
    used_servers: "integer",
    last_client_id: "integer?",
  },
  /**
   * Columns of `statements.csv`: what the app has had PostgreSQL execute so far, by
   * `pg_stat_statements`. A row per statement at the first and last reading and at the window's ends,
   * counters cumulative; `query` has its constants replaced by `$1` and is cut to 4,000 characters.
   */
  "statements.csv": {
    time_us: "integer",
    query_id: "text",
    calls: "integer",
    rows: "integer",
    exec_ms: "number",
    query: "text",
  },
  /**
   * Columns of `app.csv`: what the requests took that each of the app's worker processes has answered so
   * far, as the app saw them itself; a row per worker and second. `worker` is its pid. `handler_us` is
   * from the app's first touch of a request to its answer. Within it, `pool_wait_us` is waiting for a
   * connection of the app's own pool, `connect_us` opening `connections`, and `database_us` waiting for
   * the database's answers. Of a worker of more than 100 requests per second all are estimates, by each
   * n-th request with n times its weight (`apps/timings/`).
   */
  "app.csv": {
    time_us: "integer",
    worker: "integer",
    requests: "integer",
    handler_us: "integer",
    pool_wait_us: "integer",
    connect_us: "integer",
    connections: "integer",
    database_us: "integer",
  },
  /**
   * Columns of `slices.csv`, of a run that takes turns with others: a row per turn, times in Unix time,
   * microseconds. `block` is 0 in the warm-up; `place` is the turn's place in its block. Answers count
   * from `settled_us` to `end_us`, after which a closed loop sends nothing; at `drained_us` no request is in flight.
   */
  "slices.csv": {
    block: "integer",
    place: "integer",
    start_us: "integer",
    settled_us: "integer",
    end_us: "integer",
    drained_us: "integer",
  },
} as const satisfies Record<string, ColumnKinds>;

function namesOf<F extends keyof typeof RUN_COLUMNS>(file: F) {
  return Object.keys(RUN_COLUMNS[file]) as (keyof typeof RUN_COLUMNS[F] & string)[];
}

export const REQUEST_COLUMNS = namesOf("requests.csv");
export const RESOURCE_COLUMNS = namesOf("resources.csv");
export const POSTGRES_COLUMNS = namesOf("postgres.csv");
export const PGBOUNCER_COLUMNS = namesOf("pgbouncer.csv");
export const STATEMENT_COLUMNS = namesOf("statements.csv");
export const APP_COLUMNS = namesOf("app.csv");

/** How many of their columns the files of earlier versions have. */
export const EARLIER_COLUMNS = {
  "postgres.csv": 12,
  "pgbouncer.csv": 12,
  "resources.csv": 6,
} as const;

/** The type by which an executed notebook keeps a claim, beside its text. */
export const CLAIM_TYPE = "application/vnd.poolscope.claim+json";
