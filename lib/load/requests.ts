/**
 * The load generator's own files, read back: `requests.bin` becomes `requests.csv`, the closing
 * account is checked, and the counts of all three sources are held against each other.
 *
 * @module
 */

import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { FileError, PoolscopeError } from "../errors.ts";
import { type Counts, readFinal } from "../store/account.ts";
import { readJsonObject } from "../store/files.ts";
import { REQUEST_COLUMNS } from "../store/layout.ts";
import type { FinalAccount } from "../store/manifest.ts";

export { checkCounts, type LocustTotals, readFinal, readLocustTotals } from "../store/account.ts";

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
export interface RequestCounts extends Counts {
  /** Failures and unfinished requests of the window, the most frequent first. */
  errors: ErrorCount[];
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
  if (!existsSync(tablesFile)) throw unwritten(tablesFile);
  const tables = readJsonObject(tablesFile) as unknown as Tables;
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

function unwritten(file: string): FileError {
  return new FileError(
    file,
    null,
    "it is missing, so Locust ended before it wrote it; see its log",
  );
}

async function openFile(file: string) {
  try {
    return await open(file, "r");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code === "ENOENT" ? unwritten(file) : new FileError(file, null, message);
  }
}
