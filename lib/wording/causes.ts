/**
 * The words of the causes of failed runs. Sentences lack the arm's name and a full stop.
 *
 * @module
 */

import { SERVERS } from "../server_settings.ts";
import { formatPart, nounFor } from "./format.ts";

/** The services within a sentence. */
const serviceTitles: Record<string, string> = {
  ...SERVERS,
  app: "the app",
  network: "the network between the services",
  locust: "Locust",
};

/** A service of any name within a sentence, Locust as what it is. */
export function titleOf(service: string): string {
  return service === "locust" ? "the load generator" : serviceTitles[service] ?? service;
}

/** In which step of a run something happened. */
const when = { start: "during the start", verify: "before the load", load: "during the load" };
type When = keyof typeof when;

const failed = (failures: number, requests: number) =>
  `${formatPart(failures, requests, "request")} failed`;

/** Why a run failed, by what happened. */
export const causeWords = {
  portTaken: "another program had the app's port before the app",
  diskFull: "the disk is full: there is no space left for the run's files",
  /** @param attempt As in `Cannot clone the database`. */
  diskFullAt: (attempt = "cannot write the run's files") =>
    `the disk is full (no space left on device): ${attempt.replace("Cannot", "cannot")}`,
  diskFullSays: (service: string) =>
    `the disk is full (no space left on device, says ${serviceTitles[service]})`,
  outOfMemory: (service: string, rest: string) =>
    `${serviceTitles[service]} ran out of memory ${rest}`,
  memoryKills: (service: string, limitMiB: number | null, kills: number) =>
    `${serviceTitles[service]} ran out of memory${
      limitMiB === null ? "" : ` at its limit of ${limitMiB} MiB`
    } (processes killed by the kernel: ${kills})`,
  lostProcess: (signal: string) =>
    `PostgreSQL lost a server process (killed by signal ${signal}) and restarted`,
  killed: (service: string, signal: number, step: When, requests: number, failures: number) =>
    `${serviceTitles[service]} was killed by signal ${signal} ${when[step]}${
      requests === 0
        ? ""
        : `, after ${requests} ${nounFor(requests, "request")} of which ${failures} failed`
    }`,
  exited: (service: string, code: number, step: When, quote: string | null) =>
    `${serviceTitles[service]} exited with code ${code} ${when[step]}${
      quote === null ? "" : ` (${quote})`
    }`,
  unhealthy: (service: string, step: When, check: string) =>
    `${serviceTitles[service]} became unhealthy ${when[step]}, ${check}`,
  /** Behind a cause: how many requests it cost, where any were answered. */
  affected: (requests: number, failures: number) =>
    requests === 0 ? "" : `: ${failed(failures, requests)}`,
  /** Behind a cause: what the app's log says of it. */
  appLog: (quote: string) => `; the app's log says: ${quote}`,
  /** Behind a cause: the last error of a service's log. */
  lastLog: (quote: string) => `; its log ends with: ${quote}`,

  tooManyClients: (comparison: string) =>
    `PostgreSQL refused connections (too many clients already): ${comparison}`,
  budget: {
    workers: (workers: number, perWorker: number) =>
      `${workers} ${nounFor(workers, "worker")} × ${perWorker}`,
    requests: "a connection for each request under way",
    users: (users: number) => `a connection for each request of ${users} ${nounFor(users, "user")}`,
    compare: (asked: string, isAbove: boolean, maxConnections: number) =>
      `${asked} ${isAbove ? ">" : "against"} max_connections ${maxConnections}`,
  },
  startupParameter: (name: string) =>
    `PgBouncer refuses the startup parameter ${name}: add it to ignore_startup_parameters ` +
    `(it is then ignored), or set it another way`,
  /** One sentence for all drivers, whose own words differ. */
  lostStatements:
    "clients lost their prepared statements to each other, as PgBouncer tracks them in pool_mode transaction only with max_prepared_statements above 0: " +
    "set maxPreparedStatements=200, poolMode=session or preparedStatements=false",
  noTransactions:
    "the app uses transactions, which pool_mode statement does not allow: set poolMode=transaction or poolMode=session",
  noUser: (user: string) =>
    `PgBouncer refuses the app's login (no such user: ${user}): give the user a line in ` +
    `auth_file, or set an auth_user that can look it up`,
  wrongPassword: (user: string) =>
    `PgBouncer refuses the app's login (password authentication failed for user "${user}"): ` +
    `correct the user's line in auth_file`,
  authQuery: (error: string) =>
    `PgBouncer cannot look up the app's user (auth_query: ${error}): give auth_user the right ` +
    `to it, or the user a line in auth_file`,
  serverLogin: (error: string) =>
    `PgBouncer cannot log in to PostgreSQL (${error}): correct user, password and dbname in ` +
    `[databases] and auth_file`,
  noAddress: (host: string) =>
    `PgBouncer finds no address for ${host} (DNS lookup failed): correct host in [databases]`,
  noDatabase: (name: string) =>
    `PgBouncer refuses the app (no such database: ${name}): add the name to [databases]`,
  unreachable: (target: string) =>
    `PgBouncer gets no connection to PostgreSQL at ${target}: correct host and port in [databases]`,
  waitTimeout: (timeoutS: number, poolSize: number) =>
    `PgBouncer disconnected clients that waited longer than query_wait_timeout ${timeoutS} s ` +
    `for a server connection (default_pool_size ${poolSize})`,
  maxClients: (limit: number) =>
    `PgBouncer refused connections: max_client_conn ${limit} is reached`,
  poolerError: (error: string) => `PgBouncer closed clients' connections (${error})`,
  /** @param state As PostgreSQL says it: `starting up`. */
  notReady: (state: string) => `PostgreSQL refused connections because it is ${state}`,
  nothingListens: (server: keyof typeof SERVERS, port: string | undefined) =>
    `the app's connections to ${serviceTitles[server]} were refused: nothing listens ${
      port === undefined ? "where it connects" : `on port ${port}`
    }`,
  administrator: "an administrator's command ended connections to PostgreSQL",
  wrongPort: (listens: string, asked: string) =>
    `the app listens on port ${listens} instead of ${asked}`,

  noAnswer: "no request was answered in the window",
  failed,
  failedWith: (failures: number, requests: number, error: string, count: number) =>
    `${
      failures === requests && requests > 1
        ? `all ${requests} requests failed`
        : failed(failures, requests)
    }${count === failures ? " with" : `, ${count} of them with`} "${error}"`,
};
