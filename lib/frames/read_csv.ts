/**
 * Reads one CSV file with known columns into a dataframe, and refuses files that Polars would
 * accept silently: truncated rows become nulls there, and a foreign header is ignored.
 */

import { isUtf8 } from "node:buffer";
import { resolve } from "node:path";
import type { DataFrame, Series } from "nodejs-polars";
import { FileError } from "../errors.ts";
import { invalidLine, readBytes } from "../store/files.ts";
import type { ColumnKinds, ValueKind } from "../store/layout.ts";
import { csvRecords } from "./csv_records.ts";
import { loadPolars } from "./polars.ts";

interface Column {
  name: string;
  kind: ValueKind;
  optional: boolean;
}

/** The text that stands for a missing value, beside the empty one. */
const MISSING = "N/A";

const MAX_QUOTED_HEADER = 120;

export function quoteHeader(header: string): string {
  const isLong = header.length > MAX_QUOTED_HEADER;
  return `"${isLong ? `${header.slice(0, MAX_QUOTED_HEADER)}…` : header}"`;
}

export function describeLength(fields: number, columns: number): string {
  const kind = fields < columns ? "truncated" : "too long";
  return `${fields} fields where ${columns} belong: the row is ${kind}`;
}

function fits({ kind, optional }: Column, text: string): boolean {
  if (text === "" || text === MISSING) return optional;
  if (kind === "text") return true;
  // Nothing that is recorded of a run can be negative.
  return kind === "integer"
    ? /^\d+$/.test(text) && Number.isSafeInteger(Number(text))
    : /^[\d.]/.test(text) && Number.isFinite(Number(text));
}

/** Whether a column holds what nothing recorded can be: negative, infinite or not a number. */
function isImpossible(series: Series, kind: ValueKind): boolean {
  if (kind === "text" || series.nullCount() === series.length) return false;
  return Number(series.min()) < 0 || Number(series.max()) > Number.MAX_SAFE_INTEGER ||
    // One value that is not finite makes the sum so.
    (kind === "number" && !Number.isFinite(Number(series.sum())));
}

/** Whether a quote has no end, of which Polars takes no notice. */
function hasOpenQuote(bytes: Uint8Array): boolean {
  const quote = 0x22;
  let quotes = 0;
  for (let at = bytes.indexOf(quote); at >= 0; at = bytes.indexOf(quote, at + 1)) quotes++;
  return quotes % 2 === 1;
}

/** Finds the first line that does not fit; only run when it is known that there is one. */
function firstFault(file: string, bytes: Uint8Array, columns: Column[]): FileError | null {
  if (!isUtf8(bytes)) return new FileError(file, invalidLine(bytes), "it is not UTF-8");
  const records = csvRecords(new TextDecoder().decode(bytes));
  records.next(); // the header
  for (const { line, fields } of records) {
    if (fields.length !== columns.length) {
      return new FileError(file, line, describeLength(fields.length, columns.length));
    }
    const at = columns.findIndex((column, i) => !fits(column, fields[i]!));
    if (at < 0) continue;
    const { name, kind } = columns[at]!;
    const must = kind === "text"
      ? "a text"
      : `${kind === "integer" ? "an" : "a"} ${kind} of at least 0`;
    return new FileError(file, line, `${name} is ${JSON.stringify(fields[at])}, must be ${must}`);
  }
  return null;
}

/**
 * Reads a CSV file with exactly the given columns.
 *
 * @param earlier How many of them earlier versions wrote; of their files the others are null. @default all
 * @throws {FileError} If the file is missing, empty, truncated or has another header.
 */
export async function readCsv(
  path: string,
  kinds: ColumnKinds,
  earlier?: number,
): Promise<DataFrame> {
  const file = resolve(path);
  const bytes = readBytes(file, "the file is empty, not even a header");
  const all = Object.entries(kinds).map(([name, kind]): Column => ({
    name,
    kind: kind.replace("?", "") as ValueKind,
    optional: kind.endsWith("?"),
  }));
  const headerOf = (columns: Column[]) => columns.map(({ name }) => name).join(",");
  const start = new TextDecoder().decode(bytes.subarray(0, 4096));
  const header = start.split("\n")[0]!.replace(/\r$/, "");
  const columns = header === headerOf(all.slice(0, earlier)) ? all.slice(0, earlier) : all;
  if (header !== headerOf(columns)) {
    const what = `the header is ${quoteHeader(header)}, must be "${headerOf(columns)}"`;
    throw new FileError(file, 1, what);
  }
  if (bytes.at(-1) !== 0x0a) {
    const lines = new TextDecoder().decode(bytes).split("\n").length;
    throw new FileError(file, lines, "the file ends inside this line: it is truncated");
  }
  const pl = await loadPolars();
  const dtypes = { integer: pl.Int64, number: pl.Float64, text: pl.Utf8 };
  let frame: DataFrame;
  try {
    const schema = Object.fromEntries(columns.map(({ name, kind }) => [name, dtypes[kind]]));
    frame = pl.readCSV(file, {
      schema: schema as never,
      nullValues: MISSING,
      truncateRaggedLines: false,
    });
  } catch (error) {
    const [what] = (error as Error).message.split("\n");
    throw firstFault(file, bytes, columns) ?? new FileError(file, null, what!, { cause: error });
  }
  const isWrong = hasOpenQuote(bytes) || columns.some(({ name, kind, optional }) => {
    const series = frame.getColumn(name);
    return (!optional && series.nullCount() > 0) || isImpossible(series, kind);
  });
  if (isWrong) {
    throw firstFault(file, bytes, columns) ??
      new FileError(file, null, "a value is missing, or a quote has no end");
  }
  const later = all.slice(columns.length).map(({ name }) => pl.lit(null).alias(name));
  return later.length === 0 ? frame : frame.withColumns(...later);
}
