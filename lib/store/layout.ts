/**
 * Where things lie: the folders of the project, of a study and of a run, and the columns of the
 * files that Poolscope writes. Nothing is read or written here.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";

/** The checkout's root folder. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");

/** Everything that is installed or kept between starts; ignored by git. */
export const TOOLS: string = join(ROOT, ".poolscope");

/** The folder of all studies. */
export function runsFolder(root: string = ROOT): string {
  return join(root, "data", "runs");
}

/**
 * The folder of one study.
 *
 * @throws {UsageError} If the name is not a plain folder name.
 */
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

/** The folder of the open loop that follows a study. */
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

/** The folder of one run within a study's folder. */
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
] as const;

/**
 * Files of {@linkcode RUN_FILES} that earlier versions did not write, with the field of the manifest
 * that only runs that have them have.
 */
export const LATER_FILES: Partial<Record<typeof RUN_FILES[number], "work" | "appTimings">> = {
  "statements.csv": "work",
  "app.csv": "appTimings",
};

/**
 * Columns of `requests.csv`, one row per request in order of completion. Times are microseconds;
 * starts are Unix time. `intended_start_us` and `response_us` are empty in a closed loop, where a
 * request has no intended start. `error` is empty for a correct answer, `unfinished` for a request
 * that had no answer when the window (in an open loop: its drain) ended: its `service_us` is how long
 * it had waited by then, and its status is 0. An open loop's `dropped` request was never sent: its
 * `service_us` is 0, and `response_us` is how long it had waited by the window's end. Any other
 * `error` says what went wrong.
 */
export const REQUEST_COLUMNS = [
  "intended_start_us",
  "start_us",
  "service_us",
  "response_us",
  "route",
  "status",
  "error",
  "bytes",
] as const;

/**
 * Columns of `resources.csv`: a row per service and second. `cpu_s` and `throttled_s` are
 * cumulative; `service` is `postgres`, `pgbouncer`, `app`, `network`, `locust` or `host`. For the host,
 * `cpu_s` is the busy time of all cores, `throttled_s` the time stolen by the hypervisor.
 * `context_switches`, cumulative too, is of all its threads but those that came and went between two
 * readings; it is empty for the host, and was not written by earlier versions.
 */
export const RESOURCE_COLUMNS = [
  "time_us",
  "service",
  "cpu_s",
  "throttled_s",
  "memory_mib",
  "processes",
  "context_switches",
] as const;

/**
 * Columns of `postgres.csv`: a row per second, of the run's database. Connections are the app's (or
 * PgBouncer's for it) by state; `waiting_*` are those of the active ones that wait, by the type of
 * their wait event, and `wait_events` names the events, as in `Lock:transactionid=3 LWLock:WALWrite=1`.
 * From `sessions` on counters are cumulative. The last four columns of the list were not written by
 * earlier versions.
 */
export const POSTGRES_COLUMNS = [
  "time_us",
  "backends",
  "active",
  "idle",
  "idle_in_transaction",
  "waiting_lock",
  "sessions",
  "xact_commit",
  "xact_rollback",
  "tup_returned",
  "tup_fetched",
  "tup_inserted",
  "waiting_lwlock",
  "waiting_io",
  "waiting_other",
  "wait_events",
] as const;

/**
 * Columns of `pgbouncer.csv`: a row per second, of the run's database, `total_*` cumulative; header
 * only when direct. `used_clients`, `login_clients` and `used_servers` are those of `SHOW LISTS`, of
 * all databases. `last_client_id` is the number of the newest client: PgBouncer counts clients and
 * servers together as they come. It is asked for at the first and last reading and at the window's
 * ends, each time by a login of our own, and empty elsewhere and with PgBouncer before 1.24. The
 * columns from `sv_tested` on were not written by earlier versions.
 */
export const PGBOUNCER_COLUMNS = [
  "time_us",
  "cl_active",
  "cl_waiting",
  "sv_active",
  "sv_idle",
  "sv_used",
  "sv_login",
  "maxwait_us",
  "total_xact_count",
  "total_query_count",
  "total_wait_time_us",
  "total_query_time_us",
  "sv_tested",
  "total_xact_time_us",
  "total_server_assignment_count",
  "used_clients",
  "login_clients",
  "used_servers",
  "last_client_id",
] as const;

/**
 * Columns of `statements.csv`: what the app has had PostgreSQL execute so far, by
 * `pg_stat_statements`. A row per statement at the first and last reading and at the window's ends,
 * counters cumulative; `query` has its constants replaced by `$1` and is cut to 4,000 characters.
 */
export const STATEMENT_COLUMNS = [
  "time_us",
  "query_id",
  "calls",
  "rows",
  "exec_ms",
  "query",
] as const;

/**
 * Columns of `app.csv`: what the requests took that each of the app's worker processes has answered so
 * far, as the app saw them itself; a row per worker and second. `worker` is its pid. `handler_us` is
 * from the app's first touch of a request to its answer. Within it, `pool_wait_us` is waiting for a
 * connection of the app's own pool, `connect_us` opening `connections`, and `database_us` waiting for
 * the database's answers. Of a worker of more than 100 requests per second all are estimates, by each
 * n-th request with n times its weight (`apps/timings/`).
 */
export const APP_COLUMNS = [
  "time_us",
  "worker",
  "requests",
  "handler_us",
  "pool_wait_us",
  "connect_us",
  "connections",
  "database_us",
] as const;

/** How many of their columns the files of earlier versions have. */
export const EARLIER_COLUMNS = {
  "postgres.csv": 12,
  "pgbouncer.csv": 12,
  "resources.csv": 6,
} as const;
