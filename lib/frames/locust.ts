/** Locust's own CSV files, of any version from 1.0 on and of anyone, as typed dataframes. */

import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { FileError, UsageError } from "../errors.ts";
import type { LocustTotals } from "../store/account.ts";
import { readText } from "../store/files.ts";
import { csvRecords } from "./csv_records.ts";
import { loadPolars } from "./polars.ts";
import type { ValueKind } from "../store/layout.ts";
import { describeLength, quoteHeader } from "./read_csv.ts";

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
type LocustColumn = readonly [name: string, kind: ValueKind];

/** Every column that some version of Locust writes, beside the percentiles and `Total` columns. */
const COLUMNS: Record<string, LocustColumn> = {
  "Timestamp": ["timestamp_s", "integer"],
  "User Count": ["user_count", "integer"],
  "Type": ["type", "text"],
  "Method": ["method", "text"],
  "Name": ["name", "text"],
  "Request Count": ["request_count", "integer"],
  "Failure Count": ["failure_count", "integer"],
  "Median Response Time": ["median_ms", "number"],
  "Average Response Time": ["average_ms", "number"],
  "Min Response Time": ["min_ms", "number"],
  "Max Response Time": ["max_ms", "number"],
  "Average Content Size": ["average_content_bytes", "number"],
  "Requests/s": ["requests_per_s", "number"],
  "Failures/s": ["failures_per_s", "number"],
  "Error": ["error", "text"],
  "Occurrences": ["occurrences", "integer"],
  "First Seen": ["first_seen", "text"],
  "Last Seen": ["last_seen", "text"],
  "Count": ["count", "integer"],
  "Message": ["message", "text"],
  "Traceback": ["traceback", "text"],
  "Nodes": ["nodes", "text"],
};

/** The end of each file's name, and the columns that tell it from the other files. */
const FILES: Record<LocustFile, { suffix: string; required: string[] }> = {
  stats: { suffix: "_stats.csv", required: ["Type", "Name", "Request Count", "Failure Count"] },
  history: { suffix: "_stats_history.csv", required: ["Timestamp", "User Count", "Name"] },
  failures: { suffix: "_failures.csv", required: ["Method", "Name", "Error", "Occurrences"] },
  exceptions: { suffix: "_exceptions.csv", required: ["Count", "Message", "Traceback"] },
};

const NAMES = Object.keys(FILES) as LocustFile[];

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
 * @throws {FileError} If a file is another one, or damaged; the message names file and line.
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
  const base = Object.values(FILES).reduce(
    (path, { suffix }) => path.endsWith(suffix) ? path.slice(0, -suffix.length) : path,
    prefix,
  );
  const tables = readTables(base);
  const run: LocustRun = { stats: null, history: null, failures: null, exceptions: null };
  for (const [name, table] of tables) run[name] = await toFrame(table);
  if (tables.size > 0) return run;
  const files = NAMES.map((name) => basename(base) + FILES[name].suffix).join(", ");
  const folder = dirname(resolve(base));
  throw new UsageError(
    `Cannot load Locust's CSVs "${prefix}": there is none of ${files} in ${folder}; give the path that --csv was given`,
  );
}

/** Reads one of Locust's CSV files; its path ends with `_stats.csv` or another of Locust's endings. */
export async function readLocustFile(file: string): Promise<DataFrame> {
  return await toFrame(readTable(file));
}

interface LocustTable {
  columns: LocustColumn[];
  values: (string | number | null)[][];
}

async function toFrame({ columns, values }: LocustTable): Promise<DataFrame> {
  const pl = await loadPolars();
  const dtypes = { integer: pl.Int64, number: pl.Float64, text: pl.Utf8 };
  return pl.DataFrame(
    columns.map(([name, kind], i) => pl.Series(name, values[i]!, dtypes[kind])),
  );
}

function readTables(base: string): Map<LocustFile, LocustTable> {
  const there = NAMES.filter((name) => existsSync(base + FILES[name].suffix));
  return new Map(there.map((name) => [name, readTable(base + FILES[name].suffix)]));
}

function readTable(file: string): LocustTable {
  const records = csvRecords(readText(file));
  const headers = records.next().value?.fields as string[] | undefined;
  if (headers === undefined) throw new FileError(file, 1, "it has no header");
  checkHeader(file, headers);
  const columns = headers.map(columnOf);
  const values: LocustTable["values"] = columns.map(() => []);
  for (const { line, fields } of records) {
    if (fields.length !== columns.length) {
      const what = describeLength(fields.length, columns.length);
      throw new FileError(file, line, `${what}; delete it to read the others`);
    }
    for (const [i, [, kind]] of columns.entries()) {
      const value = parseValue(fields[i]!, kind);
      if (value === undefined) {
        const must = kind === "integer" ? "a whole number" : "a number";
        const what = `${headers[i]} is ${JSON.stringify(fields[i])}, must be ${must}`;
        throw new FileError(file, line, what);
      }
      values[i]!.push(value);
    }
  }
  return { columns, values };
}

function checkHeader(file: string, headers: string[]): void {
  const { required, suffix } = Object.values(FILES).find(({ suffix }) => file.endsWith(suffix))!;
  const quoted = quoteHeader(headers.join(","));
  const twice = headers.find((header, i) => headers.indexOf(header) !== i);
  if (twice !== undefined) {
    throw new FileError(file, 1, `the column "${twice}" stands twice in ${quoted}`);
  }
  if (required.every((header) => headers.includes(header))) return;
  const what = `Locust's ${suffix} has the columns ${
    required.join(", ")
  }, and here stands ${quoted}`;
  throw new FileError(file, 1, what);
}

/** A column by its header; of a percentile, such as `99.9%`, it is `p99_9_ms`. */
function columnOf(header: string): LocustColumn {
  const [, percent] = /^(\d+(?:\.\d+)?)%$/.exec(header) ?? [];
  if (percent !== undefined) return [`p${percent.replace(".", "_")}_ms`, "number"];
  const [prefix, rest] = header.startsWith("Total ") ? ["total_", header.slice(6)] : ["", header];
  const [name, kind] = COLUMNS[rest] ?? [];
  return name === undefined ? [header, "text"] : [prefix + name, kind!];
}

/** A field's value; undefined where it is none of its kind. */
function parseValue(field: string, kind: ValueKind): string | number | null | undefined {
  if (field === "") return null;
  if (kind === "text") return field;
  if (field === "N/A") return null;
  const value = field.trim() === "" ? NaN : Number(field);
  const isValid = kind === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value);
  return isValid ? value : undefined;
}

/** What Locust's own CSVs, which a run's folder holds under the prefix `locust`, have counted. */
export function readLocustTotals(folder: string): LocustTotals {
  const base = join(folder, "locust");
  const tables = readTables(base);
  const fail = (name: LocustFile, what: string): never => {
    throw new FileError(base + FILES[name].suffix, null, what);
  };
  const column = (name: LocustFile, wanted: string) => {
    const { columns, values } = tables.get(name) ?? fail(name, "no such file");
    return values[columns.findIndex(([column]) => column === wanted)]!;
  };
  const total = column("stats", "name").lastIndexOf("Aggregated");
  const raised = column("exceptions", "count").map(Number);
  const [requests, failures] = ["request_count", "failure_count"]
    .map((wanted) => column("stats", wanted)[total]);
  if (typeof requests !== "number" || typeof failures !== "number") {
    return fail("stats", 'it has no row "Aggregated" with counts');
  }
  return { requests, failures, exceptions: raised.reduce((sum, count) => sum + count, 0) };
}
