import assert from "node:assert/strict";
import { createScenario } from "../scenario.ts";
import type { Telemetry } from "./telemetry.ts";
import { latencyParts } from "./waterfall.ts";

const work = {
  ...{ requests: 1000, serviceMs: 50_000, dataStatements: 1100, rows: 5850 },
  ...{ transactionControl: 2000, setup: 3, dataMs: 3800, otherMs: 200, contract: null },
};
const pgbouncer = {
  ...{ transactions: 1000, queries: 3100, waitUs: 20e6, queryUs: 9e6, maxClients: 64 },
  ...{ maxServers: 20, meanServersActive: 9, logins: 0 },
};
const scenario = createScenario({ framework: "flask", path: "pooled", users: 10 });

Deno.test("latencyParts() adds up to the mean, measured parts and rest told apart", () => {
  const telemetry: Telemetry = { postgres: null, pgbouncer, work, app: null };
  assert.deepEqual(latencyParts({ telemetry, scenario }), [
    { stage: "rest", ms: 21, measured: false },
    { stage: "pgbouncer_queue", ms: 20, measured: true },
    { stage: "pgbouncer_server", ms: 5, measured: true },
    { stage: "execution", ms: 4, measured: true },
  ]);
  // 5 ms more in one of them are 5 ms more there, and nowhere else.
  const slower = { ...work, serviceMs: 55_000 };
  const queue = { ...pgbouncer, waitUs: 25e6 };
  const parts = latencyParts({
    telemetry: { ...telemetry, pgbouncer: queue, work: slower },
    scenario,
  })!;
  assert.deepEqual(parts.map(({ ms }) => ms), [21, 25, 5, 4]);
});

Deno.test("latencyParts() of the direct path knows no PgBouncer; without records there are none", () => {
  const direct = { ...scenario, path: "direct" as const };
  const telemetry: Telemetry = { postgres: null, pgbouncer: null, work, app: null };
  assert.deepEqual(latencyParts({ telemetry, scenario: direct }), [
    { stage: "rest", ms: 46, measured: false },
    { stage: "execution", ms: 4, measured: true },
  ]);
  assert.equal(latencyParts({ telemetry, scenario }), null);
  assert.equal(latencyParts({ telemetry: null, scenario }), null);
  assert.equal(latencyParts({ telemetry: { ...telemetry, work: null }, scenario: direct }), null);
});
