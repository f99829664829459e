/** What the workers of an app write about their requests (`apps/timings/`). */

import { setTimeout as sleep } from "node:timers/promises";

/** The file beside the workers' own that has them pause while it holds {@linkcode PAUSE}. */
export const PAUSED_FILE = "paused";
export const PAUSE = "1";
export const GO_ON = "0";

/** What a worker's page holds: so many numbers of eight bytes, by the order of the machine. */
export const PAGE_NUMBERS = 7;

/** How often a page is read anew that was being written, and after how long. */
const TRIES = 5;
const RETRY_MS = 2;

/** A worker's page, by its file's name, which is the worker's pid. */
export type Page = [name: string, numbers: readonly number[]];

/**
 * What the requests took that a worker process of the app has answered by now, as it saw them itself.
 * Counters are cumulative; of a busy worker estimates, by each n-th request with n times its weight.
 */
export interface AppTimings {
  /** The worker's pid, as it sees it. */
  worker: number;
  requests: number;
  /** From the app's first touch of a request to its answer. */
  handlerUs: number;
  /** Of that, waiting for a connection of the app's own pool, without opening one. */
  poolWaitUs: number;
  /** Opening connections, and how many were opened. */
  connectUs: number;
  connections: number;
  /** Waiting for answers of the database. */
  databaseUs: number;
}

/**
 * Reads a worker's page.
 *
 * @param page Its numbers, times among them in nanoseconds, the last the first again.
 * @returns Null for a page that was read while it was being written, or for another file.
 *
 * @example
 * ```ts
 * import { parseAppTimings } from "./app_timings.ts";
 *
 * const timings = parseAppTimings(["7", [2, 90_000, 5000, 0, 0, 60_000, 2]]);
 * console.assert(timings?.requests === 2 && timings.databaseUs === 60);
 * console.assert(parseAppTimings(["7", [2, 90_000, 5000, 0, 0, 60_000, 3]]) === null);
 * ```
 */
export function parseAppTimings([name, numbers]: Page): AppTimings | null {
  if (!/^\d+$/.test(name) || numbers.length !== PAGE_NUMBERS) return null;
  const [requests, handlerNs, poolWaitNs, connectNs, connections, databaseNs, begun] = numbers;
  if (requests !== begun) return null;
  const us = (ns: number | undefined) => Math.floor(ns! / 1000);
  return {
    worker: Number(name),
    requests: requests!,
    handlerUs: us(handlerNs),
    poolWaitUs: us(poolWaitNs),
    connectUs: us(connectNs),
    connections: connections!,
    databaseUs: us(databaseNs),
  };
}

/**
 * The timings of all workers.
 *
 * @param read Reads their pages; again for one that was being written, which of many requests and few
 * readings is rare.
 * @returns None of a worker whose page was being written each time.
 */
export async function allAppTimings(read: () => Page[] | Promise<Page[]>): Promise<AppTimings[]> {
  const found = new Map<string, AppTimings>();
  for (let tries = 0; tries < TRIES; tries++) {
    const pages = (await read()).filter(([name]) => name !== PAUSED_FILE && !found.has(name));
    for (const page of pages) {
      const timings = parseAppTimings(page);
      if (timings !== null) found.set(page[0], timings);
    }
    if (pages.every(([name]) => found.has(name))) break;
    // Who writes it may have been put off its core in the midst of that, by this very program.
    await sleep(RETRY_MS);
  }
  return [...found.values()];
}
