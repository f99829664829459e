/**
 * What happened in a window from moment to moment.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import { polars } from "../frames/polars.ts";
import type { Window } from "./window.ts";

/** A window in equal parts. */
export interface WindowSeries {
  /** Requests answered in each part, failures among them. */
  completed: number[];
  /** Mean service time in each part in milliseconds; NaN where nothing was answered. */
  serviceMs: number[];
}

/**
 * Cuts a window into parts of equal length.
 *
 * @param completed The requests that were answered in the window, as `cutWindow` gives them.
 * @param window The window.
 * @param parts How many.
 */
export function windowSeries(completed: DataFrame, window: Window, parts: number): WindowSeries {
  const { col, lit } = polars();
  const lengthUs = (window.endUs - window.startUs) / parts;
  const part = col("start_us").add(col("service_us")).sub(lit(window.startUs)).div(lit(lengthUs))
    .floor().alias("part");
  const rows = completed.select(part, col("service_us")).groupBy(["part"])
    .agg(col("service_us").count().alias("n"), col("service_us").sum().alias("total"))
    .toRecords() as { part: number; n: number; total: number }[];
  const series: WindowSeries = {
    completed: Array(parts).fill(0),
    serviceMs: Array(parts).fill(NaN),
  };
  for (const { part, n, total } of rows) {
    // Division may round the last microsecond up into a part of its own.
    const at = Math.min(parts - 1, Number(part));
    const before = series.completed[at]!;
    const beforeMs = before === 0 ? 0 : series.serviceMs[at]! * before;
    series.completed[at] = before + Number(n);
    series.serviceMs[at] = (beforeMs + Number(total) / 1000) / (before + Number(n));
  }
  return series;
}
