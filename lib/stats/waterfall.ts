/**
 * Where the time of a mean request went. Only means add up, so that only means are told apart.
 *
 * @module
 */

import type { RunSummary } from "./summary.ts";

/** A part of the mean service time. */
export interface WaterfallPart {
  /**
   * - `pgbouncer_queue`: waiting in PgBouncer for a server connection.
   * - `pgbouncer_server`: a server connection was busy with the request's queries while PostgreSQL
   *   executed none: on the way there and back, or waiting for the database's CPU.
   * - `execution`: PostgreSQL executed.
   * - `rest`: everything else: the app itself, its pool, connection set-up and, when direct, the way
   *   to PostgreSQL.
   */
  stage: "pgbouncer_queue" | "pgbouncer_server" | "execution" | "rest";
  /** Milliseconds per request. */
  ms: number;
  /** False for what is left when all measured parts are taken off. */
  measured: boolean;
}

/**
 * The parts of a run's mean service time, in the order in which a request meets them; together they
 * are the mean.
 *
 * @returns Null where a part that the path has was not recorded.
 */
export function latencyParts(
  { telemetry, scenario }: Pick<RunSummary, "telemetry" | "scenario">,
): WaterfallPart[] | null {
  const work = telemetry?.work ?? null;
  const pgbouncer = telemetry?.pgbouncer ?? null;
  if (work === null || work.requests === 0) return null;
  if (scenario.path === "pooled" && pgbouncer === null) return null;
  const per = (ms: number) => ms / work.requests;
  const execution = per(work.dataMs + work.otherMs);
  const pooled: WaterfallPart[] = pgbouncer === null ? [] : [
    { stage: "pgbouncer_queue", ms: per(pgbouncer.waitUs / 1000), measured: true },
    {
      stage: "pgbouncer_server",
      // Two programs' clocks: what is executed is within what PgBouncer sees of it.
      ms: Math.max(0, per(pgbouncer.queryUs / 1000) - execution),
      measured: true,
    },
  ];
  const measured = [
    ...pooled,
    { stage: "execution" as const, ms: execution, measured: true },
  ];
  const rest = per(work.serviceMs) - measured.reduce((sum, { ms }) => sum + ms, 0);
  return [{ stage: "rest", ms: rest, measured: false }, ...measured];
}
