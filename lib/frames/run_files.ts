/**
 * The CSV files of a run as dataframes with fixed dtypes and snake_case columns.
 *
 * @module
 */

import { join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import {
  APP_COLUMNS,
  EARLIER_COLUMNS,
  PGBOUNCER_COLUMNS,
  POSTGRES_COLUMNS,
  REQUEST_COLUMNS,
  RESOURCE_COLUMNS,
} from "../store/layout.ts";
import { FrameError } from "./frame_error.ts";
import { loadPolars } from "./polars.ts";
import { type Column, readCsv, readHeader } from "./read_csv.ts";

type RequestColumn = typeof REQUEST_COLUMNS[number];
type ResourceColumn = typeof RESOURCE_COLUMNS[number];

/** Columns that are text, and those that may be empty; all others are whole numbers. */
const REQUEST_TEXT: RequestColumn[] = ["route", "error"];
const REQUEST_OPTIONAL: RequestColumn[] = ["intended_start_us", "response_us", "error"];
const RESOURCE_TEXT: ResourceColumn[] = ["service"];
const RESOURCE_WHOLE: ResourceColumn[] = ["time_us", "processes", "context_switches"];

const number = (header: string, name: string): Column => ({ header, name, kind: "number" });
const integer = (header: string, name: string): Column => ({ header, name, kind: "integer" });
const text = (header: string, name: string, optional = false): Column => ({
  header,
  name,
  kind: "text",
  optional,
});

/**
 * Reads `requests.csv`, one row per request. `intended_start_us` and `response_us` are null in a
 * closed loop; `error` is null for a correct answer.
 *
 * @param folder The run's folder.
 * @throws {FrameError} If the file is missing, empty, truncated or has another header.
 */
export function readRequests(folder: string): Promise<DataFrame> {
  return readCsv(
    join(folder, "requests.csv"),
    REQUEST_COLUMNS.map((name) => ({
      header: name,
      name,
      kind: REQUEST_TEXT.includes(name) ? "text" : "integer",
      optional: REQUEST_OPTIONAL.includes(name),
    })),
  );
}

/** Reads `resources.csv`: cumulative CPU seconds and memory, a row per service and second. */
export function readResources(folder: string): Promise<DataFrame> {
  return readVersions(
    folder,
    "resources.csv",
    RESOURCE_COLUMNS.map((name) => ({
      header: name,
      name,
      kind: RESOURCE_TEXT.includes(name)
        ? "text"
        : RESOURCE_WHOLE.includes(name)
        ? "integer"
        : "number",
      optional: name !== "time_us" && name !== "service",
    })),
  );
}

/** Reads a file, in which columns that an earlier version did not write are null. */
async function readVersions(
  folder: string,
  name: keyof typeof EARLIER_COLUMNS,
  columns: Column[],
): Promise<DataFrame> {
  const file = join(folder, name);
  const earlier = columns.slice(0, EARLIER_COLUMNS[name]);
  const header = earlier.map((column) => column.header).join(",");
  const isEarlier = readHeader(file) === header;
  const frame = await readCsv(file, isEarlier ? earlier : columns);
  if (!isEarlier) return frame;
  const { lit } = await loadPolars();
  return frame.withColumns(
    ...columns.slice(earlier.length).map(({ name }) => lit(null).alias(name)),
  );
}

/** Reads a time series whose rows follow each other in time. */
async function readSeries(
  folder: string,
  name: "postgres.csv" | "pgbouncer.csv",
  columns: Column[],
): Promise<DataFrame> {
  const frame = await readVersions(folder, name, columns);
  const times = frame.getColumn("time_us").toArray().map(Number);
  const back = times.findIndex((timeUs, i) => i > 0 && timeUs <= times[i - 1]!);
  if (back >= 0) {
    throw new FrameError(join(folder, name), back + 2, "its time is not after the line before");
  }
  return frame;
}

/** Reads `app.csv`: what requests took, as the app saw it, a row per worker process and second. */
export function readAppTimes(folder: string): Promise<DataFrame> {
  return readCsv(join(folder, "app.csv"), APP_COLUMNS.map((name) => integer(name, name)));
}

/** Reads `postgres.csv`: connections by state and cumulative counters of the run's database. */
export function readPostgres(folder: string): Promise<DataFrame> {
  return readSeries(
    folder,
    "postgres.csv",
    POSTGRES_COLUMNS.map((name) =>
      name === "wait_events" ? text(name, name, true) : integer(name, name)
    ),
  );
}

/** Reads `pgbouncer.csv`: its pools and cumulative totals; no rows when the path is direct. */
export function readPgbouncer(folder: string): Promise<DataFrame> {
  return readSeries(
    folder,
    "pgbouncer.csv",
    PGBOUNCER_COLUMNS.map((name) => ({
      ...integer(name, name),
      optional: name === "last_client_id",
    })),
  );
}

/** Reads `statements.csv`: what the app had PostgreSQL execute, a row per statement and reading. */
export function readStatements(folder: string): Promise<DataFrame> {
  return readCsv(join(folder, "statements.csv"), [
    integer("time_us", "time_us"),
    text("query_id", "query_id"),
    integer("calls", "calls"),
    integer("rows", "rows"),
    number("exec_ms", "exec_ms"),
    text("query", "query"),
  ]);
}
