/**
 * The words of what of the load reached the database.
 *
 * @module
 */

import { formatNumber, formatSpan } from "./format.ts";

/** An arm at a load, with its new sessions for 1,000 requests. */
interface Opened {
  arm: string;
  sessions: number;
}

/** The table of connections and work, and the sentences that read it. */
export const telemetryWords = {
  nothing: "No run counted what reached the database.",
  arm: (arm: string, level: string) => `${arm} at ${level}`,
  sessions: (most: Opened, least: Opened | null) =>
    `For 1,000 requests PostgreSQL opened **${
      formatNumber(most.sessions)
    }** new sessions for ${most.arm}${
      least === null ? "" : `, and ${formatNumber(least.sessions)} for ${least.arm}`
    }.`,
  statements: (perRequest: readonly number[]) =>
    `A request had it execute ${
      formatSpan(perRequest, (value) => value.toFixed(2))
    } statements that read or write data.`,
  caption: "Connections and work for the database",
  captionMarked:
    "Connections and work for the database; marked: not the contract's work, compared with nothing",
  columns: {
    sessions: "new sessions per 1,000 requests",
    logins: "logins to PgBouncer per 1,000",
    clients: "client connections, most",
    connections: "connections to PostgreSQL, most",
    statements: "data statements per request",
    rows: "rows per request",
    transactionControl: "BEGIN, COMMIT … per request",
    execution: "execution, ms per request",
    wait: "wait in PgBouncer, ms per request",
  },
} as const;
