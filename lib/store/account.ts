/**
 * The counts of a run's requests as the load generator wrote them down: its closing account
 * `final.json` and Locust's own totals, and whether all sources agree.
 *
 * @module
 */

import { join } from "node:path";
import { FileError } from "../errors.ts";
import { readJsonObject } from "./files.ts";
import { SCHEMA_VERSION } from "./layout.ts";
import type { FinalAccount, GeneratorProcess } from "./manifest.ts";

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

/** What each field of `final.json` must be. */
const FINAL_FIELDS: Record<
  Exclude<keyof FinalAccount, "processes" | "connections">,
  "count" | "number"
> = {
  schemaVersion: "count",
  requests: "count",
  failures: "count",
  unfinished: "count",
  warmUpRequests: "count",
  drainRequests: "count",
  arrivals: "count",
  late: "count",
  dropped: "count",
  loadStartUs: "count",
  windowStartUs: "count",
  windowEndUs: "count",
  usersAtWindowStart: "count",
  cpuS: "number",
  loopLagMaxMs: "number",
  loopLagMeanMs: "number",
};

/** What each field of its `processes` must be. */
const PROCESS_FIELDS: Record<keyof GeneratorProcess, "count" | "number"> = {
  seed: "count",
  loadStartUs: "count",
  windowStartUs: "count",
  windowEndUs: "count",
  requests: "count",
  cpuS: "number",
  loopLagMaxMs: "number",
};

/**
 * Reads the generator's closing account, `final.json`.
 *
 * @param folder The run's folder.
 * @throws {FileError} If it is missing or a field is not what it must be.
 */
export function readFinal(folder: string): FinalAccount {
  const file = join(folder, "final.json");
  const value = readJsonObject(file);
  checkFields(file, value, FINAL_FIELDS, "");
  if (!Array.isArray(value.processes) || value.processes.length === 0) {
    throw new FileError(file, null, 'field "processes" must be a list of at least one process');
  }
  for (const [i, process] of value.processes.entries()) {
    checkFields(file, Object(process), PROCESS_FIELDS, `processes[${i}].`);
  }
  const { connections = null } = value;
  if (connections !== null) checkFields(file, value, { connections: "count" }, "");
  const account = value as unknown as FinalAccount;
  if (account.schemaVersion !== SCHEMA_VERSION) {
    throw new FileError(
      file,
      null,
      `schema version is ${account.schemaVersion}, this Poolscope reads ${SCHEMA_VERSION}; use the version that wrote it`,
    );
  }
  return account;
}

/** Throws unless each field is a number of its kind. */
function checkFields(
  file: string,
  value: Record<string, unknown>,
  fields: Record<string, "count" | "number">,
  prefix: string,
): void {
  for (const [field, kind] of Object.entries(fields)) {
    const found = value[field];
    const holds = typeof found === "number" && Number.isFinite(found) && found >= 0 &&
      (kind === "number" || Number.isSafeInteger(found));
    if (!holds) {
      const state = found === undefined ? "is missing" : `is ${JSON.stringify(found)}`;
      const must = kind === "count" ? "a whole number" : "a number";
      throw new FileError(
        file,
        null,
        `field "${prefix}${field}" ${state}, must be ${must} of at least 0`,
      );
    }
  }
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
    return `the locustfile raised ${locust.exceptions} exceptions, whose requests are in no count; see locust_exceptions.csv`;
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
