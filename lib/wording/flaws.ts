/**
 * The published result's flaws, and what is said where a study does not repeat them.
 *
 * @module
 */

import { formatList, formatNumber } from "./format.ts";

const waited = "not repeated: every service was waited for by condition";

/** By flaw: its name, and what holds here where no gate fired. */
export const flawWords = {
  title: (study: string) => `The published result's flaws, and ${study}`,
  quota: {
    flaw: "Every cell sat at a CPU quota, which decided the throughput",
    here: "not repeated: no service reached its quota",
  },
  multiplexing: {
    flaw: "Sync apps had 6 connections against a pool of 20: nothing was multiplexed",
    here: "not repeated: every pooled app may open more connections than the pool has",
  },
  reconnects: {
    flaw: "The largest gain came from an app that reconnected per request, not from pooling",
    none: "not repeated: no app reconnected, so that PostgreSQL had no churn to be spared",
    here: (pair: string, direct: number, pooled: number, shared: boolean) =>
      `${pair} opened ${formatNumber(direct)} sessions per 1,000 requests direct, ${
        formatNumber(pooled)
      } pooled, and shared ${shared ? "server connections too" : "no server connections"}`,
  },
  budgets: {
    flaw: "Frameworks had 6 and 160 connections",
    here: "not repeated: all apps may open equally many",
  },
  settings: {
    flaw: "Prepared statements were off in one arm alone",
    here: "not repeated: both paths have the same settings",
  },
  work: {
    flaw: "Frameworks sent different numbers of queries per request",
    here: (counted: readonly [app: string, statements: number][]) =>
      `not repeated: one contract, answers compared before each load${
        counted.length === 0
          ? ""
          : `; PostgreSQL counted data statements per request: ${
            formatList(counted.map(([app, statements]) => `${app} ${statements.toFixed(2)}`))
          }`
      }`,
  },
  rounds: {
    flaw: "One run per cell",
    here: (rounds: number) => `not repeated: ${rounds} rounds`,
  },
  order: {
    flaw: "Cells ran in a fixed order",
    here: "not repeated: each round drew an order of its own",
  },
  ramp: {
    flaw: "The ramp was counted as measurement",
    here: (warmUpS: number) => `not repeated: the ramp was over within the ${warmUpS} s of warm-up`,
  },
  readiness: {
    flaw: "Readiness was a fixed sleep of 30 s, 38 s lost per cell",
    here: (overheadS: number | null) =>
      `${waited}${
        overheadS === null ? "" : `; ${overheadS.toFixed(1)} s per run outside the load (median)`
      }`,
  },
};
