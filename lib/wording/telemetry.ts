/**
 * What of the load reached the database, and PgBouncer's part in a difference between the paths.
 */

import {
  formatCount,
  formatList,
  formatNumber,
  formatPercent,
  formatSpan,
  nounFor,
} from "./format.ts";

/** An arm at a load, with its new sessions for 1,000 requests. */
interface Opened {
  arm: string;
  sessions: number;
}

/** The table of connections and work, and the sentences that read it. */
export const telemetryWords = {
  nothing: "No run counted what reached the database.",
  sessions: (most: Opened, least: Opened | null) =>
    `For 1,000 requests PostgreSQL opened **${formatNumber(most.sessions)}** new sessions for ` +
    most.arm + (least ? `, and ${formatNumber(least.sessions)} for ${least.arm}` : "") + ".",
  statements: (perRequest: readonly number[]) => {
    const statements = formatSpan(perRequest, (value) => value.toFixed(2));
    return `PostgreSQL executed ${statements} statements that read or write data per request.`;
  },
  caption: "Connections and work for the database",
  captionMarked:
    "Connections and work for the database; marked: not the contract's work, left out of all comparisons",
} as const;

type Thresholds = "churn" | "churnLeft" | "queuedMs" | "queuedShare" | "cheaper" | "rounds";

/** Its claims, the counts behind them, and where there is none. */
export const poolerWords = {
  noPair: "No pair of paths: nothing can be said of the pooler.",
  /** What each claim means: its trace, and after "and" its consequence. */
  claims: (least: Record<Thresholds, number>) =>
    "A difference between the paths may be ascribed to the pooler only where its trace was counted " +
    "and had a consequence. Reuse means that PgBouncer spared PostgreSQL new sessions (direct opened " +
    `at least ${least.churn} per 1,000 requests, pooled at most ` +
    `${formatPercent(least.churnLeft)} of them), and there was a gain. Multiplexing means that ` +
    "more client than server connections were open at their high-water marks, in a mode that " +
    "shares them, and there was a gain, or more clients than max_connections has room for. " +
    `Queueing means that clients waited for a server connection, at least ${least.queuedMs} ms ` +
    `per transaction, and that was at least ${formatPercent(least.queuedShare)} of a request's ` +
    `time. A gain is a higher throughput, or ${least.rounds} rounds or more in all of which ` +
    `PostgreSQL's CPU time per answer was at most ${formatPercent(least.cheaper)} of direct's. ` +
    "Where there is no claim, the pair measures only the extra hop.",
  line: (claims: string, pairs: readonly string[]) => `- **${claims}**: ${formatList(pairs)}`,
  notRecorded: "not recorded",
  onlyHop: (traces: readonly string[]) =>
    "measures only the extra hop" +
    (traces.length === 0 ? "" : `; ${formatList(traces)} had no measured consequence`),
  reuse: (direct: number, pooled: number) =>
    `${formatNumber(direct)} new sessions per 1,000 requests direct, ` +
    `${formatNumber(pooled)} pooled`,
  multiplexing: (clients: number, servers: number) =>
    `${clients} client ${nounFor(clients, "connection")} shared ` +
    `${servers} server ${nounFor(servers, "connection")}`,
  queueing: (waitMs: number, waitShare: number, starving: number) =>
    (starving < 1
      ? ""
      : `${formatCount(Math.round(starving), "client connection")} never got a server; `) +
    `for each transaction clients waited ${formatNumber(waitMs)} ms for a server connection, ` +
    `${formatPercent(waitShare)} of a request's time`,
  cheaper: (share: number) =>
    `PostgreSQL's CPU time per answer was at most ${formatPercent(share)} of direct's`,
  explained: (at: string, claims: string, figures: readonly string[], figuresAt: string | null) =>
    `PgBouncer's part ${at} was ${claims} ` +
    `(${figuresAt ? `${figuresAt} ` : ""}${figures.join("; ")})`,
  unexplained: (at: string) =>
    `pooled was higher ${at}, but PgBouncer left no trace that explains it`,
  unrecorded: (at: string) => `what PgBouncer did ${at} was not recorded`,
  table: "What a difference between the paths can be ascribed to",
} as const;
