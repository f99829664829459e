/**
 * What the workers of an app write about their requests (`apps/timings/`).
 *
 * @module
 */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { AppTimings } from "./engine.ts";
import type { KeptFiles } from "./kept_files.ts";

/** The file beside the workers' own that has them pause while it is not empty. */
export const PAUSED_FILE = "paused";

/**
 * Reads a worker's line.
 *
 * @param worker The worker's pid, which is its file's name.
 * @param line The line: numbers between blanks, the last of them the first again.
 * @returns Null for a line that was read while it was being written, or of another file.
 *
 * @example
 * ```ts
 * import { parseAppTimings } from "./app_timings.ts";
 *
 * const timings = parseAppTimings("7", "1000 2 90 5 0 0 60 1000  ");
 * console.assert(timings?.requests === 2 && timings.databaseUs === 60);
 * console.assert(parseAppTimings("7", "1000 2 90 5 0 0 60 900") === null);
 * ```
 */
export function parseAppTimings(worker: string, line: string): AppTimings | null {
  const fields = line.trim().split(" ").map(Number);
  if (!/^\d+$/.test(worker) || fields.length !== 8 || !fields.every(Number.isSafeInteger)) {
    return null;
  }
  const [timeUs, requests, handlerUs, poolWaitUs, connectUs, connections, databaseUs, again] =
    fields as [number, number, number, number, number, number, number, number];
  if (timeUs !== again) return null;
  return {
    ...{ timeUs, worker: Number(worker), requests, handlerUs, poolWaitUs, connectUs },
    ...{ connections, databaseUs },
  };
}

/**
 * Reads the files of all workers in a folder of this machine; none where no worker has begun.
 *
 * @param folder The folder.
 * @param files Keeps them open.
 */
export function readAppTimings(folder: string, files: KeptFiles): AppTimings[] {
  let workers: string[];
  try {
    workers = readdirSync(folder).filter((name) => name !== PAUSED_FILE);
  } catch {
    return [];
  }
  return workers.map((worker) => parseAppTimings(worker, files.read(join(folder, worker)) ?? ""))
    .filter((timings) => timings !== null);
}
