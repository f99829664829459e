// test lane: checkout
import assert from "node:assert/strict";
import { createScenario } from "../scenario.ts";
import { type GeneratorConditions, NO_CONDITIONS } from "./conditions.ts";
import { unmeasuredRun } from "./summarise.ts";
import type { RunSummary } from "./summary.ts";
import type { Telemetry } from "./telemetry.ts";
import { latencyParts, STAGES, waterfalls } from "./waterfall.ts";

const work = {
  requests: 1000,
  astride: 0,
  serviceMs: 50_000,
  dataStatements: 1100,
  rows: 5850,
  transactionControl: 2000,
  setup: 3,
  dataMs: 3800,
  otherMs: 200,
  contract: null,
};
const pgbouncer = {
  transactions: 1000,
  queries: 3100,
  waitUs: 20e6,
  queryUs: 9e6,
  transactionUs: 0,
  maxClients: 64,
  maxServers: 20,
  maxServersActive: 9,
  meanServersActive: 9,
  logins: 0,
  starvedUs: 0,
  meanClients: 60,
  meanWaiting: 40,
};
/** Twenty more than correct answers, as where some failed: their times are in the sums. */
const app = {
  requests: 1020,
  handlerMs: 45_900,
  poolWaitMs: 2040,
  connectMs: 1020,
  connections: 3,
  databaseMs: 32_640,
};
const generator: GeneratorConditions = {
  busiest: 0.3,
  cores: 0.3,
  lagMeanMs: 0.5,
  lagMaxMs: 2,
  users: 10,
  connections: 0,
};
const conditions = { ...NO_CONDITIONS, generator };
const scenario = createScenario({ framework: "flask", path: "pooled", users: 10 });
const all: Telemetry = { postgres: null, pgbouncer, work, app };
const pooled = { telemetry: all, scenario, conditions, requests: 1000, rps: 100 };

/** Parts as `stage: ms`, the remainder in brackets. */
function told(run: Parameters<typeof latencyParts>[0]): string[] | null {
  return latencyParts(run)?.map(({ stage, ms, measured }) => {
    const text = `${stage}: ${Number(ms.toFixed(6))}`;
    return measured ? text : `(${text})`;
  }) ?? null;
}

Deno.test("latencyParts() tells every stage in a request's order, and together they are the mean", () => {
  assert.deepEqual(told(pooled), [
    "generator_lag: 0.5",
    "(http: 4.5)",
    "app: 10",
    "app_pool: 2",
    "connect: 1",
    "pgbouncer_queue: 20",
    "pgbouncer_starved: 0",
    "database_wait: 8",
    "execution: 4",
  ]);
  const sum = latencyParts(pooled)!.reduce((total, { ms }) => total + ms, 0);
  assert.ok(Math.abs(sum - 50) < 1e-9);
});

Deno.test("latencyParts() shows 5 ms more in one stage there, and nowhere else", () => {
  const more = 5 * app.requests;
  const slower = { ...work, serviceMs: work.serviceMs + 5000 };
  const handler = { ...app, handlerMs: app.handlerMs + more };
  const waiting = { ...handler, databaseMs: app.databaseMs + more };
  const cases: [string, Partial<Telemetry>][] = [
    ["http", {}],
    ["app", { app: handler }],
    ["app_pool", { app: { ...handler, poolWaitMs: app.poolWaitMs + more } }],
    ["connect", { app: { ...handler, connectMs: app.connectMs + more } }],
    ["database_wait", { app: waiting }],
    ["pgbouncer_queue", { app: waiting, pgbouncer: { ...pgbouncer, waitUs: 25e6 } }],
    ["execution", { app: waiting, work: { ...slower, dataMs: work.dataMs + 5000 } }],
  ];
  for (const [stage, changes] of cases) {
    const telemetry = { ...all, work: slower, ...changes };
    const before = latencyParts(pooled)!;
    for (const [i, part] of latencyParts({ ...pooled, telemetry })!.entries()) {
      const moved = part.ms - before[i]!.ms;
      assert.ok(Math.abs(moved - (part.stage === stage ? 5 : 0)) < 1e-9, `${stage}: ${part.stage}`);
    }
  }
});

Deno.test("latencyParts() puts what starving clients waited on top of the mean, in no other stage", () => {
  const starving = { ...pgbouncer, waitUs: 100e6, starvedUs: 80e6 };
  const expected = told(pooled)!.map((text) =>
    text.startsWith("pgbouncer_starved") ? "pgbouncer_starved: 80" : text
  );
  assert.deepEqual(told({ ...pooled, telemetry: { ...all, pgbouncer: starving } }), expected);
  // Twenty requests that PgBouncer gave up after 15 s are among the app's, in no answer's time.
  const kicked = { ...app, handlerMs: app.handlerMs + 3e5, databaseMs: app.databaseMs + 3e5 };
  const parts = latencyParts({
    ...pooled,
    telemetry: { ...all, pgbouncer: starving, app: kicked },
  });
  const sum = parts!.reduce((total, { ms }) => total + ms, 0);
  assert.ok(Math.abs(sum - 130) < 1e-9 && parts!.every(({ ms }) => ms >= 0));
});

Deno.test("latencyParts() leaves out what a path or a reuse does not have, and no lag is below zero", () => {
  const direct = { ...scenario, path: "direct" as const, reuse: "per_request" as const };
  const telemetry = { ...all, pgbouncer: null };
  assert.deepEqual(told({ ...pooled, telemetry, scenario: direct }), [
    "generator_lag: 0.5",
    "(http: 4.5)",
    "app: 10",
    "connect: 3",
    "database_wait: 28",
    "execution: 4",
  ]);
  // A generator that is later than all of its requests took outside the app.
  const late = { ...conditions, generator: { ...generator, lagMeanMs: 9 } };
  assert.deepEqual(told({ ...pooled, conditions: late })!.slice(0, 2), [
    "generator_lag: 5",
    "(http: 0)",
  ]);
  assert.deepEqual(told({ ...pooled, conditions: NO_CONDITIONS })![0], "(http: 5)");
});

Deno.test("latencyParts() of a run whose app told nothing knows fewer parts; without work none", () => {
  const telemetry: Telemetry = { ...all, app: null };
  assert.deepEqual(told({ ...pooled, telemetry }), [
    "(rest: 21)",
    "pgbouncer_queue: 20",
    "pgbouncer_starved: 0",
    "pgbouncer_server: 5",
    "execution: 4",
  ]);
  const direct = { ...scenario, path: "direct" as const };
  const alone = { ...telemetry, pgbouncer: null };
  assert.deepEqual(told({ ...pooled, telemetry: alone, scenario: direct }), [
    "(rest: 46)",
    "execution: 4",
  ]);
  assert.equal(latencyParts({ ...pooled, telemetry: alone }), null);
  assert.equal(latencyParts({ ...pooled, telemetry: null }), null);
  assert.equal(latencyParts({ ...pooled, telemetry: { ...all, work: null } }), null);
});

Deno.test("waterfalls() is the mean over a scenario's successful runs, without those that know less", () => {
  const run = (
    round: number,
    telemetry: Telemetry,
    status: RunSummary["status"] = "ok",
  ): RunSummary => ({
    ...unmeasuredRun({
      scenarioId: "a",
      scenario,
      round,
      arm: "Flask pooled",
      status,
      cause: null,
    }),
    telemetry,
    conditions,
  });
  const slower = { ...all, work: { ...work, serviceMs: 60_000 } };
  const [one, ...others] = waterfalls({
    scenarios: [{ scenarioId: "b" }, { scenarioId: "a" }],
    runs: [run(1, all), run(2, slower), run(3, { ...all, app: null }), run(4, slower, "failed")],
  });
  assert.equal(others.length, 0);
  assert.deepEqual([one!.n, one!.users, one!.arm], [2, 10, "Flask pooled"]);
  assert.ok(Math.abs(one!.totalMs - 55) < 1e-9);
  const stages = one!.parts.map(({ stage }) => stage);
  assert.deepEqual(stages, STAGES.filter((stage) => stages.includes(stage)));
  assert.ok(Math.abs(one!.parts.find(({ stage }) => stage === "http")!.ms - 9.5) < 1e-9);
  const armsOf = (...runs: RunSummary[]) =>
    waterfalls({ scenarios: [{ scenarioId: "a" }], runs }).map(({ arm, n }) => `${arm}: ${n}`);
  assert.deepEqual(armsOf(run(1, all), run(2, all, "rejected")), ["Flask pooled: 1"]);
  assert.deepEqual(armsOf(run(1, all, "failed"), run(2, all, "rejected")), [
    "Flask pooled (rejected): 1",
  ]);
});
