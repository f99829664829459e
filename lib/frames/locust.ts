/**
 * Locust's own CSV files, of any version from 1.0 on and of anyone, as typed dataframes.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { UsageError } from "../errors.ts";
import type { LocustTotals } from "../store/account.ts";
import { readText } from "../store/files.ts";
import { type CsvRecord, csvRecords } from "./csv_records.ts";
import { FrameError } from "./frame_error.ts";
import { loadPolars } from "./polars.ts";
import type { Column } from "./read_csv.ts";

/** The CSV files of one run of Locust; a file that is not there is null. */
export interface LocustRun {
  /** `_stats.csv`: a row for each type and name, and one named `Aggregated`. */
  stats: DataFrame | null;
  /** `_stats_history.csv`: the same over time, a row (or a row for each name) per second. */
  history: DataFrame | null;
  /** `_failures.csv`: a row for each method, name and error. */
  failures: DataFrame | null;
  /** `_exceptions.csv`: a row for each exception that the locustfile raised. */
  exceptions: DataFrame | null;
}

type LocustFile = keyof LocustRun;
type LocustColumn = Omit<Column, "header" | "optional">;

const integer = (name: string): LocustColumn => ({ name, kind: "integer" });
const number = (name: string): LocustColumn => ({ name, kind: "number" });
const text = (name: string): LocustColumn => ({ name, kind: "text" });

/** Every column that some version of Locust writes, beside the percentiles. */
const COLUMNS: Record<string, LocustColumn> = {
  "Timestamp": integer("timestamp_s"),
  "User Count": integer("user_count"),
  "Type": text("type"),
  "Method": text("method"),
  "Name": text("name"),
  "Request Count": integer("request_count"),
  "Failure Count": integer("failure_count"),
  "Median Response Time": number("median_ms"),
  "Average Response Time": number("average_ms"),
  "Min Response Time": number("min_ms"),
  "Max Response Time": number("max_ms"),
  "Average Content Size": number("average_content_bytes"),
  "Requests/s": number("requests_per_s"),
  "Failures/s": number("failures_per_s"),
  "Total Request Count": integer("total_request_count"),
  "Total Failure Count": integer("total_failure_count"),
  "Total Median Response Time": number("total_median_ms"),
  "Total Average Response Time": number("total_average_ms"),
  "Total Min Response Time": number("total_min_ms"),
  "Total Max Response Time": number("total_max_ms"),
  "Total Average Content Size": number("total_average_content_bytes"),
  "Error": text("error"),
  "Occurrences": integer("occurrences"),
  "First Seen": text("first_seen"),
  "Last Seen": text("last_seen"),
  "Count": integer("count"),
  "Message": text("message"),
  "Traceback": text("traceback"),
  "Nodes": text("nodes"),
};

/** The end of each file's name, and the columns that tell it from the other files. */
const FILES: Record<LocustFile, { suffix: string; required: string[] }> = {
  stats: { suffix: "_stats.csv", required: ["Type", "Name", "Request Count", "Failure Count"] },
  history: { suffix: "_stats_history.csv", required: ["Timestamp", "User Count", "Name"] },
  failures: { suffix: "_failures.csv", required: ["Method", "Name", "Error", "Occurrences"] },
  exceptions: { suffix: "_exceptions.csv", required: ["Count", "Message", "Traceback"] },
};

const MAX_QUOTED_HEADER = 120;

/**
 * Reads the CSV files that Locust wrote under one `--csv` prefix.
 *
 * Columns are snake_case with their unit, as in `request_count`, `average_ms`, `requests_per_s`;
 * a percentile column such as `99.9%` becomes `p99_9_ms`, whichever percentiles there are. A column
 * that no known version of Locust writes is kept as text under its own name. Counts are `Int64`, other
 * numbers `Float64`, and both null where Locust wrote `N/A`; text stays as it was written, and an
 * empty text is null.
 *
 * @param prefix What `--csv` was given, as in `results/run`; the path of one of the files also does.
 * @returns A dataframe for each file; null for a file that is not there.
 * @throws {UsageError} If none of the four files is there.
 * @throws {FrameError} If a file is another one, or damaged; the message names file and line.
 *
 * @example
 * ```ts
 * import { loadLocust } from "poolscope";
 * import { writeFileSync } from "node:fs";
 *
 * const prefix = `${Deno.makeTempDirSync()}/run`;
 * const header = "Type,Name,Request Count,Failure Count,95%\n";
 * writeFileSync(`${prefix}_stats.csv`, `${header}GET,/,20,0,12\n,Aggregated,20,0,N/A\n`);
 * const { stats, history } = await loadLocust(prefix);
 * console.assert(stats!.getColumn("p95_ms").get(0) === 12 && history === null);
 * ```
 */
export async function loadLocust(prefix: string): Promise<LocustRun> {
  const names = Object.keys(FILES) as LocustFile[];
  const base = names.map((name) => FILES[name].suffix)
    .reduce((path, suffix) => path.endsWith(suffix) ? path.slice(0, -suffix.length) : path, prefix);
  const tables = readTables(base);
  if (Object.keys(tables).length === 0) {
    const looked = names.map((name) => basename(base) + FILES[name].suffix).join(", ");
    throw new UsageError(
      `Cannot load Locust's CSVs "${prefix}": there is none of ${looked} in ${
        dirname(resolve(base))
      }; give the path that --csv was given`,
    );
  }
  const run: LocustRun = { stats: null, history: null, failures: null, exceptions: null };
  for (const name of names) if (tables[name]) run[name] = await toFrame(tables[name]);
  return run;
}

/** A file's columns and, for each of them, its values. */
interface Table {
  columns: LocustColumn[];
  values: (string | number | null)[][];
}

/** What the files that are there say. */
function readTables(base: string): Partial<Record<LocustFile, Table>> {
  const there = (Object.keys(FILES) as LocustFile[])
    .filter((name) => existsSync(base + FILES[name].suffix));
  return Object.fromEntries(
    there.map((name) => [name, readTable(base + FILES[name].suffix, name)]),
  );
}

/**
 * Reads one of Locust's CSV files.
 *
 * @param file Its path, which ends with `_stats.csv` or another of Locust's endings.
 * @throws {FrameError} If it is missing, another file, or damaged.
 */
export async function readLocustFile(file: string): Promise<DataFrame> {
  const name = (Object.keys(FILES) as LocustFile[])
    .find((name) => file.endsWith(FILES[name].suffix))!;
  return await toFrame(readTable(file, name));
}

function readTable(file: string, name: LocustFile): Table {
  const records = csvRecords(readText(file));
  const first = records.next().value as CsvRecord | undefined;
  if (first === undefined) throw new FrameError(file, 1, "it has no header");
  checkHeader(file, name, first.fields);
  const columns = first.fields.map((header): LocustColumn =>
    COLUMNS[header] ?? percentileColumn(header) ?? text(header)
  );
  const values: Table["values"] = columns.map(() => []);
  for (const { line, fields } of records) {
    if (fields.length !== columns.length) {
      const kind = fields.length < columns.length ? "truncated" : "too long";
      throw new FrameError(
        file,
        line,
        `${fields.length} fields where ${columns.length} belong: the row is ${kind}; delete it to read the others`,
      );
    }
    for (const [i, column] of columns.entries()) {
      values[i]!.push(parseValue(file, line, first.fields[i]!, column, fields[i]!));
    }
  }
  return { columns, values };
}

async function toFrame({ columns, values }: Table): Promise<DataFrame> {
  const pl = await loadPolars();
  const dtypes = { integer: pl.Int64, number: pl.Float64, text: pl.Utf8 };
  return pl.DataFrame(
    columns.map(({ name, kind }, i) => pl.Series(name, values[i]!, dtypes[kind])),
  );
}

function checkHeader(file: string, name: LocustFile, headers: string[]): void {
  const { required, suffix } = FILES[name];
  const twice = headers.find((header, i) => headers.indexOf(header) !== i);
  if (twice === undefined && required.every((header) => headers.includes(header))) return;
  const seen = headers.join(",");
  const quoted = seen.length > MAX_QUOTED_HEADER ? `${seen.slice(0, MAX_QUOTED_HEADER)}…` : seen;
  throw new FrameError(
    file,
    1,
    twice === undefined
      ? `Locust's ${suffix} has the columns ${required.join(", ")}, and here stands "${quoted}"`
      : `the column "${twice}" stands twice in "${quoted}"`,
  );
}

/** A percentile's column, as in `99.9%` of `p99_9_ms`; null for any other header. */
function percentileColumn(header: string): LocustColumn | null {
  const [, percent] = /^(\d+(?:\.\d+)?)%$/.exec(header) ?? [];
  return percent === undefined ? null : number(`p${percent.replace(".", "_")}_ms`);
}

function parseValue(
  file: string,
  line: number,
  header: string,
  { kind }: LocustColumn,
  field: string,
): string | number | null {
  if (field === "") return null;
  if (kind === "text") return field;
  if (field === "N/A") return null;
  const value = field.trim() === "" ? NaN : Number(field);
  if (kind === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value)) return value;
  const must = kind === "integer" ? "a whole number" : "a number";
  throw new FrameError(file, line, `${header} is ${JSON.stringify(field)}, must be ${must}`);
}

/**
 * What Locust's own CSVs say that a run of a study counted.
 *
 * @param folder The run's folder, which holds them under the prefix `locust`.
 * @throws {FileError} If a file is missing or damaged, or there is no total.
 */
export function readLocustTotals(folder: string): LocustTotals {
  const { stats, exceptions } = readTables(join(folder, "locust"));
  const missing = (file: string, what: string) => new FrameError(join(folder, file), null, what);
  if (stats === undefined) throw missing("locust_stats.csv", "no such file");
  if (exceptions === undefined) throw missing("locust_exceptions.csv", "no such file");
  const column = ({ columns, values }: Table, name: string) =>
    values[columns.findIndex((column) => column.name === name)]!;
  const total = column(stats, "name").lastIndexOf("Aggregated");
  const [requests, failures] = ["request_count", "failure_count"]
    .map((name) => column(stats, name)[total]);
  if (typeof requests !== "number" || typeof failures !== "number") {
    throw missing("locust_stats.csv", 'it has no row "Aggregated" with counts');
  }
  const raised = column(exceptions, "count").map(Number);
  return { requests, failures, exceptions: raised.reduce((sum, count) => sum + count, 0) };
}
