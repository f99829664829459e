/** The published result beside a study, and its flaws. */

import { formatCount, formatList, formatNumber, formatRatio, formatRounds } from "./format.ts";

/** The table of the published result. */
export const publishedWords = {
  caption: (users: number, study: string) =>
    `The published result (one run per cell, ${formatCount(users, "user")}, RPS direct → pooled) ` +
    `against ${study}`,
  cell: (direct: string, pooled: string, ratio: number | null) =>
    `${direct} → ${pooled}${ratio === null ? "" : `: ${formatRatio(ratio)}`}`,
  publishedCell: (direct: number, pooled: number, note: string | null) =>
    `${direct} → ${pooled}: ${formatRatio(pooled / direct)}` +
    (note === null ? "" : `; direct failed, ${direct} is ${note}`),
  equalWithin: "indistinguishable here; published ratio inside the interval",
  equalBeyond: "not met: indistinguishable here",
  opposite: "not met: the opposite direction",
  sameWithin: "met: same direction, published ratio inside the interval",
  sameBeyond: "met: same direction, published ratio outside the interval",
} as const;

/** The flaws, and by flaw what holds of a study in which no gate names it. */
export const flawWords = {
  title: (study: string) => `The published result's flaws, and ${study}`,
  flaws: {
    quota: "Every cell sat at a CPU quota, which decided the throughput",
    multiplexing: "Sync apps had 6 connections against a pool of 20: nothing was multiplexed",
    reconnects: "The largest gain came from an app that reconnected per request, not from pooling",
    budgets: "Frameworks had 6 and 160 connections",
    settings: "Prepared statements were off in one arm alone",
    work: "Frameworks sent different numbers of queries per request",
    rounds: "One run per cell",
    order: "Cells ran in a fixed order",
    ramp: "The ramp was counted as measurement",
    readiness: "Readiness was a fixed sleep of 30 s, 38 s lost per cell",
  },
  quota: "not repeated: no service reached its quota",
  multiplexing: "not repeated: every pooled app may open more connections than the pool has",
  noReconnects: "not repeated: no app reconnected, so there was no churn to spare PostgreSQL",
  reconnects: (pair: string, direct: number, pooled: number, shared: boolean) =>
    `${pair} opened ${formatNumber(direct)} sessions per 1,000 requests direct, ` +
    `${formatNumber(pooled)} pooled, and shared ` +
    (shared ? "server connections too" : "no server connections"),
  budgets: "not repeated: all apps may open equally many connections",
  settings: "not repeated: both paths have the same settings",
  work: (counted: readonly [app: string, statements: number][]) => {
    const apps = formatList(counted.map(([app, statements]) => `${app} ${statements.toFixed(2)}`));
    return "not repeated: one contract, answers compared before each load" +
      (apps === "" ? "" : `; PostgreSQL counted data statements per request: ${apps}`);
  },
  rounds: (rounds: number, blocks?: readonly number[]) =>
    "not repeated: " +
    (blocks === undefined || blocks.length === 0
      ? formatCount(rounds, "round")
      : formatRounds(blocks.map((blocks) => ({ n: rounds, blocks })))),
  order: {
    round: "not repeated: each round drew an order of its own",
    block: "not repeated: each block drew an order of its own",
  },
  ramp: (warmUpS: number) => `not repeated: the ramp was over within the ${warmUpS} s of warm-up`,
  readiness: (overheadS: number | null) =>
    "not repeated: each service was waited for until it was ready" +
    (overheadS === null ? "" : `; ${overheadS.toFixed(1)} s per run outside the load (median)`),
} as const;
