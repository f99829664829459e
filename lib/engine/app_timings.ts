/**
 * What the workers of an app write about their requests (`apps/timings/`).
 *
 * @module
 */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { AppTimings } from "./engine.ts";
import type { KeptFiles } from "./kept_files.ts";

/** The file beside the workers' own that has them pause while it holds {@linkcode PAUSE}. */
export const PAUSED_FILE = "paused";
export const PAUSE = "1";
export const GO_ON = "0";

/** How often a line is read anew that was being written. */
const TRIES = 5;

/**
 * Reads a worker's line.
 *
 * @param worker The worker's pid, which is its file's name.
 * @param line The line: numbers between blanks, times in nanoseconds, the last number the first again.
 * @returns Null for a line that was read while it was being written, or of another file.
 *
 * @example
 * ```ts
 * import { parseAppTimings } from "./app_timings.ts";
 *
 * const timings = parseAppTimings("7", "02 90000 5000 0 0 60000 02\n");
 * console.assert(timings?.requests === 2 && timings.databaseUs === 60);
 * console.assert(parseAppTimings("7", "02 90000 5000 0 0 60000 01\n") === null);
 * ```
 */
export function parseAppTimings(worker: string, line: string): AppTimings | null {
  const fields = line.trim().split(" ").map(Number);
  if (!/^\d+$/.test(worker) || fields.length !== 7 || !fields.every(Number.isSafeInteger)) {
    return null;
  }
  const [requests, handlerNs, poolWaitNs, connectNs, connections, databaseNs, again] = fields as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (requests !== again) return null;
  const us = (ns: number) => Math.floor(ns / 1000);
  return {
    ...{ worker: Number(worker), requests, handlerUs: us(handlerNs), poolWaitUs: us(poolWaitNs) },
    ...{ connectUs: us(connectNs), connections, databaseUs: us(databaseNs) },
  };
}

/**
 * The timings of all workers.
 *
 * @param read Reads their files' lines, by the files' names; again for a line that was being written,
 * which of many requests and few readings is rare.
 * @returns None of a worker whose line was being written each time.
 */
export async function allAppTimings(
  read: () => [name: string, line: string][] | Promise<[name: string, line: string][]>,
): Promise<AppTimings[]> {
  const found = new Map<string, AppTimings>();
  for (let tries = 0; tries < TRIES; tries++) {
    const lines = (await read()).filter(([name]) => name !== PAUSED_FILE && !found.has(name));
    for (const [name, line] of lines) {
      const timings = parseAppTimings(name, line);
      if (timings !== null) found.set(name, timings);
    }
    if (lines.every(([name]) => found.has(name))) break;
  }
  return [...found.values()];
}

/**
 * Reads the files of all workers in a folder of this machine; none where no worker has begun.
 *
 * @param folder The folder.
 * @param files Keeps them open.
 */
export function readAppTimings(folder: string, files: KeptFiles): Promise<AppTimings[]> {
  return allAppTimings(() => {
    let workers: string[];
    try {
      workers = readdirSync(folder);
    } catch {
      return [];
    }
    return workers.map((worker) => [worker, files.read(join(folder, worker)) ?? ""]);
  });
}
