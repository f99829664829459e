/**
 * Why a run failed, in one sentence: a table of facts about the services and of patterns over their
 * logs and over the errors that ended the run.
 *
 * @module
 */

import { readApp } from "../apps/app.ts";
import { comparePool, connectionBudget, connectionsLeft } from "../connections.ts";
import { armName, type Scenario } from "../scenario.ts";
import { causeWords as causes } from "../wording/causes.ts";

/** How far a run came. */
export type Step = "start" | "verify" | "load";

/** What is known about a run. */
export interface Evidence {
  scenario: Scenario;
  /** The step in which it ended. */
  step: Step;
  /** The end of each service's log, by service. */
  logs: Record<string, string>;
  /** Services that ended by themselves, with their exit code: 128 + the number of a signal. */
  exited: Record<string, number>;
  /** Processes that the kernel killed at a service's memory limit, by service. */
  memoryKills: Record<string, number>;
  /** Services that their own health check called unhealthy, with what it said. @default none */
  unhealthy?: Record<string, string>;
  /** What PgBouncer's console told when the run failed; null where it was not asked. @default null */
  pooler?: {
    /** Whether it has had a server connection for the run's database. */
    connected: boolean;
    /** Clients that wait for one. */
    waiting: number;
    /** Where `[databases]` sends it, as in `127.0.0.1:5432`; null where it has no such database. */
    target: string | null;
  } | null;
  /** Free space for the run's files in MiB; null when it is not known. */
  freeMiB: number | null;
  /** Requests answered in the window, failures among them. */
  requests: number;
  /** Failed requests in the window. */
  failures: number;
  /** Distinct errors of the window's requests with their counts, the most frequent first. */
  errors: { error: string; count: number; example: string }[];
  /** The error that ended the run before or during the load, if one did. */
  thrown: string | null;
}

/** A line of the table; its sentences stand in lib/wording/causes.ts. */
type Rule =
  & {
    /** Whether this alone fails a run, however few of its requests failed. @default false */
    fatal?: boolean;
  }
  & ({
    /** The services whose log is searched; `thrown` for the error that ended the run. */
    where: (string | "thrown")[];
    pattern: RegExp;
    /** The sentence, or null where the rule does not apply after all. */
    say: (evidence: Evidence, match: RegExpMatchArray, where: string) => string | null;
  } | {
    /** A rule about other facts than texts. */
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
    say: (_, match) => match[0],
  },
  {
    where: ["app"],
    pattern: /Address already in use/i,
    say: ({ exited }) => exited.app === undefined ? null : causes.portTaken,
  },
  {
    where: ["thrown"],
    pattern: /^(?:unexpected error: )?(Cannot [^:]+)?.*(?:No space left on device|ENOSPC)/i,
    say: (_, match) => causes.diskFullAt(match[1]),
  },
  {
    where: [...SERVICES, "locust"],
    // The last is the drivers' name for PostgreSQL's code 53100.
    pattern: /No space left on device|ENOSPC|\bDiskFull/i,
    say: (_, __, where) => causes.diskFullSays(where),
  },
  {
    fact: ({ freeMiB }) => freeMiB === null || freeMiB >= FULL_DISK_MIB ? null : causes.diskFull,
  },
  { fact: outOfMemory, fatal: true },
  {
    where: ["thrown"],
    pattern: /^(\w+) is out of memory (before the load: .*)/,
    say: (_, match) => causes.outOfMemory(match[1]!, match[2]!),
  },
  {
    // PostgreSQL then ends the connections of all others, and recovers.
    where: ["postgres"],
    pattern: /\(PID \d+\) was terminated by signal (\d+)/,
    say: (evidence, match) =>
      evidence.exited.postgres !== undefined
        ? null
        : causes.lostProcess(match[1]!) + affected(evidence),
    fatal: true,
  },
  { fact: exits, fatal: true },
  { fact: ailments, fatal: true },
  {
    fact: (evidence) => {
      const cause = evidence.step === "load" ? causeOfApp(evidence, true) : null;
      return cause === null ? null : cause + affected(evidence);
    },
    fatal: true,
  },
  {
    where: ["app", "postgres", "pgbouncer"],
    pattern: /sorry, too many clients already|remaining connection slots are reserved/,
    say: (evidence) => causes.tooManyClients(budgetAgainstLimit(evidence)),
  },
  {
    where: ["pgbouncer", "app"],
    pattern: /unsupported (?:startup parameter(?: in options)?: ([\w.]+)|(options) startup)/,
    say: (_, match) => causes.startupParameter(match[1] ?? match[2]!),
  },
  {
    where: ["app", "postgres"],
    pattern: /prepared statement "[^"]*" (?:already exists|does not exist|requires \d)/,
    say: ({ scenario }) =>
      scenario.path !== "pooled" || scenario.poolMode === "session" ? null : causes.lostStatements,
  },
  {
    where: ["pgbouncer", "app"],
    pattern: /transaction blocks not allowed in statement pooling mode/,
    say: () => causes.noTransactions,
  },
  {
    where: ["pgbouncer"],
    pattern: /no such user: (\S+)/,
    say: (_, match) => causes.noUser(match[1]!),
  },
  {
    where: ["pgbouncer"],
    pattern: / (?:\([^)]*\)|[^/\s]+)\/(\S+)@\S+ password authentication failed/,
    say: (_, match) => causes.wrongPassword(match[1]!),
  },
  {
    where: ["pgbouncer"],
    pattern: /error in auth_query: (?:[A-Z]+: +)?(.+)/,
    say: (_, match) => causes.authQuery(match[1]!),
  },
  {
    where: ["pgbouncer"],
    pattern: /server login failed: (?:[A-Z]+ +)?(.+)/,
    say: (_, match) => causes.serverLogin(match[1]!),
  },
  {
    where: ["pgbouncer"],
    pattern: /DNS lookup failed: ([^\s:]+)/,
    say: (_, match) => causes.noAddress(match[1]!),
  },
  {
    where: ["pgbouncer"],
    pattern: /no such database: (\S+)/,
    say: (_, match) => causes.noDatabase(match[1]!),
  },
  { fact: unreachable },
  {
    where: ["app", "pgbouncer"],
    pattern: /query_wait_timeout/,
    say: ({ scenario }) => causes.waitTimeout(scenario.queryWaitTimeoutS, scenario.defaultPoolSize),
  },
  {
    where: ["app", "pgbouncer"],
    pattern: /no more connections allowed \(max_client_conn\)/,
    say: ({ scenario }) => causes.maxClients(scenario.maxClientConn),
  },
  { fact: (evidence) => causeOfApp(evidence, false) },
  {
    where: ["app"],
    pattern: /the database system is (in recovery mode|not yet accepting connections|starting up)/,
    say: (evidence, match) => causes.notReady(match[1]!) + affected(evidence),
  },
  {
    // Some drivers name the port.
    where: ["app"],
    pattern:
      /port (\d+) failed: Connection refused|Connect call failed \('[^']*', (\d+)\)|ECONNREFUSED \S+?:(\d+)|dial tcp \S+?:(\d+): connect: connection refused|ConnectionRefusedError/,
    say: ({ scenario }, match) => {
      const port = match.slice(1).find((group) => group !== undefined);
      return causes.nothingListens(scenario.path === "pooled" ? "pgbouncer" : "postgres", port);
    },
  },
  {
    where: ["app"],
    pattern: /terminating connection due to administrator command/,
    say: (evidence) => causes.administrator + affected(evidence),
  },
  {
    where: ["pgbouncer"],
    pattern: /pooler error: (.+)/,
    say: (_, match) => causes.poolerError(match[1]!),
  },
  {
    where: ["thrown"],
    pattern: /answered on port (\d+) within/,
    say: ({ logs }, match) => {
      // What servers of Python say.
      const listens = /(?:running on|Listening at:) http:\/\/[^\s:]+:(\d+)/.exec(logs.app ?? "");
      return listens === null || listens[1] === match[1]
        ? null
        : causes.wrongPort(listens[1]!, match[1]!);
    },
  },
  {
    where: ["thrown"],
    pattern: /^[^]+/,
    say: ({ logs }, match) => {
      const reason = /status 5\d\d/.test(match[0]) ? quoteError(logs.app) : null;
      return oneLine(match[0]) + (reason === null ? "" : causes.appLog(reason));
    },
  },
  { fact: failedRequests },
];

/** What the app's own log tells, by the patterns of its `app.json`. */
function causeOfApp({ scenario, logs: { app = "" } }: Evidence, fatal: boolean): string | null {
  for (const one of readApp(scenario.framework).logs.filter((log) => log.fatal === fatal)) {
    const match = new RegExp(one.pattern).exec(app);
    if (match !== null) return one.cause.replace(/\$(\d)/g, (_, group) => match[group] ?? "");
  }
  return null;
}

/** What the app's or PgBouncer's connections add up to, beside what PostgreSQL leaves them. */
function budgetAgainstLimit({ scenario }: Evidence): string {
  if (scenario.path === "pooled") return comparePool(scenario);
  const { maxConnections } = scenario;
  const { concurrency } = readApp(scenario.framework);
  const perWorker = concurrency === "event_loop" ? scenario.poolSize : scenario.threads;
  const budget = connectionBudget(scenario);
  const asked = Number.isFinite(budget)
    ? causes.budget.workers(scenario.workers, perWorker)
    : scenario.users === null
    ? causes.budget.requests
    : causes.budget.users(scenario.users);
  return causes.budget.compare(asked, budget > connectionsLeft(scenario), maxConnections);
}

/** A server that does not answer where PgBouncer looks for it: its log has no line of that. */
function unreachable({ pooler, logs: { pgbouncer = "" } }: Evidence): string | null {
  if (pooler == null || pooler.connected || pooler.target === null) return null;
  if (/pooler error: (?!query_wait_timeout)/.test(pgbouncer)) return null;
  return pooler.waiting > 0 || /query_wait_timeout/.test(pgbouncer)
    ? causes.unreachable(pooler.target)
    : null;
}

/** The kernel's own count tells; a log cannot, as whoever is killed writes nothing. */
function outOfMemory(evidence: Evidence): string | null {
  const { scenario, memoryKills } = evidence;
  const limits: Record<string, number | null> = {
    postgres: scenario.dbMemoryMiB,
    pgbouncer: scenario.pgbouncerMemoryMiB,
    app: scenario.appMemoryMiB,
  };
  for (const service of SERVICES) {
    const kills = memoryKills[service] ?? 0;
    if (kills === 0) continue;
    return causes.memoryKills(service, limits[service] ?? null, kills) + affected(evidence);
  }
  return null;
}

function exits({ exited, logs, step, requests, failures }: Evidence): string | null {
  for (const service of SERVICES) {
    const code = exited[service];
    if (code === undefined) continue;
    if (code > 128) {
      return causes.killed(service, code - 128, step, requests, failures);
    }
    return causes.exited(service, code, step, quoteError(logs[service]));
  }
  return null;
}

function ailments(evidence: Evidence): string | null {
  for (const service of SERVICES) {
    const said = evidence.unhealthy?.[service];
    if (said === undefined) continue;
    const last = quoteError(evidence.logs[service]);
    return causes.unhealthy(service, evidence.step, oneLine(said, QUOTE_LENGTH)) +
      affected(evidence) + (last === null ? "" : causes.lastLog(last));
  }
  return null;
}

/** What remains when nothing else is known: how many requests met which error. */
function failedRequests({ requests, failures, errors, logs }: Evidence): string {
  if (requests === 0) return causes.noAnswer;
  const [first] = errors.filter(({ error }) => error !== "unfinished");
  if (first === undefined) return causes.failed(failures, requests);
  const reason = /^HTTP 5/.test(first.error) ? quoteError(logs.app) : null;
  return causes.failedWith(failures, requests, first.error, first.count) +
    (reason === null ? "" : causes.appLog(reason));
}

/** How many requests a fault cost, where any were answered. */
function affected({ requests, failures }: Evidence): string {
  return causes.affected(requests, failures);
}

/** Lines that tell of an error: a language's, an app's of a request, PgBouncer's of its configuration. */
const TELLING =
  /^(?:[\w.]*(?:Error|Exception|Exit)|Cannot start|panic)\b|(?:GET|POST) \S+ failed: |UTC \[\d+\] ERROR /;

/** What a log says of its last error, else its last line; null when it is empty. */
function quoteError(log = ""): string | null {
  const lines = log.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const telling = lines.filter((line) => TELLING.test(line));
  // That a connection is gone is what follows from a cause that another line tells.
  const line =
    telling.findLast((line) => !/server closed the|connection (?:is|was) closed/.test(line)) ??
      telling.at(-1) ?? lines.at(-1);
  return line === undefined ? null : oneLine(withoutWrappers(line), QUOTE_LENGTH);
}

/**
 * A line of a log from its cause on: without time, request, the folder of PgBouncer's files, and
 * whatever drivers and libraries put before a server's own words.
 */
function withoutWrappers(line: string): string {
  const wrappers = [
    /^\S+ \S+ UTC \[\d+\] [A-Z]+:? +/,
    /^.*?\b(?:GET|POST) \S+ failed: /,
    /^.*\bconnection to server at "[^"]*", port \d+ failed: /,
    /^.*?(?=\b(?:FATAL|PANIC): )/,
    /\/\S+\/(?=pgbouncer\.ini|userlist\.txt)/,
  ];
  return wrappers.reduce((text, wrapper) => text.replace(wrapper, ""), line);
}

function oneLine(text: string, length = Infinity): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

function apply(rule: Rule, evidence: Evidence): string | null {
  if ("fact" in rule) return rule.fact(evidence);
  for (const where of rule.where) {
    const text = where === "thrown" ? evidence.thrown : evidence.logs[where];
    const match = text?.match(rule.pattern);
    const sentence = match ? rule.say(evidence, match, where) : null;
    if (sentence !== null) return sentence;
  }
  return null;
}

/**
 * Whether something happened that fails a run even when nearly all of its requests succeeded: a
 * service or one of its processes was lost.
 */
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
