/**
 * What a run's requests had the database do: equal work is what makes frameworks comparable.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import { OUTCOMES, requestColumns } from "../frames/columns.ts";
import type { RouteWork } from "../store/manifest.ts";
import { counterAt, findGap } from "./readings.ts";
import type { Window } from "./window.ts";

/** What a statement is for. */
export type StatementKind = "data" | "transaction" | "setup";

/** The work of a run's measurement window. */
export interface Work {
  /** Correct answers within the window. */
  requests: number;
  /** Their service times, all together, in milliseconds. */
  serviceMs: number;
  /** Statements that read or write data, and the rows that they returned. */
  dataStatements: number;
  rows: number;
  /** `BEGIN`, `COMMIT`, `ROLLBACK` and the like: the framework's own cost. */
  transactionControl: number;
  /** Everything else: settings and look-ups of a new connection, pings. */
  setup: number;
  /** PostgreSQL's execution time of the data statements, and of all others, in milliseconds. */
  dataMs: number;
  otherMs: number;
  /** What the contract lets the same requests ask for; null where a route of the app says nothing. */
  contract: RouteWork | null;
}

const TRANSACTION =
  /^(begin|start transaction|commit|end|rollback|abort|savepoint|release|prepare transaction)\b/i;
const DATA = /^(select|insert|update|delete|merge|with|values|table|copy)\b/i;
/** The system's own relations, by which a driver or an ORM finds out where it is. */
const SYSTEM = /\b(pg_catalog|information_schema)\.|\bfrom\s+pg_/i;

/**
 * What a statement is for, by its text.
 *
 * @example
 * ```ts
 * import { statementKind } from "./work.ts";
 *
 * console.assert(statementKind("SELECT id FROM posts WHERE id = $1") === "data");
 * console.assert(statementKind("BEGIN") === "transaction");
 * console.assert(statementKind("select pg_catalog.version()") === "setup");
 * ```
 */
export function statementKind(query: string): StatementKind {
  const text = query.replace(/^(\s|--[^\n]*\n|\/\*.*?\*\/|\()+/s, "");
  if (TRANSACTION.test(text)) return "transaction";
  if (!DATA.test(text) || SYSTEM.test(text)) return "setup";
  // A statement that names no relation carries no data: a ping, a function of the session.
  return /^(select|with)\b/i.test(text) && !/\bfrom\b/i.test(text) ? "setup" : "data";
}

/**
 * The work of a window.
 *
 * @param statements A frame of `readStatements`.
 * @param requests A frame of `readRequests`.
 * @param window The measurement window.
 * @param contract The manifest's `work`.
 * @returns The work, or a text that says why it cannot be told.
 */
export function workWithin(
  statements: DataFrame,
  requests: DataFrame,
  window: Window,
  contract: Record<string, RouteWork> | undefined,
): Work | string {
  type Row = {
    time_us: number;
    query_id: string;
    calls: number;
    rows: number;
    exec_ms: number;
    query: string;
  };
  const rows = statements.toRecords() as Row[];
  const timesUs = [...new Set(rows.map(({ time_us }) => Number(time_us)))];
  const gap = findGap(timesUs, window);
  if (gap !== null) return gap;
  const answered = countRoutes(requests, window);
  const work: Work = {
    requests: answered.reduce((sum, { count }) => sum + count, 0),
    serviceMs: answered.reduce((sum, { serviceMs }) => sum + serviceMs, 0),
    dataStatements: 0,
    rows: 0,
    transactionControl: 0,
    setup: 0,
    dataMs: 0,
    otherMs: 0,
    contract: contract === undefined ? null : sumContract(answered, contract),
  };
  for (const own of Map.groupBy(rows, ({ query_id }) => query_id).values()) {
    const byTime = new Map(own.map((row) => [Number(row.time_us), row]));
    // What has been counted does not vanish.
    const calls = timesUs.map((timeUs) => Number(byTime.get(timeUs)?.calls ?? 0));
    if (calls.some((count, i) => count < (calls[i - 1] ?? 0))) {
      return `the calls of statement ${own[0]!.query_id} fall`;
    }
    const within = (column: "calls" | "rows" | "exec_ms") => {
      const values = timesUs.map((timeUs) => Number(byTime.get(timeUs)?.[column] ?? 0));
      const series = { timesUs, values };
      return counterAt(series, window.endUs) - counterAt(series, window.startUs);
    };
    const kind = statementKind(own[0]!.query);
    const count = within("calls");
    if (kind === "data") {
      work.dataStatements += count;
      work.rows += within("rows");
      work.dataMs += within("exec_ms");
    } else {
      work[kind === "transaction" ? "transactionControl" : "setup"] += count;
      work.otherMs += within("exec_ms");
    }
  }
  return work;
}

/** Correct answers of one route. */
interface Answers {
  route: string;
  count: number;
  /** Their service times, all together. */
  serviceMs: number;
}

/** Correct answers within the window, by route. */
function countRoutes(requests: DataFrame, window: Window): Answers[] {
  const counts = new Map<string, Answers>();
  const routes = requests.getColumn("route").toArray() as string[];
  const { length, startUs, serviceUs, outcome } = requestColumns(requests);
  for (let i = 0; i < length; i++) {
    const endUs = startUs[i]! + serviceUs[i]!;
    if (outcome[i] !== OUTCOMES.correct || endUs < window.startUs || endUs >= window.endUs) {
      continue;
    }
    const own = counts.get(routes[i]!) ?? { route: routes[i]!, count: 0, serviceMs: 0 };
    counts.set(own.route, own);
    own.count++;
    own.serviceMs += serviceUs[i]! / 1000;
  }
  return [...counts.values()];
}

function sumContract(
  answered: readonly Answers[],
  contract: Record<string, RouteWork>,
): RouteWork | null {
  const sum = { statements: 0, rows: 0 };
  for (const { route, count } of answered) {
    const work = contract[route];
    if (work === undefined) return null;
    sum.statements += count * work.statements;
    sum.rows += count * work.rows;
  }
  return sum;
}
