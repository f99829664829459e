/**
 * Why a run failed, in one sentence: a table of patterns over the logs of the services and the
 * errors that the requests met.
 *
 * @module
 */

import { connectionBudget, type Scenario } from "../scenario.ts";

/** What is known about a failed run. */
export interface Evidence {
  scenario: Scenario;
  /** The end of each service's log, by service. */
  logs: Record<string, string>;
  /** Services that ended by themselves, with their exit code. */
  exited: Record<string, number>;
  /** Distinct errors of the window's requests with their counts, the most frequent first. */
  errors: { error: string; count: number; example: string }[];
  /** The error that ended the run before or during the load, if one did. */
  thrown: string | null;
}

interface Rule {
  /** The services whose log is searched; `errors` for the requests' errors, `thrown` likewise. */
  where: (string | "errors" | "thrown")[];
  pattern: RegExp;
  /** The sentence without the arm's name; it ends without a full stop. */
  say: (evidence: Evidence, match: RegExpMatchArray) => string;
}

function budgetAgainstLimit({ scenario }: Evidence): string {
  const perWorker = scenario.framework === "fastapi" ? scenario.poolSize : scenario.threads;
  const budget = connectionBudget(scenario);
  const asked = Number.isFinite(budget)
    ? `${scenario.workers} workers × ${perWorker}`
    : `a connection for each of ${scenario.users} users' requests`;
  const relation = budget > scenario.maxConnections ? ">" : "against";
  return `${asked} ${relation} max_connections ${scenario.maxConnections}`;
}

/** The first rule that matches gives the cause, so the specific stand before the general. */
const RULES: Rule[] = [
  {
    where: ["app", "postgres"],
    pattern: /sorry, too many clients already|remaining connection slots are reserved/,
    say: (evidence) =>
      `PostgreSQL refused connections (too many clients already): ${budgetAgainstLimit(evidence)}`,
  },
  {
    where: ["app", "pgbouncer"],
    pattern: /query_wait_timeout/,
    say: ({ scenario }) =>
      `PgBouncer gave up clients that waited longer than query_wait_timeout ${scenario.queryWaitTimeoutS} s for one of ${scenario.defaultPoolSize} server connections`,
  },
  {
    where: ["app"],
    pattern: /QueuePool limit of size (\d+)[^\n]*timeout ([\d.]+)/,
    say: (_, match) =>
      `requests waited longer than ${
        Number(match[2])
      } s for a connection of the app's own pool of ${match[1]}`,
  },
  {
    where: ["app"],
    pattern: /couldn't get a connection after ([\d.]+) sec/,
    say: (_, match) =>
      `requests waited longer than ${Number(match[1])} s for a connection of the app's own pool`,
  },
  {
    where: ["postgres"],
    pattern: /database system is in recovery mode|terminated by signal 9/,
    say: () => "PostgreSQL lost a server process (killed by signal 9) and restarted",
  },
  {
    where: ["app"],
    pattern: /no more connections allowed \(max_client_conn\)/,
    say: ({ scenario }) =>
      `PgBouncer refused connections: max_client_conn ${scenario.maxClientConn} is reached`,
  },
];

const TITLES: Record<string, string> = {
  app: "the app",
  postgres: "PostgreSQL",
  pgbouncer: "PgBouncer",
  locust: "Locust",
};

/**
 * The cause of a failed run in one sentence that begins with the arm.
 *
 * @example
 * ```ts
 * import { createScenario, findCause } from "poolscope";
 *
 * const cause = findCause({
 *   scenario: createScenario({
 *     framework: "fastapi", path: "direct", users: 1000, workers: 4, poolSize: 40,
 *   }),
 *   logs: { app: "FATAL: sorry, too many clients already" },
 *   exited: {},
 *   errors: [{ error: "HTTP 500", count: 240, example: "" }],
 *   thrown: null,
 * });
 * console.assert(
 *   cause === "fastapi direct: PostgreSQL refused connections (too many clients already): " +
 *     "4 workers × 40 > max_connections 100",
 * );
 * ```
 */
export function findCause(evidence: Evidence): string {
  const { scenario, logs, exited, errors, thrown } = evidence;
  const arm = `${scenario.framework} ${scenario.path}`;
  const texts: Record<string, string> = {
    ...logs,
    errors: errors.map(({ error, example }) => `${error} ${example}`).join("\n"),
    thrown: thrown ?? "",
  };
  for (const rule of RULES) {
    for (const place of rule.where) {
      const match = texts[place]?.match(rule.pattern);
      if (match) return `${arm}: ${rule.say(evidence, match)}`;
    }
  }
  for (const [service, code] of Object.entries(exited)) {
    const last = lastLine(logs[service] ?? "");
    return `${arm}: ${TITLES[service] ?? service} exited with code ${code}${last && ` (${last})`}`;
  }
  if (thrown !== null) return `${arm}: ${thrown}`;
  const answered = errors.filter(({ error }) => error !== "unfinished");
  const [first] = answered;
  if (first === undefined) return `${arm}: no request was answered in the window`;
  const total = answered.reduce((sum, { count }) => sum + count, 0);
  return `${arm}: ${first.count} of ${total} failed requests met "${first.error}"`;
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.trim() ?? "";
}
