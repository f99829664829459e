/**
 * The load generator's own files, read back: `requests.bin` becomes `requests.csv`, the closing
 * account is checked, and the counts of all three sources are held against each other.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { FileError, PoolscopeError } from "../errors.ts";
import { type Counts, readFinal } from "../store/account.ts";
import { readJsonObject } from "../store/files.ts";
import { REQUEST_COLUMNS } from "../store/layout.ts";
import type { FinalAccount } from "../store/manifest.ts";

export { checkCounts, type LocustTotals, readFinal } from "../store/account.ts";

/** What the generator did in its last second. */
export interface LiveSample {
  /** Seconds since the start of the load. */
  timeS: number;
  /** Which of the two phases it is in. */
  phase: "warm-up" | "window";
  /** When the measurement window begins and ends, in Unix time, microseconds. */
  windowStartUs: number;
  windowEndUs: number;
  /** Users running. */
  users: number;
  /** Requests answered per second, failures among them. */
  rps: number;
  /** Failed requests per second. */
  failuresPerS: number;
  /** 95th percentile of the service time; null when nothing was answered. */
  p95Ms: number | null;
  /** Of an open loop: arrivals that were sent late, and never, so far. */
  late?: number;
  dropped?: number;
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
  /** Failures, unfinished and dropped requests of the window, the most frequent first. */
  errors: ErrorCount[];
}

/** The rows of `requests.bin`, as in locust/request_log.py; all little-endian. */
const ROW = {
  intended: 0,
  start: 8,
  service: 16,
  response: 20,
  bytes: 24,
  route: 28,
  status: 30,
  error: 32,
  size: 40,
};
const UNFINISHED = "unfinished";
const DROPPED = "dropped";
const ROWS_AT_ONCE = 8_192;

interface Tables {
  rowBytes: number;
  routes: string[];
  errors: { error: string; example: string }[];
}

/**
 * Turns `requests.bin` into `requests.csv` and removes it; where several processes have each written
 * theirs (`requests.0.bin` and so on), they are merged in order of completion. Where Locust was
 * killed, what it had written by then is converted all the same, and then the missing `final.json`
 * is reported.
 *
 * @param folder The run's folder.
 * @returns The counts of the window that `final.json` names.
 * @throws {PoolscopeError} If a file is missing or is not what the recorder writes.
 */
export async function convertRequests(folder: string): Promise<RequestCounts> {
  const names = readdirSync(folder).filter((name) => /^requests(\.\d+)?\.tables\.json$/.test(name));
  if (names.length === 0) throw unwritten(join(folder, "requests.tables.json"));
  const csv = join(folder, "requests.csv");
  const final = existsSync(join(folder, "final.json")) ? readFinal(folder) : null;
  const counter = new Counter(final);
  const sources: RowSource[] = [];
  try {
    for (const name of names) {
      sources.push(await RowSource.open(join(folder, name.replace(".tables.json", "")), counter));
    }
    const output = await open(`${csv}.tmp`, "w");
    try {
      await output.write(REQUEST_COLUMNS.join(",") + "\n");
      for await (const text of merge(sources)) await output.write(text);
    } finally {
      await output.close();
    }
  } catch (error) {
    // Half a file would only take the space that a full disk lacks for the rest.
    rmSync(`${csv}.tmp`, { force: true });
    if (error instanceof PoolscopeError) throw error;
    throw new PoolscopeError(`Cannot write ${csv}: ${(error as Error).message}`, { cause: error });
  } finally {
    for (const source of sources) await source.close();
  }
  renameSync(`${csv}.tmp`, csv);
  for (const source of sources) source.remove();
  if (final === null) {
    throw new PoolscopeError(
      `Cannot count the requests of ${folder}: final.json is missing, so Locust ended before its time; see its log`,
    );
  }
  return counter.counts();
}

/** The rows of one process, a chunk at a time. */
class RowSource {
  #base: string;
  #input: FileHandle;
  #routes: string[];
  #errors: string[];
  #errorNumbers: number[];
  #counter: Counter;
  #chunk = new Uint8Array(ROWS_AT_ONCE * ROW.size);
  #view = new DataView(this.#chunk.buffer);
  #at = 0;
  #end = 0; // of the whole rows in the chunk
  #filled = 0;
  /** When the current row was answered; infinite after the last. */
  endUs = -Infinity;

  private constructor(base: string, input: FileHandle, tables: Tables, counter: Counter) {
    this.#base = base;
    this.#input = input;
    this.#routes = tables.routes.map(quote);
    this.#errors = tables.errors.map(({ error }) => quote(error));
    this.#errorNumbers = tables.errors.map(({ error, example }) => counter.number(error, example));
    this.#counter = counter;
  }

  /** @param base The path of both files without `.bin` and `.tables.json`. */
  static async open(base: string, counter: Counter): Promise<RowSource> {
    const tables = readJsonObject(`${base}.tables.json`) as unknown as Tables;
    if (tables.rowBytes !== ROW.size) {
      throw new PoolscopeError(
        `Cannot convert ${base}.bin: its rows have ${tables.rowBytes} bytes, expected ${ROW.size}; use the locustfile of this checkout`,
      );
    }
    const source = new RowSource(base, await openFile(`${base}.bin`), tables, counter);
    await source.fill();
    return source;
  }

  /** Whether the chunk has no more rows; then {@linkcode fill} is due. */
  get empty(): boolean {
    return this.#at === this.#end;
  }

  /** Reads the next chunk, if there is one. */
  async fill(): Promise<void> {
    this.#chunk.copyWithin(0, this.#end, this.#filled);
    let left = this.#filled - this.#end; // bytes of a row that the last read cut
    this.#at = this.#end = 0;
    while (this.#end === 0) {
      const { bytesRead } = await this.#input.read(this.#chunk, left, this.#chunk.length - left);
      left += bytesRead;
      if (bytesRead === 0) break;
      this.#end = left - left % ROW.size;
    }
    this.#filled = left;
    this.#peek();
  }

  #peek(): void {
    this.endUs = this.empty
      ? Infinity
      : this.#time(ROW.start) + this.#view.getUint32(this.#at + ROW.service, true);
  }

  #time(offset: number): number {
    const at = this.#at + offset;
    return this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
  }

  /** Counts the current row, goes on to the next and returns the line of the former. */
  take(): string {
    const view = this.#view, at = this.#at;
    const intended = this.#time(ROW.intended);
    const start = this.#time(ROW.start);
    const error = view.getUint16(at + ROW.error, true);
    this.#counter.add(intended, this.endUs, this.#errorNumbers[error]!);
    const [intendedText, response] = intended === 0
      ? ["", ""]
      : [intended, view.getUint32(at + ROW.response, true)];
    const line = `${intendedText},${start},${view.getUint32(at + ROW.service, true)},${response},${
      this.#routes[view.getUint16(at + ROW.route, true)]
    },${view.getUint16(at + ROW.status, true)},${this.#errors[error]},${
      view.getUint32(at + ROW.bytes, true)
    }\n`;
    this.#at += ROW.size;
    this.#peek();
    return line;
  }

  async close(): Promise<void> {
    await this.#input.close();
  }

  /** Removes both files. */
  remove(): void {
    rmSync(`${this.#base}.bin`);
    rmSync(`${this.#base}.tables.json`);
  }
}

/** The lines of all sources in order of completion, many at a time. */
async function* merge(sources: RowSource[]): AsyncGenerator<string> {
  let text = "";
  for (let rows = 1;; rows++) {
    let first: RowSource | undefined;
    for (const source of sources) {
      if (source.endUs < (first?.endUs ?? Infinity)) first = source;
    }
    if (first === undefined) break;
    text += first.take();
    if (first.empty) await first.fill();
    if (rows % ROWS_AT_ONCE === 0) {
      yield text;
      text = "";
    }
  }
  yield text;
}

function quote(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Adds up rows. A request belongs to the phase in which it was answered, in an open loop to that of
 * its intended start.
 */
class Counter {
  #startUs: number;
  #endUs: number;
  #names = [""];
  #examples = [""];
  #byError = [0];
  #rows = 0;
  #warmUp = 0;
  #drain = 0;

  constructor(final: FinalAccount | null) {
    this.#startUs = final?.windowStartUs ?? Infinity;
    this.#endUs = final?.windowEndUs ?? Infinity;
  }

  /** The number of an error's name, the same for all processes. */
  number(error: string, example: string): number {
    const found = this.#names.indexOf(error);
    if (found >= 0) return found;
    this.#examples.push(example);
    this.#byError.push(0);
    return this.#names.push(error) - 1;
  }

  add(intendedUs: number, endUs: number, error: number): void {
    this.#rows++;
    const isOpen = intendedUs > 0;
    const timeUs = isOpen ? intendedUs : endUs;
    // A closed loop's requests without an answer are those of the window's end.
    if (!isOpen && this.#names[error] === UNFINISHED) this.#byError[error]!++;
    else if (timeUs < this.#startUs) this.#warmUp++;
    else if (timeUs < this.#endUs) this.#byError[error]!++;
    else this.#drain++;
  }

  counts(): RequestCounts {
    const count = (error: string) => this.#byError[this.#names.indexOf(error)] ?? 0;
    const [unfinished, dropped] = [count(UNFINISHED), count(DROPPED)];
    const requests = this.#byError.reduce((sum, n) => sum + n, 0) - unfinished - dropped;
    return {
      rows: this.#rows,
      requests,
      failures: requests - this.#byError[0]!,
      unfinished,
      dropped,
      warmUpRequests: this.#warmUp,
      drainRequests: this.#drain,
      errors: this.#names
        .map((error, number) => ({
          error,
          count: this.#byError[number]!,
          example: this.#examples[number]!,
        }))
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
