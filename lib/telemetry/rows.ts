/** Rows of the files that telemetry writes. */

import type { ServiceUsage } from "../hosts/host.ts";

/** A row: values by their columns. */
export type Row = Record<string, string | number | null>;

/** Rows as lines of a CSV file with these columns. */
export function csvLines(columns: readonly string[], rows: readonly Row[]): string {
  return rows.map((row) => columns.map((column) => field(row[column])).join(",") + "\n").join("");
}

function field(value: string | number | null | undefined): string {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows of resources.csv. */
export function usageRows(time_us: number, usages: readonly ServiceUsage[]): Row[] {
  return usages.map((usage) => ({
    time_us,
    service: usage.service,
    cpu_s: usage.cpuS.toFixed(6),
    throttled_s: usage.throttledS.toFixed(6),
    memory_mib: usage.memoryMiB.toFixed(2),
    processes: usage.processes,
    context_switches: usage.contextSwitches,
  }));
}
