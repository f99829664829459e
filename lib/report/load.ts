/**
 * A load on a service that already ran, in words and numbers.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import { measureWords } from "../wording/claims.ts";
import { loadWords as say } from "../wording/load.ts";
import { tableWords } from "../wording/tables.ts";
import { polars } from "../frames/polars.ts";
import { levelLabel } from "../scenario.ts";
import { deliveryTrouble, MAX_FAILED_SHARE } from "../stats/delivery.ts";
import { type LatencyMs, leastRequests, type PercentileName, PERCENTS } from "../stats/latency.ts";
import {
  isLowerBound,
  measure,
  measureCut,
  type Measures,
  noMeasures,
} from "../stats/summarise.ts";
import { cutWindow, type WindowCut } from "../stats/window.ts";
import type { LoadManifest } from "../store/load_manifest.ts";

/** A load in numbers. */
export interface LoadSummary {
  manifest: LoadManifest;
  measures: Measures;
  /** Answers per second of the window, failures among them. */
  rps: number;
  /** What failed and how often, the most frequent first. */
  errors: { error: string; count: number }[];
  /** By route, where there are several. */
  routes: { route: string; measures: Measures }[];
  /** Why the load is not accepted, in one sentence; null when it is. */
  rejection: string | null;
}

/**
 * Sums a load up.
 *
 * @param manifest The load's manifest.
 * @param requests Its requests; null where there are none.
 */
export function summariseLoad(manifest: LoadManifest, requests: DataFrame | null): LoadSummary {
  const { window, arrivalRate, cause } = manifest;
  if (window === null || requests === null) {
    const measures = noMeasures();
    return { manifest, measures, rps: 0, errors: [], routes: [], rejection: cause };
  }
  const openLoop = arrivalRate !== null;
  const { col, lit } = polars();
  const cut = cutWindow(requests, window, openLoop);
  const routes = manifest.routes.length < 2 ? [] : manifest.routes.map((path) => ({
    route: path,
    measures: measure(requests.filter(col("route").eq(lit(`GET ${path}`))), window, openLoop),
  }));
  const measures = measureCut(cut, window, openLoop);
  const errors = countErrors(requests, cut);
  return {
    manifest,
    measures,
    rps: cut.answeredInWindow / ((window.endUs - window.startUs) / 1e6),
    errors,
    routes,
    rejection: cause ?? describeFailedShare(measures, errors),
  };
}

/** What failed of the requests that count; what has no answer is told apart from that. */
function countErrors(requests: DataFrame, { failed }: WindowCut): LoadSummary["errors"] {
  const names = requests.getColumn("error").toArray() as string[];
  const counts = new Map<string, number>();
  for (const i of failed) counts.set(names[i]!, (counts.get(names[i]!) ?? 0) + 1);
  return [...counts].map(([error, count]) => ({ error, count }))
    .sort((a, b) => b.count - a.count || a.error.localeCompare(b.error));
}

/** What is said where too many requests failed for the load to be accepted. */
function describeFailedShare(
  { requests, failures }: Measures,
  errors: LoadSummary["errors"],
): string | null {
  if (failures <= MAX_FAILED_SHARE * requests) return null;
  return say.failedShare(failures, requests, errors[0]!.error);
}

/** What `--json` prints: a percentile that too few requests allow is null. */
export interface LoadJson {
  /** Scheme, host and port. */
  url: string;
  /** The paths asked for, as they were sent. */
  routes: string[];
  /** `closed`: users that wait for their answers; `open`: requests due at given times. */
  loop: "closed" | "open";
  /** Null in an open loop. */
  users: number | null;
  /** Requests due per second; null in a closed loop. */
  arrival_rate: number | null;
  warm_up_s: number;
  /** Seconds measured; 0 when it ended within its warm-up. */
  duration_s: number;
  /** Whether it was ended before its time. */
  interrupted: boolean;
  /** Whether the load is accepted; see `docs/exit-status.md`. */
  accepted: boolean;
  /** Why it is not, in one sentence; null when it is. */
  cause: string | null;
  /** Answered requests of the window, failures among them. */
  requests: number;
  failures: number;
  /** What failed and how often, the most frequent first. */
  errors: { error: string; count: number }[];
  /** Answers per second, failures among them. */
  rps: number;
  /** Null in a closed loop. */
  response_ms: LatencyMs | null;
  service_ms: LatencyMs;
  late: number;
  dropped: number;
  /** The folder of the run's files. */
  folder: string;
}

/**
 * The summary as one JSON object.
 *
 * @param summary The load.
 * @param folder Where its files are.
 */
export function loadJson(
  { manifest, measures, rps, errors, rejection }: LoadSummary,
  folder: string,
): LoadJson {
  const { window } = manifest;
  return {
    url: manifest.url,
    routes: manifest.routes,
    loop: manifest.arrivalRate === null ? "closed" : "open",
    users: manifest.users,
    arrival_rate: manifest.arrivalRate,
    warm_up_s: manifest.warmUpS,
    duration_s: window === null ? 0 : round((window.endUs - window.startUs) / 1e6),
    interrupted: manifest.interrupted,
    accepted: rejection === null,
    cause: rejection,
    requests: measures.requests,
    failures: measures.failures,
    errors,
    rps: round(rps),
    response_ms: measures.responseMs && roundAll(measures.responseMs),
    service_ms: roundAll(measures.serviceMs),
    late: measures.delivery?.late ?? 0,
    dropped: measures.delivery?.dropped ?? 0,
    folder,
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function roundAll(latency: LatencyMs): LatencyMs {
  return Object.fromEntries(
    Object.entries(latency).map(([name, ms]) => [name, ms === null ? null : round(ms)]),
  ) as LatencyMs;
}

/** So many causes of failures are told; there may be one per request. */
const MAX_CAUSES = 5;

const NAMES = Object.keys(PERCENTS) as PercentileName[];

/** Rows as aligned text: the first column left, the others right. */
function alignRows(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
      .trimEnd()
  );
}

function latencyRow(name: string, latency: LatencyMs, exactUpTo = 100): string[] {
  return [
    name,
    ...NAMES.map((key) => {
      const ms = latency[key];
      if (ms === null) return "–";
      return tableWords.milliseconds(ms, isLowerBound({ exactUpTo }, PERCENTS[key]));
    }),
  ];
}

/** The latency of a median and of the slowest that can be told, in one sentence. */
function readLatency({ manifest, measures }: LoadSummary): string {
  const open = measures.responseMs !== null;
  const latency = measures.responseMs ?? measures.serviceMs;
  const known = NAMES.filter((name) => latency[name] !== null);
  if (known.length === 0) return say.tooFew(leastRequests(50));
  const [first, last] = [known[0]!, known.at(-1)!];
  const time = (name: PercentileName) =>
    say.time(latency[name]!, isLowerBound(measures, PERCENTS[name]));
  const half = open ? say.halfAnswered(time(first)) : say.halfTook(time(first));
  const most = last === first ? "" : say.most(PERCENTS[last], time(last));
  return `${half}${most}.${open ? "" : ` ${say.usersWait(manifest.users!)}`}`;
}

/** What is wrong with the load or the service, a line each. */
function warnings({ rejection, measures }: LoadSummary): string[] {
  const trouble = deliveryTrouble(measures.delivery);
  return [
    rejection === null ? [] : [say.failed(rejection)],
    trouble === null ? [] : [say.notDelivered(trouble)],
    NAMES.some((name) => {
        const known = (measures.responseMs ?? measures.serviceMs)[name] !== null;
        return known && isLowerBound(measures, PERCENTS[name]);
      })
      ? [say.unfinished(measures.unfinished)]
      : [],
  ].flat();
}

/** A load in words, its parts in the order of the summary for people. */
export interface LoadWords {
  /** What was loaded, and how; or that nothing was measured. */
  head: string;
  /** Latencies, a row each, below their header; empty where nothing was measured. */
  latencies: string[][];
  /** Requests, failures and what was not delivered. */
  counts: string | null;
  /** What failed, the most frequent first. */
  errors: string[];
  /** What is wrong with the load or the service. */
  warnings: string[];
  /** The sentence that reads the latencies. */
  reading: string | null;
}

/** Puts a load into words. */
export function describeLoad(summary: LoadSummary): LoadWords {
  const { manifest, measures, rps, errors, routes } = summary;
  const { window, warmUpS, arrivalRate, arrivals, client } = manifest;
  if (window === null) {
    // With a cause, that is the reason; a warning says it.
    const isEarly = manifest.interrupted && manifest.cause === null;
    return {
      head: isEarly ? say.endedInWarmUp(warmUpS) : say.nothing,
      latencies: [],
      counts: null,
      errors: [],
      warnings: warnings(summary),
      reading: null,
    };
  }
  const where = manifest.routes.length === 1 && manifest.routes[0] !== "/"
    ? manifest.url + manifest.routes[0]
    : manifest.url;
  const loop = arrivalRate === null
    ? say.closedLoop(levelLabel(manifest))
    : say.openLoop(levelLabel(manifest), arrivals);
  const seconds = (window.endUs - window.startUs) / 1e6;
  const early = manifest.interrupted ? say.endedEarly : "";
  const { requests, failures, delivery, responseMs, serviceMs, exactUpTo } = measures;
  return {
    head: say.head(where, loop, client, seconds, warmUpS) + early,
    latencies: [
      ["ms", ...NAMES.map((name) => name.toUpperCase())],
      ...(responseMs === null ? [] : [latencyRow(measureWords.response, responseMs, exactUpTo)]),
      latencyRow(measureWords.service, serviceMs, responseMs === null ? exactUpTo : 100),
      ...routes.map(({ route, measures: own }) =>
        latencyRow(`  ${route}`, own.responseMs ?? own.serviceMs, own.exactUpTo)
      ),
    ],
    counts: say.counts(requests, rps, failures) + (delivery === null ? "" : say.delivery(delivery)),
    errors: errors.slice(0, MAX_CAUSES).map(({ error, count }) => `${count} × ${error}`),
    warnings: warnings(summary),
    reading: requests > failures ? readLatency(summary) : null,
  };
}

/**
 * The summary for people: what was done, the latencies, the counts, and a sentence that reads them.
 *
 * @param summary The load.
 * @param folder Where its files are, as it is shown.
 */
export function loadLines(summary: LoadSummary, folder: string): string[] {
  const { head, latencies, counts, errors, warnings, reading } = describeLoad(summary);
  return [
    head,
    ...(latencies.length === 0 ? [] : ["", ...alignRows(latencies), ""]),
    ...(counts === null ? [] : [counts]),
    ...errors.map((error) => `  ${error}`),
    ...warnings,
    ...(reading === null ? [] : [reading]),
    say.files(folder),
  ];
}
