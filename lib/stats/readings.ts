/**
 * What samplers read again and again: counters and gauges over time, and what of them falls into a
 * window.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import type { Window } from "./window.ts";

/** One column of a series, with the time of each reading. */
export interface Series {
  timesUs: number[];
  values: number[];
}

/** The sum of some columns at each reading; what is missing counts as 0. */
export function seriesOf(frame: DataFrame, columns: readonly string[]): Series {
  const parts = columns.map((name) => frame.getColumn(name).toArray() as (number | null)[]);
  return {
    timesUs: frame.getColumn("time_us").toArray().map(Number),
    values: parts[0]!.map((_, i) => parts.reduce((sum, part) => sum + Number(part[i] ?? 0), 0)),
  };
}

/**
 * A counter at a point in time, by the straight line between the readings around it: those are
 * right beside the window's begin and end, where all went well.
 */
export function counterAt({ timesUs, values }: Series, timeUs: number): number {
  const after = timesUs.findIndex((time) => time >= timeUs);
  if (after <= 0) return values[Math.max(0, after)]!;
  const share = (timeUs - timesUs[after - 1]!) / (timesUs[after]! - timesUs[after - 1]!);
  return values[after - 1]! + share * (values[after]! - values[after - 1]!);
}

/** What was counted within a window. */
export function countWithin(frame: DataFrame, columns: string[], window: Window): number {
  const series = seriesOf(frame, columns);
  return Math.round(counterAt(series, window.endUs) - counterAt(series, window.startUs));
}

/** The largest value of the readings of a window. */
export function maxWithin(frame: DataFrame, columns: string[], { startUs, endUs }: Window): number {
  const { timesUs, values } = seriesOf(frame, columns);
  return values.reduce(
    (max, value, i) => timesUs[i]! >= startUs && timesUs[i]! <= endUs ? Math.max(max, value) : max,
    0,
  );
}

/** The mean of the readings of a window; 0 without any. */
export function meanWithin(
  frame: DataFrame,
  columns: string[],
  { startUs, endUs }: Window,
): number {
  const { timesUs, values } = seriesOf(frame, columns);
  const own = values.filter((_, i) => timesUs[i]! >= startUs && timesUs[i]! <= endUs);
  return own.length === 0 ? 0 : own.reduce((sum, value) => sum + value, 0) / own.length;
}

/**
 * Why a window cannot be told from readings; null when it can.
 *
 * @param timesUs The times of the readings, in order.
 * @param window The measurement window.
 */
export function findGap(timesUs: readonly number[], { startUs, endUs }: Window): string | null {
  const seconds = (us: number) => `${(us / 1e6).toFixed(1)} s`;
  const [first, last] = [timesUs[0], timesUs.at(-1)];
  if (first === undefined || last === undefined) return "it has no readings";
  if (first > startUs) return `its readings begin ${seconds(first - startUs)} into the window`;
  if (last < endUs) return `its readings end ${seconds(endUs - last)} before the window does`;
  return null;
}

/**
 * Why what was counted within a window cannot be told from a series; null when it can.
 *
 * @param frame A frame of `readPostgres` or `readPgbouncer`.
 * @param counters Its cumulative columns.
 * @param window The measurement window.
 */
export function findFault(
  frame: DataFrame,
  counters: readonly string[],
  window: Window,
): string | null {
  for (const counter of counters) {
    const { values } = seriesOf(frame, [counter]);
    const at = values.findIndex((value, i) => i > 0 && value < values[i - 1]!);
    if (at > 0) return `${counter} falls on line ${at + 2}: the server was started anew`;
  }
  return findGap(frame.getColumn("time_us").toArray().map(Number), window);
}
