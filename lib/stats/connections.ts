/**
 * Connections over time, by what they did.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";

/** What is counted; PgBouncer's names are its own. */
export const CONNECTION_KINDS = [
  "active",
  "waiting for a lock",
  "idle in transaction",
  "sv_active",
  "cl_waiting",
] as const;

/** Connections of one kind at one reading. */
export interface ConnectionPoint {
  kind: typeof CONNECTION_KINDS[number];
  /** Seconds since the window's start; negative in the warm-up. */
  timeS: number;
  connections: number;
}

/**
 * The connections of a run at each reading: what PostgreSQL's did, and what went on in PgBouncer.
 *
 * @param postgres A frame of `readPostgres`.
 * @param pgbouncer A frame of `readPgbouncer`; null when the path is direct.
 * @param originUs The time that is second 0. @default the first reading
 */
export function connectionSeries(
  postgres: DataFrame,
  pgbouncer: DataFrame | null,
  originUs: number | null = null,
): ConnectionPoint[] {
  const origin = originUs ?? Number(postgres.getColumn("time_us").toArray()[0] ?? 0);
  const points = (frame: DataFrame, column: string, kind: ConnectionPoint["kind"]) => {
    const times = frame.getColumn("time_us").toArray();
    const values = frame.getColumn(column).toArray() as (number | null)[];
    return values.map((value, i): ConnectionPoint => ({
      kind,
      timeS: (Number(times[i]) - origin) / 1e6,
      connections: Number(value ?? 0),
    }));
  };
  return [
    ...points(postgres, "active", "active"),
    ...points(postgres, "waiting_lock", "waiting for a lock"),
    ...points(postgres, "idle_in_transaction", "idle in transaction"),
    ...(pgbouncer === null ? [] : [
      ...points(pgbouncer, "sv_active", "sv_active"),
      ...points(pgbouncer, "cl_waiting", "cl_waiting"),
    ]),
  ];
}
