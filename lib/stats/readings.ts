/** Counters and gauges over time, as samplers read them, and what of them falls into a window. */

import type { DataFrame } from "nodejs-polars";
import type { Window } from "./window.ts";

export interface Series {
  timesUs: readonly number[];
  values: readonly number[];
}

/** A counter at a point in time, interpolated between readings; outside of them, the nearest. */
export function counterAt({ timesUs, values }: Series, timeUs: number): number {
  const after = timesUs.findIndex((time) => time >= timeUs);
  if (after <= 0) return values.at(after)!;
  const share = (timeUs - timesUs[after - 1]!) / (timesUs[after]! - timesUs[after - 1]!);
  return values[after - 1]! + share * (values[after]! - values[after - 1]!);
}

export function growthWithin(series: Series, { startUs, endUs }: Window): number {
  return counterAt(series, endUs) - counterAt(series, startUs);
}

/** The first place at which a counter falls, as none should; below 0 where it never does. */
export function findFall(values: readonly number[]): number {
  return values.findIndex((value, i) => i > 0 && value < values[i - 1]!);
}

/** A column of numbers; what is missing counts as 0. */
export function numbersOf(frame: DataFrame, column: string): number[] {
  return frame.getColumn(column).toArray().map((value) => Number(value ?? 0));
}

/** What samplers read within a window. Several columns are added up at each reading. */
export function readingsWithin(frame: DataFrame, window: Window) {
  const timesUs = numbersOf(frame, "time_us");
  const sumsOf = (columns: string[]) => {
    const parts = columns.map((column) => numbersOf(frame, column));
    return timesUs.map((_, i) => parts.reduce((sum, part) => sum + part[i]!, 0));
  };
  const within = (columns: string[]) =>
    sumsOf(columns).filter((_, i) => timesUs[i]! >= window.startUs && timesUs[i]! <= window.endUs);
  return {
    count: (...columns: string[]) =>
      Math.round(growthWithin({ timesUs, values: sumsOf(columns) }, window)),
    max: (...columns: string[]) => Math.max(0, ...within(columns)),
    /** The mean of the readings; 0 without any. */
    mean: (...columns: string[]) => {
      const values = within(columns);
      return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
    },
  };
}

/** Why a window cannot be told from readings; null when it can. */
export function findGap(timesUs: readonly number[], { startUs, endUs }: Window): string | null {
  const seconds = (us: number) => `${(us / 1e6).toFixed(1)} s`;
  const [first, last] = [timesUs[0], timesUs.at(-1)];
  if (first === undefined || last === undefined) return "it has no readings";
  if (first > startUs) return `its readings begin ${seconds(first - startUs)} into the window`;
  if (last < endUs) return `its readings end ${seconds(endUs - last)} before the window does`;
  return null;
}

/** Why what was counted within a window cannot be told from a series; null when it can. */
export function findFault(
  frame: DataFrame,
  counters: readonly string[],
  window: Window,
): string | null {
  for (const counter of counters) {
    const at = findFall(numbersOf(frame, counter));
    if (at > 0) return `${counter} falls on line ${at + 2}: the server was started anew`;
  }
  return findGap(numbersOf(frame, "time_us"), window);
}

export type ResourceRow =
  & { time_us: number; service: string }
  & Record<"cpu_s" | "throttled_s", number | null>;

export function resourceRows(resources: DataFrame): ResourceRow[] {
  return resources.toRecords() as ResourceRow[];
}

/** Between readings that are closer than this, in seconds, the clocks of counters decide, not their use. */
const MIN_ELAPSED_S = 0.2;

export type CpuPoint = ReturnType<typeof cpuSeries>[number];

/** Cores in use by each service between samples; `originUs` is the time that is second 0. */
export function cpuSeries(resources: DataFrame, originUs: number | null = null) {
  const rows = resourceRows(resources);
  const origin = originUs ?? Number(rows[0]?.time_us ?? 0);
  const previous = new Map<string, ResourceRow>();
  return rows.flatMap((row) => {
    const before = previous.get(row.service);
    const elapsedS = before === undefined ? 0 : (row.time_us - before.time_us) / 1e6;
    // A run's own time stands still in the others' turns, and readings at their ends lie close.
    if (elapsedS > 0 && elapsedS < MIN_ELAPSED_S) return [];
    previous.set(row.service, row);
    if (elapsedS <= 0 || row.cpu_s === null || before?.cpu_s == null) return [];
    return [{
      service: row.service,
      /** Seconds since the window's start; negative in the warm-up. */
      timeS: (row.time_us - origin) / 1e6,
      cores: Math.max(0, (row.cpu_s - before.cpu_s) / elapsedS),
      /** Share of the time in which the quota held the service back, 0 to 1; null if not measured. */
      throttled: row.throttled_s === null || before.throttled_s === null
        ? null
        : (row.throttled_s - before.throttled_s) / elapsedS,
    }];
  });
}

/** Kinds of connections with their columns, in the order of the figure; PgBouncer's names are its own. */
const COLUMNS = {
  "active": "active",
  "waiting for a lock": "waiting_lock",
  "idle in transaction": "idle_in_transaction",
  "sv_active": "sv_active",
  "cl_waiting": "cl_waiting",
};

export const CONNECTION_KINDS = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];

export type ConnectionPoint = ReturnType<typeof connectionSeries>[number];

/** The connections of a run at each reading; `originUs` is the time that is second 0. */
export function connectionSeries(
  postgres: DataFrame,
  pgbouncer: DataFrame | null,
  originUs: number | null = null,
) {
  const origin = originUs ?? numbersOf(postgres, "time_us")[0] ?? 0;
  return CONNECTION_KINDS.flatMap((kind) => {
    const column = COLUMNS[kind];
    const frame = [postgres, pgbouncer].find((one) => one?.columns.includes(column));
    if (frame == null) return [];
    const values = numbersOf(frame, column);
    return numbersOf(frame, "time_us").map((timeUs, i) => ({
      kind,
      /** Seconds since the window's start; negative in the warm-up. */
      timeS: (timeUs - origin) / 1e6,
      connections: values[i]!,
    }));
  });
}
