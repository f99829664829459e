/** Why a run failed, in one sentence. */

import { readApp } from "../apps/app.ts";
import { comparePool, connectionBudget, connectionsLeft } from "../connections.ts";
import { armName, type Scenario } from "../scenario.ts";
import { formatPart, nounFor } from "../wording/format.ts";
import { titleOf } from "../wording/services.ts";

/** The steps of a run in which it can fail, in words. */
const STEPS = { start: "during the start", verify: "before the load", load: "during the load" };

export type Step = keyof typeof STEPS;

export interface Evidence {
  scenario: Scenario;
  step: Step;
  /** The end of each service's log, by service. */
  logs: Record<string, string>;
  /** Services that ended by themselves, with their exit code: 128 + the number of a signal. */
  exited: Record<string, number>;
  /** Processes that the kernel killed at a service's memory limit, by service. */
  memoryKills: Record<string, number>;
  /** What PgBouncer's console told when the run failed; null where it was not asked. @default null */
  pooler?: {
    connected: boolean;
    waiting: number;
    /** Where `[databases]` sends it, as in `127.0.0.1:5432`; null where it has no such database. */
    target: string | null;
  } | null;
  /** Free space for the run's files in MiB; null when it is not known. */
  freeMiB: number | null;
  /** Requests answered in the window, failures among them. */
  requests: number;
  failures: number;
  /** Distinct errors of the window's requests with their counts, the most frequent first. */
  errors: { error: string; count: number; example: string }[];
  /** The error that ended the run before or during the load, if one did. */
  thrown: string | null;
}

type Rule =
  & {
    /** Whether this alone fails a run, however few of its requests failed. @default false */
    fatal?: boolean;
  }
  & ({
    /** The services whose log is searched; `thrown` for the error that ended the run. */
    where: string[];
    pattern: RegExp;
    /**
     * The sentence, in which `$1` stands for the pattern's first group and `$0` for all that it
     * matched; null where the rule does not apply after all.
     */
    cause:
      | string
      | ((evidence: Evidence, match: RegExpMatchArray, where: string) => string | null);
  } | {
    fact: (evidence: Evidence) => string | null;
  });

/** With less free space than this, no program gets its files written. */
const FULL_DISK_MIB = 1;
/** A quotation is cut to this length: behind the cause, which stands first. */
const QUOTE_LENGTH = 160;

/** When several services are lost, the first of these took the others along. */
const SERVICES = ["postgres", "pgbouncer", "network", "app"];

/** The first rule that applies gives the cause, so the specific stand before the general. */
const RULES: Rule[] = [
  {
    where: ["thrown"],
    pattern: /another program answers on the app's port [^\n]*/,
    cause: "$0",
  },
  {
    where: ["app"],
    pattern: /Address already in use/i,
    cause: ({ exited }) =>
      exited.app === undefined ? null : "another program had the app's port before the app",
  },
  {
    where: ["thrown"],
    pattern: /^(?:unexpected error: )?(Cannot [^:]+)?.*(?:No space left on device|ENOSPC)/i,
    cause: (_, [, attempt = "cannot write the run's files"]) =>
      `the disk is full (no space left on device): ${attempt.replace("Cannot", "cannot")}`,
  },
  {
    where: [...SERVICES, "locust"],
    // The last is the drivers' name for PostgreSQL's code 53100.
    pattern: /No space left on device|ENOSPC|\bDiskFull/i,
    cause: (_, __, where) => `the disk is full (no space left on device, says ${nameOf(where)})`,
  },
  {
    fact: ({ freeMiB }) =>
      freeMiB === null || freeMiB >= FULL_DISK_MIB
        ? null
        : "the disk is full: there is no space left for the run's files",
  },
  { fact: outOfMemory, fatal: true },
  {
    where: ["thrown"],
    pattern: /^(\w+) is out of memory (before the load: .*)/,
    cause: (_, [, service, rest]) => `${nameOf(service!)} ran out of memory ${rest}`,
  },
  {
    // PostgreSQL then ends the connections of all others, and recovers.
    where: ["postgres"],
    pattern: /\(PID \d+\) was terminated by signal (\d+)/,
    cause: (evidence, [, signal]) =>
      evidence.exited.postgres !== undefined ? null : affecting(
        evidence,
        `PostgreSQL lost a server process (killed by signal ${signal}) and restarted`,
      ),
    fatal: true,
  },
  { fact: exits, fatal: true },
  {
    fact: (evidence) => {
      const cause = evidence.step === "load" ? causeOfApp(evidence, true) : null;
      return cause && affecting(evidence, cause);
    },
    fatal: true,
  },
  {
    where: ["app", "postgres", "pgbouncer"],
    pattern: /sorry, too many clients already|remaining connection slots are reserved/,
    cause: ({ scenario }) =>
      `PostgreSQL refused connections (too many clients already): ${compareBudget(scenario)}`,
  },
  {
    where: ["pgbouncer", "app"],
    pattern: /unsupported (?:startup parameter(?: in options)?: ([\w.]+)|(options) startup)/,
    cause: "PgBouncer refuses the startup parameter $1$2: add it to ignore_startup_parameters " +
      "(it is then ignored), or set it another way",
  },
  {
    // One sentence for all drivers, whose own words differ.
    where: ["app", "postgres"],
    pattern: /prepared statement "[^"]*" (?:already exists|does not exist|requires \d)/,
    cause: ({ scenario: { path, poolMode } }) =>
      path !== "pooled" || poolMode === "session" ? null : "clients lost their prepared " +
        "statements to each other, as PgBouncer tracks them in pool_mode transaction only with " +
        "max_prepared_statements above 0: set maxPreparedStatements=200, poolMode=session or " +
        "preparedStatements=false",
  },
  {
    where: ["pgbouncer", "app"],
    pattern: /transaction blocks not allowed in statement pooling mode/,
    cause: "the app uses transactions, which pool_mode statement does not allow: set " +
      "poolMode=transaction or poolMode=session",
  },
  {
    where: ["pgbouncer"],
    pattern: /no such user: (\S+)/,
    cause: "PgBouncer refuses the app's login (no such user: $1): give the user a line in " +
      "auth_file, or set an auth_user that can look it up",
  },
  {
    where: ["pgbouncer"],
    pattern: / (?:\([^)]*\)|[^/\s]+)\/(\S+)@\S+ password authentication failed/,
    cause: 'PgBouncer refuses the app\'s login (password authentication failed for user "$1"): ' +
      "correct the user's line in auth_file",
  },
  {
    where: ["pgbouncer"],
    pattern: /error in auth_query: (?:[A-Z]+: +)?(.+)/,
    cause: "PgBouncer cannot look up the app's user (auth_query: $1): give auth_user the right " +
      "to it, or the user a line in auth_file",
  },
  {
    where: ["pgbouncer"],
    pattern: /server login failed: (?:[A-Z]+ +)?(.+)/,
    cause: "PgBouncer cannot log in to PostgreSQL ($1): correct user, password and dbname in " +
      "[databases] and auth_file",
  },
  {
    where: ["pgbouncer"],
    pattern: /DNS lookup failed: ([^\s:]+)/,
    cause: "PgBouncer finds no address for $1 (DNS lookup failed): correct host in [databases]",
  },
  {
    where: ["pgbouncer"],
    pattern: /no such database: (\S+)/,
    cause: "PgBouncer refuses the app (no such database: $1): add the name to [databases]",
  },
  { fact: unreachable },
  {
    where: ["app", "pgbouncer"],
    pattern: /query_wait_timeout/,
    cause: ({ scenario: { queryWaitTimeoutS, defaultPoolSize } }) =>
      "PgBouncer disconnected clients that waited longer than query_wait_timeout " +
      `${queryWaitTimeoutS} s for a server connection (default_pool_size ${defaultPoolSize})`,
  },
  {
    where: ["app", "pgbouncer"],
    pattern: /no more connections allowed \(max_client_conn\)/,
    cause: ({ scenario: { maxClientConn } }) =>
      `PgBouncer refused connections: max_client_conn ${maxClientConn} is reached`,
  },
  { fact: (evidence) => causeOfApp(evidence, false) },
  {
    where: ["app"],
    pattern: /the database system is (in recovery mode|not yet accepting connections|starting up)/,
    cause: (evidence, [, state]) =>
      affecting(evidence, `PostgreSQL refused connections because it is ${state}`),
  },
  {
    // Some drivers name the port.
    where: ["app"],
    pattern:
      /port (\d+) failed: Connection refused|Connect call failed \('[^']*', (\d+)\)|ECONNREFUSED \S+?:(\d+)|dial tcp \S+?:(\d+): connect: connection refused|ConnectionRefusedError/,
    cause: ({ scenario }, [, ...groups]) => {
      const server = titleOf(scenario.path === "pooled" ? "pgbouncer" : "postgres");
      const port = groups.find((group) => group !== undefined);
      const place = port === undefined ? "where it connects" : `on port ${port}`;
      return `the app's connections to ${server} were refused: nothing listens ${place}`;
    },
  },
  {
    where: ["app"],
    pattern: /terminating connection due to administrator command/,
    cause: (evidence) =>
      affecting(evidence, "an administrator's command ended connections to PostgreSQL"),
  },
  {
    where: ["pgbouncer"],
    pattern: /pooler error: (.+)/,
    cause: "PgBouncer closed clients' connections ($1)",
  },
  {
    where: ["thrown"],
    pattern: /answered on port (\d+) within/,
    cause: ({ logs }, [, asked]) => {
      // What servers of Python say.
      const said = /(?:running on|Listening at:) http:\/\/[^\s:]+:(\d+)/.exec(logs.app ?? "");
      return said === null || said[1] === asked
        ? null
        : `the app listens on port ${said[1]} instead of ${asked}`;
    },
  },
  {
    where: ["thrown"],
    pattern: /^[^]+/,
    cause: ({ logs }, [error]) =>
      oneLine(error) + (/status 5\d\d/.test(error) ? quoteAppLog(logs.app) : ""),
  },
  { fact: failedRequests },
];

function nameOf(service: string): string {
  return service === "locust" ? "Locust" : titleOf(service);
}

/** A sentence in which `$1` stands for the first group of a match. */
function fill(sentence: string, match: RegExpMatchArray): string {
  return sentence.replace(/\$(\d)/g, (_, group) => match[group] ?? "");
}

/** What the app's own log tells, by the patterns of its `app.json`. */
function causeOfApp({ scenario, logs: { app = "" } }: Evidence, fatal: boolean): string | null {
  for (const rule of readApp(scenario.framework).logs) {
    const match = rule.fatal === fatal ? app.match(rule.pattern) : null;
    if (match !== null) return fill(rule.cause, match);
  }
  return null;
}

/** What the app's or PgBouncer's connections add up to, beside what PostgreSQL leaves them. */
function compareBudget(scenario: Scenario): string {
  if (scenario.path === "pooled") return comparePool(scenario);
  const { users, workers, poolSize, threads, maxConnections, idleConnections } = scenario;
  const budget = connectionBudget(scenario);
  const relation = budget > connectionsLeft(scenario) ? ">" : "against";
  const others = idleConnections === 0 ? "" : `and ${idleConnections} of other replicas `;
  const limit = `${others}${relation} max_connections ${maxConnections}`;
  if (Number.isFinite(budget)) {
    const { concurrency } = readApp(scenario.framework);
    const perWorker = concurrency === "event_loop" ? poolSize : threads;
    return `${workers} ${nounFor(workers, "worker")} × ${perWorker} ${limit}`;
  }
  return users === null
    ? `a connection for each request under way ${limit}`
    : `a connection for each request of ${users} ${nounFor(users, "user")} ${limit}`;
}

/** A server that does not answer where PgBouncer looks for it: its log has no line of that. */
function unreachable({ pooler, logs: { pgbouncer = "" } }: Evidence): string | null {
  if (pooler == null || pooler.connected || pooler.target === null) return null;
  if (/pooler error: (?!query_wait_timeout)/.test(pgbouncer)) return null;
  return pooler.waiting > 0 || /query_wait_timeout/.test(pgbouncer)
    ? `PgBouncer gets no connection to PostgreSQL at ${pooler.target}: correct host and port in [databases]`
    : null;
}

/** The kernel's own count tells; a log cannot, as whoever is killed writes nothing. */
function outOfMemory(evidence: Evidence): string | null {
  const { scenario, memoryKills } = evidence;
  const service = SERVICES.find((name) => (memoryKills[name] ?? 0) > 0);
  if (service === undefined) return null;
  const limits: Record<string, number | null> = {
    postgres: scenario.dbMemoryMiB,
    pgbouncer: scenario.pgbouncerMemoryMiB,
    app: scenario.appMemoryMiB,
  };
  const limit = limits[service] == null ? "" : ` at its limit of ${limits[service]} MiB`;
  const kills = `processes killed by the kernel: ${memoryKills[service]}`;
  return affecting(evidence, `${nameOf(service)} ran out of memory${limit} (${kills})`);
}

function exits({ exited, logs, step, requests, failures }: Evidence): string | null {
  const service = SERVICES.find((name) => exited[name] !== undefined);
  if (service === undefined) return null;
  const code = exited[service]!;
  if (code > 128) {
    const load = requests === 0
      ? ""
      : `, after ${requests} ${nounFor(requests, "request")} of which ${failures} failed`;
    return `${nameOf(service)} was killed by signal ${code - 128} ${STEPS[step]}${load}`;
  }
  const quote = quoteError(logs[service]);
  return `${nameOf(service)} exited with code ${code} ${STEPS[step]}` + (quote && ` (${quote})`);
}

/** What remains when nothing else is known: how many requests met which error. */
function failedRequests({ requests, failures, errors, logs }: Evidence): string {
  if (requests === 0) return "no request was answered in the window";
  const some = countFailed(requests, failures);
  const first = errors.find(({ error }) => error !== "unfinished");
  if (first === undefined) return some;
  const failed = failures === requests && requests > 1 ? `all ${requests} requests failed` : some;
  const part = first.count === failures ? " with" : `, ${first.count} of them with`;
  return `${failed}${part} "${first.error}"` +
    (/^HTTP 5/.test(first.error) ? quoteAppLog(logs.app) : "");
}

function countFailed(requests: number, failures: number): string {
  return `${formatPart(failures, requests, "request")} failed`;
}

/** A cause with the number of requests that it cost, where any were answered. */
function affecting({ requests, failures }: Evidence, cause: string): string {
  return requests === 0 ? cause : `${cause}: ${countFailed(requests, failures)}`;
}

/** Lines that tell of an error: a language's, an app's of a request, PgBouncer's of its configuration. */
const TELLING =
  /^(?:[\w.]*(?:Error|Exception|Exit)|Cannot start|panic)\b|(?:GET|POST) \S+ failed: |UTC \[\d+\] ERROR /;

/** What of a line of a log is not its cause. */
const WRAPPERS = [
  /^\S+ \S+ UTC \[\d+\] [A-Z]+:? +/,
  /^.*?\b(?:GET|POST) \S+ failed: /,
  /^.*\bconnection to server at "[^"]*", port \d+ failed: /,
  /^.*?(?=\b(?:FATAL|PANIC): )/,
  /\/\S+\/(?=pgbouncer\.ini|userlist\.txt)/,
];

/** What a log says of its last error, else its last line; empty where the log is. */
function quoteError(log = ""): string {
  const lines = log.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const telling = lines.filter((line) => TELLING.test(line));
  // That a connection is gone is what follows from a cause that another line tells.
  const line =
    telling.findLast((line) => !/server closed the|connection (?:is|was) closed/.test(line)) ??
      telling.at(-1) ?? lines.at(-1) ?? "";
  return oneLine(WRAPPERS.reduce((text, part) => text.replace(part, ""), line), QUOTE_LENGTH);
}

function quoteAppLog(log: string | undefined): string {
  const quote = quoteError(log);
  return quote && `; the app's log says: ${quote}`;
}

function oneLine(text: string, length = Infinity): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

function apply(rule: Rule, evidence: Evidence): string | null {
  if ("fact" in rule) return rule.fact(evidence);
  const { where, pattern, cause } = rule;
  for (const place of where) {
    const text = place === "thrown" ? evidence.thrown : evidence.logs[place];
    const match = text?.match(pattern) ?? null;
    if (match === null) continue;
    const sentence = typeof cause === "string" ? fill(cause, match) : cause(evidence, match, place);
    if (sentence !== null) return sentence;
  }
  return null;
}

/** Whether a loss fails the run even when nearly all of its requests succeeded. */
export function hasLostProcess(evidence: Evidence): boolean {
  return RULES.some((rule) => rule.fatal === true && apply(rule, evidence) !== null);
}

/**
 * The cause of a failed run in one sentence that begins with the arm.
 *
 * @example
 * ```ts
 * import { createScenario, findCause } from "poolscope";
 *
 * const cause = findCause({
 *   scenario: createScenario({
 *     framework: "node", path: "direct", users: 1000, workers: 4, poolSize: 40,
 *   }),
 *   step: "load",
 *   logs: { app: "FATAL: sorry, too many clients already" },
 *   exited: {},
 *   memoryKills: {},
 *   freeMiB: null,
 *   requests: 1000,
 *   failures: 240,
 *   errors: [{ error: "HTTP 500", count: 240, example: "" }],
 *   thrown: null,
 * });
 * console.assert(
 *   cause === "Node.js direct: PostgreSQL refused connections (too many clients already): " +
 *     "4 workers × 40 > max_connections 100",
 * );
 * ```
 */
export function findCause(evidence: Evidence): string {
  const sentence = RULES.map((rule) => apply(rule, evidence)).find((found) => found !== null);
  return `${armName(evidence.scenario)}: ${sentence}`;
}
