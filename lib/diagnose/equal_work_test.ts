// test lane: checkout
import assert from "node:assert/strict";
import { createScenario } from "../scenario.ts";
import { unmeasuredRun } from "../stats/summarise.ts";
import type { RunSummary } from "../stats/summary.ts";
import type { Work } from "../stats/work.ts";
import { findUnequalWork, rejectUnequalWork } from "./equal_work.ts";

/** The deviations of one run. */
function unequalWork(one: RunSummary): string[] {
  return findUnequalWork([one]).flatMap(({ what }) => what);
}

const honest: Work = {
  requests: 1000,
  astride: 0,
  dataStatements: 1100,
  rows: 5850,
  transactionControl: 2000,
  setup: 3,
  serviceMs: 9000,
  dataMs: 900,
  otherMs: 40,
  contract: { statements: 1102, rows: 5800 },
};

function run(arm: string, changes: Partial<Work>, queries: number | null = null): RunSummary {
  const [framework, path] = arm.split(" ") as ["flask", "direct"];
  const scenario = createScenario({ framework, path, users: 10 });
  const pgbouncer = queries === null ? null : {
    transactions: queries,
    queries,
    waitUs: 0,
    starvedUs: 0,
    meanClients: 8,
    meanWaiting: 0,
    queryUs: 0,
    transactionUs: 0,
    maxClients: 8,
    maxServers: 8,
    maxServersActive: 9,
    meanServersActive: 2,
    logins: 0,
  };
  return {
    ...unmeasuredRun({ scenarioId: arm, scenario, arm, round: 1, status: "ok", cause: null }),
    telemetry: { postgres: null, pgbouncer, work: { ...honest, ...changes }, app: null },
  };
}

Deno.test("findUnequalWork() finds nothing in an app that does what the contract says", () => {
  assert.deepEqual(unequalWork(run("flask direct", {})), []);
  assert.deepEqual(unequalWork(run("flask pooled", {}, 3100)), []);
  // A driver that prepares each statement sends more.
  assert.deepEqual(unequalWork(run("flask pooled", {}, 4300)), []);
  // Not recorded, too little to tell, or of a version without a contract.
  assert.deepEqual(unequalWork({ ...run("flask direct", {}), telemetry: null }), []);
  assert.deepEqual(unequalWork(run("flask direct", { requests: 50, dataStatements: 500 })), []);
  assert.deepEqual(unequalWork(run("flask direct", { dataStatements: 1, contract: null })), []);
  // Within 5% and the ten requests that its ten users can have under way; and beyond.
  assert.deepEqual(unequalWork(run("flask direct", { dataStatements: 1167 })), []);
  assert.equal(unequalWork(run("flask direct", { dataStatements: 1169 })).length, 1);
  // Statements that were read late count as much further, and no more.
  assert.deepEqual(unequalWork(run("flask direct", { astride: 30, dataStatements: 1200 })), []);
  assert.equal(unequalWork(run("flask direct", { astride: 30, dataStatements: 1203 })).length, 1);
});

Deno.test("findUnequalWork() names what is too much, too little, and what went past PgBouncer", () => {
  assert.deepEqual(unequalWork(run("flask direct", { dataStatements: 2100, rows: 6850 })), [
    "2.10 data statements per request where the contract has 1.10: the app queries the database more than once for what one statement gives",
    "6.85 rows per request where the contract has 5.80: the app reads rows that no answer needs",
  ]);
  assert.deepEqual(unequalWork(run("flask direct", { dataStatements: 600 })), [
    "0.60 data statements per request where the contract has 1.10: the app answers without querying the database, as from a cache",
  ]);
  assert.deepEqual(unequalWork(run("flask pooled", {}, 1550)), [
    "PgBouncer saw 1.55 queries per request and PostgreSQL executed 3.10: 50% went past PgBouncer",
  ]);
});

Deno.test("findUnequalWork() judges each arm over all its successful runs", () => {
  const few = { requests: 150, dataStatements: 315, contract: { statements: 165, rows: 5850 } };
  const found = findUnequalWork([
    run("flask direct", few),
    run("flask direct", few),
    run("django direct", {}),
    { ...run("django direct", { dataStatements: 9000 }), status: "failed" },
    // What a gate rejects for another reason tells of the work all the same.
    { ...run("django pooled", { dataStatements: 2200 }), status: "rejected", cause: "late" },
  ]);
  assert.deepEqual(found.map(({ arm }) => arm), ["flask direct", "django pooled"]);
  assert.match(
    found[0]!.what[0]!,
    /^2\.10 data statements per request where the contract has 1\.10/,
  );
});

Deno.test("rejectUnequalWork() rejects every run of such an arm that did not fail, and no other", () => {
  const runs = [
    run("flask direct", { dataStatements: 2100 }),
    { ...run("flask direct", {}), status: "failed" as const, cause: "killed" },
    run("django direct", {}),
  ].map((one) => ({ ...one, counted: true }));
  const judged = rejectUnequalWork(runs, findUnequalWork(runs));
  assert.deepEqual(judged.map(({ status }) => status), ["rejected", "failed", "ok"]);
  assert.match(judged[0]!.cause!, /^other work than the contract's: 2\.10 data statements per/);
  assert.equal(judged[1]!.cause, "killed");
  assert.deepEqual(judged.map(({ counted }) => counted), [false, true, true]);
});

Deno.test("findUnequalWork() holds pooled against direct where an app says nothing of its statements", () => {
  const undeclared = { contract: null, requests: 20_000 };
  const direct = run("flask direct", { ...undeclared, dataStatements: 40_000 });
  const pooled = (dataStatements: number) =>
    run("flask pooled", { ...undeclared, dataStatements }, 90_000);
  assert.deepEqual(findUnequalWork([direct, pooled(40_900)]), []);
  assert.deepEqual(findUnequalWork([direct, pooled(60_000)]), [{
    arm: "flask pooled",
    what: [
      "3.00 data statements per request where the direct path has 2.00: the app does other work through PgBouncer",
    ],
  }]);
  // Nothing to hold it against: no direct arm, or one of another app.
  assert.deepEqual(findUnequalWork([pooled(60_000)]), []);
  const other = run("django direct", { ...undeclared, dataStatements: 20_000 });
  assert.deepEqual(findUnequalWork([other, pooled(60_000)]), []);
  // Few requests differ by the luck of the draw.
  const few = { contract: null, requests: 220 };
  const fewDirect = run("flask direct", { ...few, dataStatements: 330 });
  const fewPooled = run("flask pooled", { ...few, dataStatements: 390 }, 900);
  assert.deepEqual(findUnequalWork([fewDirect, fewPooled]), []);
});
