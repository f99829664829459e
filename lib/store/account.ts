/**
 * The counts of a run's requests as the load generator wrote them down: its closing account
 * `final.json` and Locust's own totals, and whether all sources agree.
 *
 * @module
 */

import { join } from "node:path";
import { readRecord } from "./files.ts";
import type { FinalAccount } from "./manifest.ts";
import { FINAL } from "./schemas.ts";

/** What the rows of `requests.csv` add up to. */
export interface Counts {
  /** All rows. */
  rows: number;
  /** Answered in the window, failures among them. */
  requests: number;
  /** Failed in the window. */
  failures: number;
  /** Without an answer at the window's end. */
  unfinished: number;
  /** Not sent at all, of those that were meant to start in the window. */
  dropped: number;
  /** Answered before the window; in an open loop, meant to start before it. */
  warmUpRequests: number;
  /** Meant to start after the window. */
  drainRequests: number;
}

/** What Locust's own files say. */
export interface LocustTotals {
  /** `Request Count` of the row `Aggregated`. */
  requests: number;
  /** `Failure Count` of the row `Aggregated`. */
  failures: number;
  /** Exceptions raised by the locustfile, warm-up included. */
  exceptions: number;
}

/**
 * Reads the generator's closing account, `final.json`.
 *
 * @param folder The run's folder.
 * @throws {FileError} If it is missing or a field is not what it must be.
 */
export function readFinal(folder: string): FinalAccount {
  return readRecord(join(folder, "final.json"), FINAL) as unknown as FinalAccount;
}

const COUNTED = [
  ...["requests", "failures", "unfinished", "dropped", "warmUpRequests", "drainRequests"] as const,
];

/**
 * Holds the counts of `requests.csv`, `final.json` and Locust's own CSVs against each other.
 *
 * @returns One sentence that says what disagrees; null when all agree.
 */
export function checkCounts(
  counts: Counts,
  final: FinalAccount,
  locust: LocustTotals,
): string | null {
  if (locust.exceptions > 0) {
    return `the locustfile raised ${locust.exceptions} exceptions, see locust_exceptions.csv; a task marks a wrong answer by response.failure()`;
  }
  for (const field of COUNTED) {
    if (counts[field] !== final[field]) {
      return `requests.csv has ${counts[field]} ${field}, final.json ${final[field]}`;
    }
  }
  const window = final.requests + final.unfinished + final.dropped;
  if (final.arrivals > 0 && window !== final.arrivals) {
    return `final.json has ${final.arrivals} arrivals, and accounts for ${window}`;
  }
  const expected = window + final.warmUpRequests + final.drainRequests;
  if (counts.rows !== expected) {
    return `requests.csv has ${counts.rows} rows, final.json accounts for ${expected}`;
  }
  for (const field of ["requests", "failures"] as const) {
    if (locust[field] !== final[field]) {
      return `locust_stats.csv has ${locust[field]} ${field}, final.json ${final[field]}`;
    }
  }
  return null;
}
