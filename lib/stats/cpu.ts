/**
 * CPU use over time, from cumulative CPU seconds.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";

/** The CPU use of one service between two samples. */
export interface CpuPoint {
  service: string;
  /** Seconds since the window's start; negative in the warm-up. */
  timeS: number;
  /** Cores in use: CPU seconds per second. */
  cores: number;
  /** Share of the time in which the quota held the service back, 0 to 1; null if not measured. */
  throttled: number | null;
}

/**
 * Differences of `resources.csv`: cores in use by each service.
 *
 * @param resources A frame of `readResources`.
 * @param originUs The time that is second 0. @default the first sample
 */
export function cpuSeries(resources: DataFrame, originUs: number | null = null): CpuPoint[] {
  type Row = { time_us: number; service: string; cpu_s: number | null; throttled_s: number | null };
  const rows = resources.toRecords() as Row[];
  const origin = originUs ?? Number(rows[0]?.time_us ?? 0);
  const previous = new Map<string, Row>();
  const points: CpuPoint[] = [];
  for (const row of rows) {
    const before = previous.get(row.service);
    previous.set(row.service, row);
    const elapsedS = before === undefined ? 0 : (row.time_us - before.time_us) / 1e6;
    if (elapsedS <= 0 || row.cpu_s === null || before?.cpu_s == null) continue;
    points.push({
      service: row.service,
      timeS: (row.time_us - origin) / 1e6,
      cores: Math.max(0, (row.cpu_s - before.cpu_s) / elapsedS),
      throttled: row.throttled_s === null || before.throttled_s === null
        ? null
        : (row.throttled_s - before.throttled_s) / elapsedS,
    });
  }
  return points;
}
