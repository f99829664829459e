/**
 * The words that read an open loop.
 *
 * @module
 */

import { capitalise, formatCount, formatList } from "./format.ts";
import { loadWords } from "./load.ts";

const NONE = "No open loop was run";

/** An open loop's reading and table; or why there is none. */
export const openLoopWords = {
  none: NONE,
  notAsked: `${NONE}: the study's plan asks for none.`,
  toCome: `${NONE} yet: all runs of it are to come.`,
  studyFirst: (runs: number) =>
    `${NONE} yet: the study itself needs ${formatCount(runs, "more run")} first.`,
  ownUsers: `${NONE}: the users of the apps' own locustfiles decide when they send.`,
  noRates: (unaccepted: string) =>
    `${NONE}: its arrival rates are shares of what accepted closed-loop runs answered, ` +
    `and none was accepted: ${unaccepted}.`,
  leftOutForRates: (arms: readonly string[]) =>
    `Left out, for want of an accepted closed-loop run to take arrival rates from: ${
      formatList(arms)
    }.`,
  leftOutForUsers: (arms: readonly string[]) =>
    `Left out, as the users of their own locustfiles decide when they send: ${formatList(arms)}.`,
  measure: "latency at equal load",
  notRun: "not run",
  failed: (path: string) => `${path} failed`,
  rejected: (path: string) => `${path} rejected`,
  tooFew: (path: string) => `${path} with too few requests`,
  waited: (path: string, ms: number, isBound: boolean) => `${path} ${loadWords.time(ms, isBound)}`,
  pair: (pair: string, at: string, direct: string, pooled: string) =>
    `${pair} ${at} ${direct} and ${pooled}`,
  highest: (percentile: number, pairs: readonly string[], rounds: number) =>
    `At the highest rate, P${percentile} response time was for ${formatList(pairs)}${
      rounds === 1 ? ", in one run each" : `, medians of up to ${rounds} runs`
    }.`,
  rejections: (reasons: readonly string[]) =>
    `**Rejected, in no comparison:** ${capitalise(reasons.join("; "))}.`,
  failures: (runs: number, causes: readonly string[]) =>
    `${formatCount(runs, "run")} failed: ${causes.join("; ")}.`,
  caption: "P50 to P99 are response times, from when a request was due",
} as const;
