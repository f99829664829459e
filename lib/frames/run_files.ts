/** The CSV files of a run as dataframes with fixed dtypes and snake_case columns. */

import { join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { FileError } from "../errors.ts";
import { EARLIER_COLUMNS, RUN_COLUMNS } from "../store/layout.ts";
import {
  type OwnTime,
  ownTimeOf,
  requestsInOwnTime,
  resourcesInOwnTime,
  samplesInOwnTime,
} from "./own_time.ts";
import { readCsv } from "./read_csv.ts";

type Conversion = (frame: DataFrame, own: OwnTime) => DataFrame;

/**
 * Makes the reader of a file in a run's folder, in the run's own time; columns that an earlier version
 * lacks are null.
 */
function readerOf(name: keyof typeof RUN_COLUMNS, inOwnTime: Conversion) {
  const earlier: Partial<Record<string, number>> = EARLIER_COLUMNS;
  return async (folder: string): Promise<DataFrame> => {
    const frame = await readCsv(join(folder, name), RUN_COLUMNS[name], earlier[name]);
    const own = ownTimeOf(folder);
    return own === null ? frame : inOwnTime(frame, own);
  };
}

/** Makes the reader of a time series, whose rows must follow each other in time. */
function seriesReaderOf(name: "postgres.csv" | "pgbouncer.csv") {
  const read = readerOf(name, (frame, own) => samplesInOwnTime(frame, own, false));
  return async (folder: string): Promise<DataFrame> => {
    const frame = await read(folder);
    const times = frame.getColumn("time_us").toArray().map(Number);
    const back = times.findIndex((timeUs, i) => i > 0 && timeUs <= times[i - 1]!);
    if (back < 0) return frame;
    throw new FileError(join(folder, name), back + 2, "its time is not after the line before");
  };
}

const allSamples: Conversion = (frame, own) => samplesInOwnTime(frame, own, true);

// The columns are described in store/layout.ts. What may be missing there is null.
export const readRequests = readerOf("requests.csv", requestsInOwnTime);
export const readResources = readerOf("resources.csv", resourcesInOwnTime);
/** As {@linkcode readResources}, with times by the clock. */
export const readResourcesByClock = readerOf("resources.csv", (frame) => frame);
export const readAppTimes = readerOf("app.csv", allSamples);
export const readPostgres = seriesReaderOf("postgres.csv");
export const readPgbouncer = seriesReaderOf("pgbouncer.csv");
export const readStatements = readerOf("statements.csv", allSamples);
