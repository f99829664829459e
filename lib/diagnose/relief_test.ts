// test lane: checkout
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { syntheticPlan } from "../testing/synthetic_study.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import { summariseScenarios, unmeasuredRun } from "../stats/summarise.ts";
import type { RunSummary } from "../stats/summary.ts";
import { confirmationPlan, readConfirmations, relieve } from "./relief.ts";
import { type ScenarioVerdict, type Verdict } from "./verdict.ts";

function scenario(changes: Partial<Scenario> = {}): Scenario {
  return createScenario({ framework: "flask", path: "pooled", users: 10, ...changes });
}

function whatOf(verdict: Verdict, changes: Partial<Scenario> = {}): string {
  const relieved = relieve(scenario(changes), verdict);
  return typeof relieved === "string" ? `(${relieved})` : relieved.what;
}

Deno.test("relieve() gives more of what was used up, and nothing else", () => {
  deepEqual(
    [
      whatOf("database_quota"),
      whatOf("app_cpu", { appCpus: 0.5 }),
      whatOf("app_cpu"),
      whatOf("pgbouncer_cpu", { pgbouncerCpus: 0.1 }),
      whatOf("pgbouncer_queue"),
      whatOf("pgbouncer_queue", { defaultPoolSize: 40 }),
      whatOf("pgbouncer_queue", { poolMode: "session" }),
      whatOf("app_pool", { poolSize: 2 }),
      whatOf("workers", { threads: 2, poolSize: 2 }),
      whatOf("connection_setup", { reuse: "per_request" }),
      whatOf("connection_setup", { framework: "django", reuse: "per_request" }),
      whatOf("refused_connections", { maxClientConn: 20 }),
      whatOf("refused_connections", { path: "direct" }),
      whatOf("load_limited"),
      whatOf("load_limited", { users: null, arrivalRate: 50 }),
      whatOf("generator", { client: "fast" }),
    ],
    [
      "dbCpus 0.5 → none",
      "appCpus 0.5 → none",
      "workers 2 → 4",
      "pgbouncerCpus 0.1 → none",
      "defaultPoolSize 20 → 60",
      "maxConnections 100 → 140, defaultPoolSize 40 → 120",
      "defaultPoolSize 20 → 64",
      "poolSize 2 → 6",
      "threads 2 → 6, poolSize 2 → 6",
      "reuse per_request → app_pool",
      "reuse per_request → persistent",
      "maxClientConn 20 → 10000",
      "maxConnections 100 → 300",
      "users 10 → 30",
      "arrivalRate 50 → 150",
      "client fast → lean",
    ],
  );
});

Deno.test("relieve() says why no setting helps", () => {
  for (const verdict of ["generator", "host_cpu", "database_locks", "unknown"] as const) {
    match(whatOf(verdict), /^\([a-zA-Z].*\)$/);
  }
  equal(whatOf("database_quota", { dbCpus: null }), "(PostgreSQL has no quota)");
  match(whatOf("pgbouncer_cpu"), /PgBouncer runs on one core/);
  match(
    whatOf("connection_setup"),
    /the app opens new connections, although it is to keep them \(app_pool\)/,
  );
  match(whatOf("refused_connections", { path: "direct", maxConnections: 500 }), /500 already/);
  match(whatOf("load_limited", { users: 10_000 }), /the scenario already has 10,000 users/);
});

function verdictOn(one: Scenario, verdict: Verdict): ScenarioVerdict {
  const head = { scenarioId: scenarioId(one), scenario: one, arm: "a", round: 1, cause: null };
  const [summary] = summariseScenarios([unmeasuredRun({ ...head, status: "ok" })]);
  return {
    scenario: summary!,
    verdict,
    evidence: "",
    confidence: "high",
    rounds: 1,
    of: 1,
  };
}

Deno.test("confirmationPlan() has each scenario and itself relieved, in few and short rounds", () => {
  const plan = syntheticPlan({ rounds: 6, windowS: 60 });
  const [one, copy, host] = [scenario(), scenario({ replica: 1 }), scenario({ users: 20 })];
  const made = confirmationPlan(plan, [
    verdictOn(one, "database_quota"),
    verdictOn(copy, "database_quota"),
    verdictOn(host, "host_cpu"),
  ])!;
  deepEqual(made.scenarios, [one, { ...one, dbCpus: null }]);
  deepEqual([made.rounds, made.windowS, made.name], [4, 10, "synthetic-confirmation"]);
  equal(confirmationPlan(plan, [verdictOn(host, "host_cpu")]), null);
});

Deno.test("readConfirmations() says whether throughput rose, paired by round", () => {
  const one = scenario();
  const id = (dbCpus: number | null) => scenarioId({ ...one, dbCpus });
  const runs = (before: number[], after: number[], changes: Partial<RunSummary> = {}) =>
    [[0.5, before], [null, after]].flatMap(([dbCpus, all]) =>
      (all as number[]).map((rps, i): RunSummary => ({
        ...unmeasuredRun({
          scenarioId: id(dbCpus as number | null),
          scenario: one,
          arm: "a",
          round: i + 1,
          status: "ok",
          cause: null,
        }),
        measured: true,
        rps,
        ...changes,
      }))
    );
  const read = (own: RunSummary[]) =>
    readConfirmations([verdictOn(one, "database_quota")], own)[0]!;
  const risen = read(runs([100, 110, 90], [200, 215, 185]));
  deepEqual([risen.outcome, risen.n, risen.what], ["confirmed", 3, "dbCpus 0.5 → none"]);
  ok(Math.abs(risen.ratio!.value - 2) < 0.05 && risen.ratio!.low! > 1.8);
  equal(read(runs([100, 110, 90], [101, 109, 91])).outcome, "refuted");
  equal(read(runs([100, 110, 90], [150, 90, 130])).outcome, "undecided");
  equal(read(runs([100], [200])).outcome, "undecided");
  equal(read([]).outcome, "untested");
  equal(read(runs([100, 90], [200, 190], { status: "rejected" })).outcome, "untested");
  // To be spared the failures is the relief.
  equal(read(runs([100, 101], [200, 202], { status: "failed" })).outcome, "confirmed");
});

Deno.test("readConfirmations() tells what the app's own description advises, with the values", () => {
  const advised = (verdict: Verdict, changes: Partial<Scenario> = {}) =>
    readConfirmations([verdictOn(scenario(changes), verdict)], [])[0]!.advice;
  equal(advised("workers", { threads: 8 }), "start gunicorn with --threads 24");
  equal(advised("app_pool", { poolSize: 5 }), "give create_engine() a pool_size of 15");
  equal(advised("connection_setup", { reuse: "per_request" })?.startsWith("give create"), true);
  // The quota is lifted, and the workers stay; the app keeps its connections already.
  equal(advised("app_cpu", { appCpus: 1 }), null);
  equal(advised("app_cpu"), "start gunicorn with --workers 4");
  equal(advised("connection_setup", { reuse: "app_pool" }), null);
  equal(advised("database_quota"), null);
  equal(advised("unknown"), null);
});
