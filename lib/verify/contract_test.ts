// test lane: checkout
import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { readApp } from "../apps/app.ts";
import type { ContractCase } from "../apps/routes.ts";
import { LocalEngine } from "../engine/local.ts";
import { PoolscopeError } from "../errors.ts";
import { changePlan, namedPlan, planRuns } from "../plan.ts";
import { REUSES, type Scenario } from "../scenario.ts";
import { setUp } from "../setup/mod.ts";
import { startOne } from "../testing/one_run.ts";
import { checkContract, compareAnswer } from "./contract.ts";
import { verifyApp } from "./verify.ts";

const one: ContractCase = {
  name: "GET /x",
  method: "GET",
  path: "/x",
  status: 200,
  expected: { a: 1 },
  varying: { id: "integer" },
};
const identity = { app: "flask", nonce: "n" };
const good = { status: 200, type: "application/json", text: '{"id": 5, "a": 1}' };

Deno.test("compareAnswer() accepts the contract's answer in any order of keys", () => {
  equal(compareAnswer(one, good, identity), null);
});

Deno.test("compareAnswer() names what differs", () => {
  const seen = (answer: Partial<typeof good>) =>
    compareAnswer(one, { ...good, ...answer }, identity);
  match(seen({ status: 500 })!, /^status 500 instead of 200/);
  match(seen({ type: "text/html" })!, /^content type "text\/html"/);
  match(seen({ text: "{" })!, /^a body that is not JSON/);
  match(seen({ text: '{"id": "5", "a": 1}' })!, /^id "5", which is not the integer expected/);
  match(seen({ text: '{"id": 5, "a": 2}' })!, /^another body than the contract's/);
  match(seen({ text: '{"id": 5, "a": 1, "b": 0}' })!, /^another body/);
});

Deno.test("checkContract() fails on a real server that answers wrongly", async () => {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.json({ id: 1, a: 2 }),
  );
  try {
    await rejects(
      checkContract(`http://127.0.0.1:${server.addr.port}`, [one], identity),
      (error: Error) =>
        error instanceof PoolscopeError &&
        /^the app broke the contract: GET \/x gave another body/.test(error.message),
    );
  } finally {
    await server.shutdown();
  }
});

Deno.test("all three apps keep the contract on both paths", async (t) => {
  await using engine = new LocalEngine(await setUp());
  const plan = namedPlan("smoke");
  for (const run of planRuns(plan)) {
    await t.step(`${run.scenario.framework} ${run.scenario.path}`, async () => {
      const folder = Deno.makeTempDirSync();
      Deno.mkdirSync(`${folder}/logs`);
      await using services = await engine.startRun(run, folder);
      const verification = await verifyApp(services, run.scenario);
      const pooled = run.scenario.path === "pooled";
      equal(verification.contractRequests, readApp(run.scenario.framework).contract.cases.length);
      equal(verification.throughPgbouncer, pooled);
      equal(verification.pgbouncerQueries !== null, pooled);
    });
  }
});

Deno.test("every way of keeping connections keeps the contract, statements prepared or not", async (t) => {
  await using engine = new LocalEngine(await setUp());
  const variants = new Map<string, Scenario>();
  for (const reuse of REUSES) {
    for (const preparedStatements of [true, false]) {
      for (const framework of ["fastapi", "django", "flask"]) {
        if (reuse === "persistent" && framework !== "django") continue;
        const { scenarios } = changePlan(namedPlan("smoke"), {
          frameworks: [framework],
          paths: ["pooled"],
          settings: { workers: 1, reuse, preparedStatements },
        });
        // What is kept is checked before each use where statements are not prepared: both at once.
        const scenario = { ...scenarios[0]!, livenessCheck: !preparedStatements };
        variants.set(`${framework} ${reuse} prepared=${preparedStatements}`, scenario);
      }
    }
  }
  equal(variants.size, 14);
  for (const [name, scenario] of variants) {
    await t.step(name, async () => {
      await using services = await startOne(engine, scenario);
      const { ok, throughPgbouncer } = await verifyApp(services, scenario);
      deepEqual({ ok, throughPgbouncer }, { ok: true, throughPgbouncer: true });
    });
  }
});
