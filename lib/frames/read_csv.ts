/**
 * Reads one CSV file with known columns into a dataframe, and refuses files that Polars would
 * accept silently: truncated rows become nulls there, and a foreign header is ignored.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { resolve } from "node:path";
import type { DataFrame, Series } from "nodejs-polars";
import { invalidLine } from "../store/files.ts";
import { csvRecords } from "./csv_records.ts";
import { FrameError } from "./frame_error.ts";
import { loadPolars } from "./polars.ts";

/** One column of a file. */
export interface Column {
  /** The column's name in the file. */
  header: string;
  /** The column's name in the dataframe: snake_case, with its unit. */
  name: string;
  /** What the values are. */
  kind: "integer" | "number" | "text";
  /** Whether a value may be missing. @default false */
  optional?: boolean;
}

/** The header's line and whether the file ends with a line break. */
function readEnds(file: string): { header: string; complete: boolean } {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    const code = (error as { code?: string }).code;
    throw new FrameError(file, null, code === "ENOENT" ? "no such file" : `${code}`, {
      cause: error,
    });
  }
  try {
    const { size } = fstatSync(descriptor);
    if (size === 0) throw new FrameError(file, null, "the file is empty, not even a header");
    const start = new Uint8Array(Math.min(size, 4096));
    readSync(descriptor, start, 0, start.length, 0);
    const last = new Uint8Array(1);
    readSync(descriptor, last, 0, 1, size - 1);
    const header = new TextDecoder().decode(start).split("\n")[0]!.replace(/\r$/, "");
    return { header, complete: last[0] === 0x0a };
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The header of a CSV file, as far as it can be read.
 *
 * @throws {FrameError} If the file is missing or empty.
 */
export function readHeader(path: string): string {
  return readEnds(resolve(path)).header;
}

function fits(column: Column, text: string, missing: string): boolean {
  if (text === "" || text === missing) return column.optional === true;
  if (column.kind === "text") return true;
  // Nothing that is recorded of a run can be negative.
  return column.kind === "integer"
    ? /^\d+$/.test(text) && Number.isSafeInteger(Number(text))
    : /^[\d.]/.test(text) && Number.isFinite(Number(text));
}

/** Whether a column holds what nothing recorded can be: negative, infinite or not a number. */
function isImpossible(series: Series, kind: Column["kind"]): boolean {
  if (kind === "text" || series.nullCount() === series.length) return false;
  return Number(series.min()) < 0 || Number(series.max()) > Number.MAX_SAFE_INTEGER ||
    // One value that is not finite makes the sum so.
    (kind === "number" && !Number.isFinite(Number(series.sum())));
}

/** Whether a quote has no end, of which Polars takes no notice. */
function hasOpenQuote(file: string): boolean {
  const bytes = readFileSync(file);
  let quotes = 0;
  for (let at = bytes.indexOf('"'); at >= 0; at = bytes.indexOf('"', at + 1)) quotes++;
  return quotes % 2 === 1;
}

/** Finds the first line that does not fit; only run when it is known that there is one. */
function firstFault(file: string, columns: Column[], missing: string): FrameError | null {
  const bytes = readFileSync(file);
  if (!isUtf8(bytes)) return new FrameError(file, invalidLine(bytes), "it is not UTF-8");
  let row = 0;
  for (const { line, fields } of csvRecords(bytes.toString())) {
    if (row++ === 0) continue;
    if (fields.length !== columns.length) {
      return new FrameError(
        file,
        line,
        `${fields.length} fields where ${columns.length} belong: the row is ${
          fields.length < columns.length ? "truncated" : "too long"
        }`,
      );
    }
    const at = columns.findIndex((column, i) => !fits(column, fields[i]!, missing));
    if (at >= 0) {
      const column = columns[at]!;
      const article = column.kind === "integer" ? "an" : "a";
      return new FrameError(
        file,
        line,
        `${column.header} is ${JSON.stringify(fields[at])}, must be ${article} ${column.kind}${
          column.kind === "text" ? "" : " of at least 0"
        }`,
      );
    }
  }
  return null;
}

/**
 * Reads a CSV file with exactly the given columns.
 *
 * @param path The file.
 * @param columns Its columns in order.
 * @param missing The text that stands for a missing value, beside the empty one.
 * @throws {FrameError} If the file is missing, empty, truncated or has another header.
 */
export async function readCsv(
  path: string,
  columns: Column[],
  missing = "N/A",
): Promise<DataFrame> {
  const file = resolve(path);
  const { header, complete } = readEnds(file);
  const expected = columns.map((column) => column.header).join(",");
  if (header !== expected) {
    const seen = header.length > 120 ? `${header.slice(0, 120)}…` : header;
    throw new FrameError(file, 1, `the header is "${seen}", must be "${expected}"`);
  }
  if (!complete) {
    const lines = readFileSync(file, "utf8").split("\n").length;
    throw new FrameError(file, lines, "the file ends inside this line: it is truncated");
  }
  const pl = await loadPolars();
  const dtypes = { integer: pl.Int64, number: pl.Float64, text: pl.Utf8 };
  let frame: DataFrame;
  try {
    frame = pl.readCSV(file, {
      schema: Object.fromEntries(
        columns.map((column) => [column.name, dtypes[column.kind]]),
      ) as never,
      nullValues: missing,
      truncateRaggedLines: false,
    });
  } catch (error) {
    throw firstFault(file, columns, missing) ??
      new FrameError(file, null, (error as Error).message.split("\n")[0]!);
  }
  const wrong = hasOpenQuote(file) || columns.some((column) => {
    const series = frame.getColumn(column.name);
    return (!column.optional && series.nullCount() > 0) || isImpossible(series, column.kind);
  });
  if (wrong) {
    throw firstFault(file, columns, missing) ??
      new FrameError(file, null, "a value is missing, or a quote has no end");
  }
  return frame;
}
