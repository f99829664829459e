/**
 * The load generator's own files, read back: `requests.bin` becomes `requests.csv`, the closing account is
 * checked, and the counts of all three sources are held against each other.
 */

import {
  createWriteStream,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
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
  users: number;
  /** Requests answered per second, failures among them. */
  rps: number;
  failuresPerS: number;
  /** 95th percentile of the service time; null when nothing was answered. */
  p95Ms: number | null;
  /** Of an open loop: arrivals that were sent late, and never, so far. */
  late?: number;
  dropped?: number;
  /** Of a group, each arm by itself: its slices so far, rates per second of them, and its last P95. */
  arms?: (Pick<LiveSample, "users" | "rps" | "failuresPerS" | "p95Ms" | "late" | "dropped"> & {
    slices: number;
  })[];
  /** Of a group: the current block, from 1 (0 in the warm-up), and how many are expected. */
  block?: number;
  blocks?: number;
}

/** Requests that ended alike. */
export interface ErrorCount {
  /** As in `requests.csv`. */
  error: string;
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
/** The names by which rows tell of routes and errors. */
interface Tables {
  rowBytes: number;
  routes: string[];
  errors: { error: string; example: string }[];
}

const UNFINISHED = "unfinished";
const DROPPED = "dropped";
const ROWS_AT_ONCE = 8_192;

/**
 * Turns `requests.bin` into `requests.csv` and removes it; where several processes have each written
 * theirs (`requests.0.bin` and so on), they are merged in order of completion. Where Locust was
 * killed, what it had written by then is converted all the same, and then the missing `final.json`
 * is reported.
 *
 * @returns The counts of the window that `final.json` names.
 * @throws {PoolscopeError} If a file is missing or is not what the recorder writes.
 */
export async function convertRequests(folder: string): Promise<RequestCounts> {
  const bases = readdirSync(folder).filter((name) => /^requests(\.\d+)?\.tables\.json$/.test(name))
    .map((name) => join(folder, name.replace(".tables.json", "")));
  if (bases.length === 0) throw unwritten(join(folder, "requests.tables.json"));
  const csv = join(folder, "requests.csv");
  const final = existsSync(join(folder, "final.json")) ? readFinal(folder) : null;
  const counter = new Counter(final);
  const sources: RowSource[] = [];
  try {
    for (const base of bases) sources.push(await openRows(base, counter));
    await pipeline(merge(sources), createWriteStream(`${csv}.tmp`));
  } catch (error) {
    // Half a file would only take the space that a full disk lacks for the rest.
    rmSync(`${csv}.tmp`, { force: true });
    if (error instanceof PoolscopeError) throw error;
    throw new PoolscopeError(`Cannot write ${csv}: ${(error as Error).message}`, { cause: error });
  } finally {
    for (const source of sources) await source.close();
  }
  renameSync(`${csv}.tmp`, csv);
  for (const base of bases) [`${base}.bin`, `${base}.tables.json`].forEach((file) => rmSync(file));
  if (final === null) {
    throw new PoolscopeError(
      `Cannot count the requests of ${folder}: final.json is missing, so Locust ended before its time; see its log`,
    );
  }
  return counter.counts();
}

/** Opens the rows of one process, a chunk at a time; both its files begin with `base`. */
async function openRows(base: string, counter: Counter) {
  const tables = readJsonObject(`${base}.tables.json`) as unknown as Tables;
  if (tables.rowBytes !== ROW.size) {
    throw new PoolscopeError(
      `Cannot convert ${base}.bin: its rows have ${tables.rowBytes} bytes, expected ${ROW.size}; use the locustfile of this checkout`,
    );
  }
  const routes = tables.routes.map(quote);
  const errors = tables.errors.map(({ error }) => quote(error));
  const counts = tables.errors.map(({ error, example }) => counter.countOf(error, example));
  const input = await open(`${base}.bin`, "r").catch((error: NodeJS.ErrnoException) => {
    const file = `${base}.bin`;
    throw error.code === "ENOENT" ? unwritten(file) : new FileError(file, null, error.message);
  });
  const chunk = new Uint8Array(ROWS_AT_ONCE * ROW.size);
  const view = new DataView(chunk.buffer);
  let at = 0;
  let end = 0; // of the whole rows in the chunk
  let filled = 0;
  const short = (offset: number) => view.getUint16(at + offset, true);
  const int = (offset: number) => view.getUint32(at + offset, true);
  const timeUs = (offset: number) => int(offset + 4) * 2 ** 32 + int(offset);
  const endUs = () => at === end ? Infinity : timeUs(ROW.start) + int(ROW.service);
  const fill = async () => {
    chunk.copyWithin(0, end, filled);
    filled -= end; // bytes of a row that the last read cut
    at = end = 0;
    while (end === 0) {
      const { bytesRead } = await input.read(chunk, filled, chunk.length - filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
      end = filled - filled % ROW.size;
    }
  };
  await fill();
  return {
    /** When the current row was answered; infinite after the last of a chunk. */
    endUs,
    /** Reads the next chunk, if there is one; due after the last row of a chunk. */
    fill,
    /** Counts the current row, goes on to the next and returns the line of the former. */
    take(): string {
      const intended = timeUs(ROW.intended);
      const error = short(ROW.error);
      counter.add(intended, endUs(), counts[error]!);
      const [due, response] = intended === 0 ? ["", ""] : [intended, int(ROW.response)];
      const times = `${due},${timeUs(ROW.start)},${int(ROW.service)},${response}`;
      const answer = `${routes[short(ROW.route)]},${short(ROW.status)},${errors[error]}`;
      const bytes = int(ROW.bytes);
      at += ROW.size;
      return `${times},${answer},${bytes}\n`;
    },
    close: () => input.close(),
  };
}

type RowSource = Awaited<ReturnType<typeof openRows>>;

/** The lines of all sources in order of completion, many at a time. */
async function* merge(sources: readonly RowSource[]): AsyncGenerator<string> {
  let text = REQUEST_COLUMNS.join(",") + "\n";
  for (let rows = 1;; rows++) {
    let first = sources[0]!;
    for (const source of sources) if (source.endUs() < first.endUs()) first = source;
    if (first.endUs() === Infinity) break;
    text += first.take();
    if (first.endUs() === Infinity) await first.fill();
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

/** Adds up rows, by the time of the answer, in an open loop by that of the intended start. */
class Counter {
  #startUs: number;
  #endUs: number;
  #counts = new Map<string, ErrorCount>();
  #rows = 0;
  #warmUp = 0;
  #drain = 0;

  constructor(final: FinalAccount | null) {
    this.#startUs = final?.windowStartUs ?? Infinity;
    this.#endUs = final?.windowEndUs ?? Infinity;
  }

  /** Requests that ended with an error, the same for all processes; without one with "". */
  countOf(error: string, example = ""): ErrorCount {
    const count = this.#counts.get(error) ?? { error, count: 0, example };
    this.#counts.set(error, count);
    return count;
  }

  add(intendedUs: number, endUs: number, ended: ErrorCount): void {
    this.#rows++;
    const isOpen = intendedUs > 0;
    const timeUs = isOpen ? intendedUs : endUs;
    // A closed loop's requests without an answer are those of the window's end.
    if (!isOpen && ended.error === UNFINISHED) ended.count++;
    else if (timeUs < this.#startUs) this.#warmUp++;
    else if (timeUs < this.#endUs) ended.count++;
    else this.#drain++;
  }

  counts(): RequestCounts {
    const all = [...this.#counts.values()];
    const unfinished = this.countOf(UNFINISHED).count;
    const dropped = this.countOf(DROPPED).count;
    const requests = all.reduce((sum, { count }) => sum + count, 0) - unfinished - dropped;
    return {
      rows: this.#rows,
      requests,
      failures: requests - this.countOf("").count,
      unfinished,
      dropped,
      warmUpRequests: this.#warmUp,
      drainRequests: this.#drain,
      errors: all.filter(({ error, count }) => error !== "" && count > 0)
        .sort((a, b) => b.count - a.count),
    };
  }
}

/** The last second's numbers; null before the first second and after the end. */
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
