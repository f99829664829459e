/** What a run's requests had the database do: equal work is what makes frameworks comparable. */

import type { DataFrame } from "nodejs-polars";

import type { RouteWork } from "../store/manifest.ts";
import { findFall, findGap, growthWithin, numbersOf } from "./readings.ts";
import { cutWindow, type Window } from "./window.ts";

const TRANSACTION =
  /^(begin|start transaction|commit|end|rollback|abort|savepoint|release|prepare transaction)\b/i;
const DATA = /^(select|insert|update|delete|merge|with|values|table|copy)\b/i;
/** The system's own relations, by which a driver or an ORM finds out where it is. */
const SYSTEM = /\b(pg_catalog|information_schema)\.|\bfrom\s+pg_/i;

export function statementKind(query: string): "data" | "transaction" | "setup" {
  const text = query.replace(/^(\s|--[^\n]*\n|\/\*.*?\*\/|\()+/s, "");
  if (TRANSACTION.test(text)) return "transaction";
  if (!DATA.test(text) || SYSTEM.test(text)) return "setup";
  // A statement that names no relation carries no data: a ping, a function of the session.
  return /^(select|with)\b/i.test(text) && !/\bfrom\b/i.test(text) ? "setup" : "data";
}

export type Work = Exclude<ReturnType<typeof workWithin>, string>;

/** The work of a window, or a text that says why it cannot be told. */
export function workWithin(
  statements: DataFrame,
  requests: DataFrame,
  window: Window,
  contract: Record<string, RouteWork> | undefined,
) {
  const timesUs = [...new Set(numbersOf(statements, "time_us"))];
  const gap = findGap(timesUs, window);
  if (gap !== null) return gap;
  const answers = countRoutes(requests, window);
  const answered = sumOf(answers, ({ count }) => count);
  const work = {
    requests: answered,
    /** Of them, how many may have been counted on the other side of an end that was read late. */
    astride: answered * distanceToReadings(timesUs, window) / (window.endUs - window.startUs),
    /** Their service times, all together, in milliseconds. */
    serviceMs: sumOf(answers, ({ serviceMs }) => serviceMs),
    /** Statements that read or write data, and the rows that they returned. */
    dataStatements: 0,
    rows: 0,
    /** `BEGIN`, `COMMIT`, `ROLLBACK` and the like: the framework's own cost. */
    transactionControl: 0,
    /** Everything else: settings and look-ups of a new connection, pings. */
    setup: 0,
    /** PostgreSQL's execution time of the data statements, and of all others, in milliseconds. */
    dataMs: 0,
    otherMs: 0,
    /** What the contract lets the same requests ask for; null where a route of the app says nothing. */
    contract: sumContract(answers, contract),
  };
  type Counter = "calls" | "rows" | "exec_ms";
  type Row = Record<"time_us" | Counter, number> & Record<"query_id" | "query", string>;
  const rows = statements.toRecords() as Row[];
  for (const own of Map.groupBy(rows, ({ query_id }) => query_id).values()) {
    const { query, query_id } = own[0]!;
    const byTime = new Map(own.map((row) => [Number(row.time_us), row]));
    const valuesOf = (column: Counter) =>
      timesUs.map((timeUs) => Number(byTime.get(timeUs)?.[column] ?? 0));
    // What has been counted does not vanish.
    if (findFall(valuesOf("calls")) > 0) return `the calls of statement ${query_id} fall`;
    const within = (column: Counter) => growthWithin({ timesUs, values: valuesOf(column) }, window);
    const kind = statementKind(query);
    if (kind === "data") {
      work.dataStatements += within("calls");
      work.rows += within("rows");
      work.dataMs += within("exec_ms");
    } else {
      work[kind === "transaction" ? "transactionControl" : "setup"] += within("calls");
      work.otherMs += within("exec_ms");
    }
  }
  return work;
}

/** From the ends of a window to the readings nearest to them, together, in microseconds. */
function distanceToReadings(timesUs: readonly number[], { startUs, endUs }: Window): number {
  const nearest = (atUs: number) => Math.min(...timesUs.map((timeUs) => Math.abs(timeUs - atUs)));
  return nearest(startUs) + nearest(endUs);
}

type Answers = ReturnType<typeof countRoutes>[number];

/** Correct answers within the window, by route. */
function countRoutes(requests: DataFrame, window: Window) {
  const counts = new Map<string, { route: string; count: number; serviceMs: number }>();
  const routes = requests.getColumn("route").toArray() as string[];
  const { correct, requests: { serviceUs } } = cutWindow(requests, window);
  for (const i of correct) {
    const own = counts.get(routes[i]!) ?? { route: routes[i]!, count: 0, serviceMs: 0 };
    counts.set(own.route, own);
    own.count++;
    own.serviceMs += serviceUs[i]! / 1000;
  }
  return [...counts.values()];
}

/** What a contract asks for some answers; null where it says nothing of one of their routes. */
function sumContract(
  answers: readonly Answers[],
  contract: Record<string, RouteWork> | undefined,
): RouteWork | null {
  if (contract === undefined || answers.some(({ route }) => contract[route] === undefined)) {
    return null;
  }
  return {
    statements: sumOf(answers, ({ route, count }) => count * contract[route]!.statements),
    rows: sumOf(answers, ({ route, count }) => count * contract[route]!.rows),
  };
}

function sumOf(answers: readonly Answers[], value: (own: Answers) => number): number {
  return answers.reduce((total, own) => total + value(own), 0);
}
