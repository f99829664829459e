/** Where the time of a mean request went. Only means add up, so only means are broken down. */

import type { RunSummary, ScenarioSummary } from "./summary.ts";
import { heldScore, heldTransactions } from "./telemetry.ts";

/** Stages of a request, in the order in which it meets them. */
export const STAGES = [
  // The load generator was late to see the answer.
  "generator_lag",
  // Between generator and app: the way there and back, waiting for a worker or thread.
  "http",
  // Everything that no other stage has, where the app did not tell what its requests took.
  "rest",
  // The app's own code, its framework and driver, and its waiting for a core.
  "app",
  // The same while its transaction was open and PostgreSQL waited for it, where that is much.
  "held",
  "app_pool",
  "connect",
  // Waiting in PgBouncer for a server connection.
  "pgbouncer_queue",
  // The same of requests that got none, and no answer: it comes on top of the mean service time.
  "pgbouncer_starved",
  // PgBouncer's server was busy while PostgreSQL executed nothing, where the app did not tell.
  "pgbouncer_server",
  // The app waited while PostgreSQL executed nothing and PgBouncer did not have it queue.
  "database_wait",
  // PostgreSQL executed; its waiting for locks and for CPU within a statement is in it.
  "execution",
] as const;

export type Stage = typeof STAGES[number];

export interface WaterfallPart {
  stage: Stage;
  ms: number;
  /** False for what is left when all measured parts are taken off. */
  measured: boolean;
}

/**
 * The parts of a run's mean service time, in the order in which a request meets them; together they
 * are the mean, but for `pgbouncer_starved`, which comes on top. Each is a sum over the window, by the
 * clock of the program that saw it, over the number of requests.
 *
 * @returns Null where a part that the path has was not recorded.
 */
export function latencyParts(
  run: Pick<RunSummary, "telemetry" | "scenario" | "conditions" | "requests" | "rps">,
): WaterfallPart[] | null {
  const { telemetry, scenario, conditions } = run;
  const work = telemetry?.work ?? null;
  const pgbouncer = telemetry?.pgbouncer ?? null;
  const app = telemetry?.app?.requests ? telemetry.app : null;
  if (work === null || work.requests === 0) return null;
  if (scenario.path === "pooled" && pgbouncer === null) return null;
  const per = (ms: number) => ms / work.requests;
  const service = per(work.serviceMs);
  const execution = per(work.dataMs + work.otherMs);
  const starved = pgbouncer && per(pgbouncer.starvedUs / 1000);
  const queue = pgbouncer && per((pgbouncer.waitUs - pgbouncer.starvedUs) / 1000);
  const measured: [Stage, number][] = [];
  const left = () => service - measured.reduce((sum, [, ms]) => sum + ms, 0);
  if (queue !== null) measured.push(["pgbouncer_queue", queue]);
  measured.push(["execution", execution]);
  if (app !== null) {
    const own = (ms: number) => ms / app.requests;
    const [handler, database] = [own(app.handlerMs), own(app.databaseMs)];
    const [pool, connect] = [own(app.poolWaitMs), own(app.connectMs)];
    const { generator } = conditions;
    if (generator !== null) {
      const lag = Math.min(generator.lagMeanMs, Math.max(0, service - handler));
      measured.push(["generator_lag", lag]);
    }
    const code = Math.max(0, handler - pool - connect - database);
    const idle = heldTransactions(run);
    const held = heldScore(idle) >= 1 ? Math.min(code, idle!.heldMs) : 0;
    measured.push(["app", code - held]);
    if (held > 0) measured.push(["held", held]);
    if (scenario.reuse === "app_pool") measured.push(["app_pool", pool]);
    measured.push(["connect", scenario.reuse === "app_pool" ? connect : connect + pool]);
    // Three programs' clocks: what is executed and queued is within what the app waits for.
    const wait = Math.max(0, database - (queue ?? 0) - execution);
    // Requests that PgBouncer gave up are among the app's, and not among the answers.
    const most = starved ? Math.max(0, left()) : Infinity;
    measured.push(["database_wait", Math.min(wait, most)]);
  } else if (pgbouncer !== null) {
    const server = Math.max(0, per(pgbouncer.queryUs / 1000) - execution);
    measured.push(["pgbouncer_server", server]);
  }
  const parts: WaterfallPart[] = [
    ...measured.map(([stage, ms]) => ({ stage, ms, measured: true })),
    { stage: app === null ? "rest" : "http", ms: left(), measured: false },
  ];
  if (starved !== null) parts.push({ stage: "pgbouncer_starved", ms: starved, measured: true });
  return parts.sort((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage));
}

export type Waterfall = ReturnType<typeof waterfalls>[number];

/**
 * The waterfall of each scenario that has one: the mean over its successful runs that know the most
 * parts of it; where gates rejected all that did not fail over these, as the arm's label says.
 */
export function waterfalls(
  { scenarios, runs }: {
    scenarios: readonly Pick<ScenarioSummary, "scenarioId">[];
    runs: readonly RunSummary[];
  },
) {
  return scenarios.flatMap(({ scenarioId }) => {
    const withStatus = (status: RunSummary["status"]) =>
      runs.filter((run) => run.scenarioId === scenarioId && run.status === status);
    const accepted = withStatus("ok");
    const counted = accepted.length > 0 ? accepted : withStatus("rejected");
    const told = counted.map(latencyParts).filter((parts) => parts !== null);
    if (told.length === 0) return [];
    const most = Math.max(...told.map(({ length }) => length));
    const known = told.filter(({ length }) => length === most);
    const mean = (i: number) => known.reduce((sum, parts) => sum + parts[i]!.ms, 0) / known.length;
    const parts = known[0]!.map((part, i) => ({ ...part, ms: mean(i) }));
    const { arm, scenario: { users, arrivalRate } } = counted[0]!;
    return [{
      scenarioId,
      arm: accepted.length > 0 ? arm : `${arm} (rejected)`,
      users,
      arrivalRate,
      /** Means over the runs, in the order in which a request meets them. */
      parts,
      /** Their sum in milliseconds: the mean service time, and `pgbouncer_starved` on top. */
      totalMs: parts.reduce((sum, { ms }) => sum + ms, 0),
      n: known.length,
    }];
  });
}
