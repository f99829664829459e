/** The words of a load on a service that already ran. */

import type { Delivery } from "../stats/delivery.ts";
import { formatCount, formatNumber, formatPercent } from "./format.ts";

/** A load's summary and report. */
export const loadWords = {
  title: (url: string) => `Load on ${url}`,
  nothing: "Nothing was measured",
  endedInWarmUp: (warmUpS: number) =>
    `Nothing was measured: the load was ended within its ${warmUpS} s of warm-up`,
  closedLoop: (level: string) => `closed loop of ${level}`,
  openLoop: (level: string, arrivals: string) => `open loop at ${level}, ${arrivals} arrivals`,
  head: (where: string, loop: string, client: string, seconds: number, warmUpS: number) =>
    `${where}: ${loop}, ${client} client, ` +
    `${formatNumber(seconds)} s measured after ${warmUpS} s of warm-up`,
  endedEarly: " (ended early)",
  counts: (requests: number, rps: number, failures: number) =>
    `${formatCount(requests, "request")}, ${formatNumber(rps)} answers/s, ` +
    `${formatCount(failures, "failure")}${share(failures, requests)}`,
  delivery: ({ arrivals, late, dropped }: Delivery) =>
    `, ${late} sent late${share(late, arrivals)}, ${dropped} dropped${share(dropped, arrivals)}`,
  files: (folder: string) => `Files: ${folder}`,
  failedShare: (failures: number, requests: number, error: string) =>
    `${formatPercent(failures / requests)} of the requests failed ` +
    `(${failures} of ${requests}), most of them with "${error}"`,
  failed: (why: string) => `FAILED: ${why}`,
  notDelivered: (trouble: string) =>
    `WARNING: ${trouble}; the response times include that delay: try a lower rate, more --processes or a less busy machine`,
  unfinished: (requests: number) =>
    `${formatCount(requests, "request")} had no answer at the end; ≥ marks lower bounds`,
  tooFew: (needed: number) =>
    `Too few answers for any percentile: the median needs ${needed}; load longer or faster.`,
  time: (ms: number, isBound: boolean) => `${isBound ? "at least " : ""}${formatNumber(ms)} ms`,
  halfAnswered: (time: string) =>
    `Half of the requests were answered within ${time} of their due time`,
  halfTook: (time: string) => `Half of the correct answers took up to ${time}`,
  most: (percent: number, time: string) => `, ${percent}% within ${time}`,
  usersWait: (users: number) =>
    `In a closed loop ${users === 1 ? "the user" : `each of the ${formatCount(users, "user")}`} ` +
    "waits for an answer before sending again, so a slow service gets fewer requests: to see how " +
    "long clients wait, give --arrival-rate.",
} as const;

function share(n: number, of: number): string {
  return of === 0 || n === 0 ? "" : ` (${formatPercent(n / of)})`;
}
