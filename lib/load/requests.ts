/**
 * The load generator's own files, read back: `requests.bin` becomes `requests.csv`, the closing
 * account is checked, and the counts of all three sources are held against each other.
 *
 * @module
 */

import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { REQUEST_COLUMNS, SCHEMA_VERSION } from "../store/layout.ts";
import type { FinalAccount } from "../store/manifest.ts";

/** What the generator did in its last second. */
export interface LiveSample {
  /** Seconds since the start of the load. */
  timeS: number;
  /** Which of the two phases it is in. */
  phase: "warm-up" | "window";
  /** Users running. */
  users: number;
  /** Requests answered per second, failures among them. */
  rps: number;
  /** Failed requests per second. */
  failuresPerS: number;
  /** 95th percentile of the service time; null when nothing was answered. */
  p95Ms: number | null;
}

/** Requests that ended alike. */
export interface ErrorCount {
  /** As in `requests.csv`. */
  error: string;
  /** How many in the window. */
  count: number;
  /** The first such error in full, of the warm-up if it was there; empty for `unfinished`. */
  example: string;
}

/** What the rows of `requests.csv` add up to. */
export interface RequestCounts {
  /** All rows. */
  rows: number;
  /** Answered in the window, failures among them. */
  requests: number;
  /** Failed in the window. */
  failures: number;
  /** Without an answer at the window's end. */
  unfinished: number;
  /** Answered before the window. */
  warmUpRequests: number;
  /** Failures and unfinished requests of the window, the most frequent first. */
  errors: ErrorCount[];
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

/** The rows of `requests.bin`, as in locust/recorder.py; all little-endian. */
const ROW = { start: 0, service: 8, bytes: 12, route: 16, status: 18, error: 20, size: 24 };
const UNFINISHED = "unfinished";
const ROWS_AT_ONCE = 16_384;

interface Tables {
  rowBytes: number;
  routes: string[];
  errors: { error: string; example: string }[];
}

/**
 * Turns `requests.bin` into `requests.csv` and removes it. Where Locust was killed, what it had
 * written by then is converted all the same, and then the missing `final.json` is reported.
 *
 * @param folder The run's folder.
 * @returns The counts of the window that `final.json` names.
 * @throws {PoolscopeError} If a file is missing or is not what the recorder writes.
 */
export async function convertRequests(folder: string): Promise<RequestCounts> {
  const bin = join(folder, "requests.bin");
  const tablesFile = join(folder, "requests.tables.json");
  const csv = join(folder, "requests.csv");
  const tables = readJson(tablesFile) as unknown as Tables;
  if (tables.rowBytes !== ROW.size) {
    throw new PoolscopeError(
      `Cannot convert ${bin}: its rows have ${tables.rowBytes} bytes, expected ${ROW.size}; use the locustfile of this checkout`,
    );
  }
  const final = existsSync(join(folder, "final.json")) ? readFinal(folder) : null;
  const counter = new Counter(tables, final);
  const routes = tables.routes.map(quote);
  const errors = tables.errors.map(({ error }) => quote(error));
  const input = await openFile(bin);
  try {
    const output = await open(`${csv}.tmp`, "w");
    try {
      await output.write(REQUEST_COLUMNS.join(",") + "\n");
      const chunk = new Uint8Array(ROWS_AT_ONCE * ROW.size);
      let left = 0; // bytes of a row that the last read cut
      for (;;) {
        const { bytesRead } = await input.read(chunk, left, chunk.length - left);
        if (bytesRead === 0) break;
        const filled = left + bytesRead;
        const rows = Math.floor(filled / ROW.size);
        await output.write(rowsToCsv(chunk, rows, routes, errors, counter));
        chunk.copyWithin(0, rows * ROW.size, filled);
        left = filled - rows * ROW.size;
      }
    } finally {
      await output.close();
    }
  } catch (error) {
    // Half a file would only take the space that a full disk lacks for the rest.
    rmSync(`${csv}.tmp`, { force: true });
    throw new PoolscopeError(`Cannot write ${csv}: ${(error as Error).message}`);
  } finally {
    await input.close();
  }
  renameSync(`${csv}.tmp`, csv);
  rmSync(bin);
  rmSync(tablesFile);
  if (final === null) {
    throw new PoolscopeError(
      `Cannot count the requests of ${folder}: final.json is missing, so Locust ended before its time; see its log`,
    );
  }
  return counter.counts();
}

function rowsToCsv(
  chunk: Uint8Array,
  rows: number,
  routes: string[],
  errors: string[],
  counter: Counter,
): string {
  const view = new DataView(chunk.buffer, 0, rows * ROW.size);
  let text = "";
  for (let at = 0; at < view.byteLength; at += ROW.size) {
    const start = view.getUint32(at + ROW.start + 4, true) * 2 ** 32 +
      view.getUint32(at + ROW.start, true);
    const service = view.getUint32(at + ROW.service, true);
    const error = view.getUint16(at + ROW.error, true);
    counter.add(start + service, error);
    text += `,${start},${service},,${routes[view.getUint16(at + ROW.route, true)]},${
      view.getUint16(at + ROW.status, true)
    },${errors[error]},${view.getUint32(at + ROW.bytes, true)}\n`;
  }
  return text;
}

function quote(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Adds up rows; a request belongs to the phase in which it was answered. */
class Counter {
  #tables: Tables;
  #startUs: number;
  #endUs: number;
  #unfinishedNumber: number;
  #rows = 0;
  #warmUp = 0;
  #byError: number[];

  constructor(tables: Tables, final: FinalAccount | null) {
    this.#tables = tables;
    this.#startUs = final?.windowStartUs ?? Infinity;
    this.#endUs = final?.windowEndUs ?? Infinity;
    this.#unfinishedNumber = tables.errors.findIndex(({ error }) => error === UNFINISHED);
    this.#byError = tables.errors.map(() => 0);
  }

  add(endUs: number, error: number): void {
    this.#rows++;
    if (error === this.#unfinishedNumber) this.#byError[error]!++;
    else if (endUs < this.#startUs) this.#warmUp++;
    else if (endUs < this.#endUs) this.#byError[error]!++;
  }

  counts(): RequestCounts {
    const unfinished = this.#byError[this.#unfinishedNumber] ?? 0;
    const requests = this.#byError.reduce((sum, count) => sum + count, 0) - unfinished;
    return {
      rows: this.#rows,
      requests,
      failures: requests - this.#byError[0]!,
      unfinished,
      warmUpRequests: this.#warmUp,
      errors: this.#tables.errors
        .map(({ error, example }, number) => ({ error, count: this.#byError[number]!, example }))
        .filter(({ error, count }) => error !== "" && count > 0)
        .sort((a, b) => b.count - a.count),
    };
  }
}

/** What each field of `final.json` must be. */
const FINAL_FIELDS: Record<keyof FinalAccount, "count" | "number"> = {
  schemaVersion: "count",
  requests: "count",
  failures: "count",
  unfinished: "count",
  warmUpRequests: "count",
  loadStartUs: "count",
  windowStartUs: "count",
  windowEndUs: "count",
  usersAtWindowStart: "count",
  cpuS: "number",
  loopLagMaxMs: "number",
  loopLagMeanMs: "number",
};

/**
 * Reads the generator's closing account, `final.json`.
 *
 * @param folder The run's folder.
 * @throws {PoolscopeError} If it is missing or a field is not what it must be.
 */
export function readFinal(folder: string): FinalAccount {
  const file = join(folder, "final.json");
  const value = readJson(file);
  for (const [field, kind] of Object.entries(FINAL_FIELDS)) {
    const found = value[field];
    const holds = typeof found === "number" && Number.isFinite(found) && found >= 0 &&
      (kind === "number" || Number.isInteger(found));
    if (!holds) {
      const state = found === undefined ? "is missing" : `is ${JSON.stringify(found)}`;
      const must = kind === "count" ? "a whole number" : "a number";
      throw new PoolscopeError(
        `Cannot read ${file}: field "${field}" ${state}, must be ${must} of at least 0; run the scenario again`,
      );
    }
  }
  const account = value as unknown as FinalAccount;
  if (account.schemaVersion !== SCHEMA_VERSION) {
    throw new PoolscopeError(
      `Cannot read ${file}: schema version is ${account.schemaVersion}, this Poolscope reads ${SCHEMA_VERSION}; use the version that wrote it`,
    );
  }
  return account;
}

/**
 * What the load does right now.
 *
 * @param folder The run's folder.
 * @returns The last second's numbers; null before the first second and after the end.
 */
export function readLive(folder: string): LiveSample | null {
  try {
    return JSON.parse(readFileSync(join(folder, ".live.json"), "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/**
 * Reads the totals of `locust_stats.csv`, and how many exceptions `locust_exceptions.csv` lists.
 *
 * @param folder The run's folder.
 * @throws {PoolscopeError} If a file is missing or has no total.
 */
export function readLocustTotals(folder: string): LocustTotals {
  const file = join(folder, "locust_stats.csv");
  const total = readText(file).split("\r\n").find((line) => line.startsWith(",Aggregated,"));
  const [requests, failures] = (total?.split(",").slice(2, 4) ?? []).map(Number);
  if (!Number.isInteger(requests) || !Number.isInteger(failures)) {
    throw new PoolscopeError(
      `Cannot read ${file}: it has no row "Aggregated" with counts; run the scenario again`,
    );
  }
  // A row begins with its count; the lines of a traceback never do.
  const exceptions = readText(join(folder, "locust_exceptions.csv"))
    .matchAll(/^(\d+),/gm).reduce((sum, [, count]) => sum + Number(count), 0);
  return { requests: requests!, failures: failures!, exceptions };
}

/**
 * Holds the counts of `requests.csv`, `final.json` and Locust's own CSVs against each other.
 *
 * @returns One sentence that says what disagrees; null when all agree.
 */
export function checkCounts(
  counts: Omit<RequestCounts, "errors">,
  final: FinalAccount,
  locust: LocustTotals,
): string | null {
  if (locust.exceptions > 0) {
    return `the locustfile raised ${locust.exceptions} exceptions, whose requests are in no count; see locust_exceptions.csv`;
  }
  for (const field of ["requests", "failures", "unfinished", "warmUpRequests"] as const) {
    if (counts[field] !== final[field]) {
      return `requests.csv has ${counts[field]} ${field}, final.json ${final[field]}`;
    }
  }
  const expected = final.requests + final.unfinished + final.warmUpRequests;
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

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw unreadable(file, error);
  }
}

function readJson(file: string): Record<string, unknown> {
  const text = readText(file);
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // said below
  }
  throw new PoolscopeError(`Cannot read ${file}: it is not a JSON object; run the scenario again`);
}

async function openFile(file: string) {
  try {
    return await open(file, "r");
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): PoolscopeError {
  const state = (error as NodeJS.ErrnoException).code === "ENOENT"
    ? "it is missing, so Locust ended before it wrote it; see its log"
    : (error as Error).message;
  return new PoolscopeError(`Cannot read ${file}: ${state}`);
}
