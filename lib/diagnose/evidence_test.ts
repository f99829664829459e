import { deepEqual, equal } from "node:assert/strict";
import { createScenario, type Path, type Scenario } from "../scenario.ts";
import { unmeasuredRun } from "../stats/summarise.ts";
import type { PathRatio, RunSummary } from "../stats/summary.ts";
import type { PgbouncerActivity } from "../stats/telemetry.ts";
import { pairEvidence } from "./evidence.ts";

const pair = { direct: "d", pooled: "p", label: "django", reuse: "persistent" } as PathRatio;
const quiet = {
  transactions: 1000,
  queries: 1000,
  queryUs: 0,
  waitUs: 0,
  maxClients: 8,
  maxServers: 8,
  meanServersActive: 2,
};

function run(
  path: Path,
  sessions: number,
  pooler: Partial<PgbouncerActivity> = {},
  settings: Partial<Scenario> = {},
): RunSummary {
  const scenario = createScenario({ framework: "django", path, users: 10, ...settings });
  const head = { scenario, arm: path, round: 1, status: "ok" as const, cause: null };
  return {
    ...unmeasuredRun({ ...head, scenarioId: path[0]! }),
    requests: 2000,
    telemetry: {
      postgres: {
        ...{ sessions, transactions: 2000, maxConnections: 8, meanActive: 2, meanWaitingLock: 0 },
      },
      pgbouncer: path === "direct" ? null : { ...quiet, logins: 0, ...pooler },
      ...{ work: null, app: null },
    },
  };
}

const claims = (...runs: RunSummary[]) => pairEvidence({ ratios: [pair], runs })[0]!.claims;

Deno.test("without a trace of the pooler, only the extra hop is measured", () => {
  deepEqual(claims(run("direct", 0), run("pooled", 0)), []);
});

Deno.test("a reuse claim needs churn that the pooled arm does not have", () => {
  deepEqual(claims(run("direct", 2000), run("pooled", 4)), ["reuse"]);
  // Both churn, as through a pool of one connection for each client; or neither does.
  deepEqual(claims(run("direct", 2000), run("pooled", 1900)), []);
  deepEqual(claims(run("direct", 19), run("pooled", 0)), []);
});

Deno.test("a multiplexing claim needs more client than server connections", () => {
  deepEqual(claims(run("direct", 0), run("pooled", 0, { maxClients: 64, maxServers: 20 })), [
    "multiplexing",
  ]);
  // An app of six connections has none to share, however many come and go.
  const counts = { maxClients: 7, maxServers: 6 };
  const six = { workers: 3, threads: 2 };
  deepEqual(claims(run("direct", 0, {}, six), run("pooled", 0, counts, six)), []);
});

Deno.test("a queueing claim needs total_wait_time to have grown", () => {
  deepEqual(claims(run("direct", 0), run("pooled", 0, { waitUs: 99_000 })), []);
  deepEqual(claims(run("direct", 0), run("pooled", 0, { waitUs: 101_000 })), ["queueing"]);
});

Deno.test("what was not recorded supports nothing", () => {
  const silent = (path: Path) => ({ ...run(path, 2000), telemetry: null });
  const [evidence] = pairEvidence({ ratios: [pair], runs: [silent("direct"), silent("pooled")] });
  deepEqual([evidence!.rounds, evidence!.claims, evidence!.waitMs], [0, [], null]);
  equal(pairEvidence({ ratios: [], runs: [] }).length, 0);
});
