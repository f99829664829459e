// test lane: checkout
/** Arms of other versions of PostgreSQL and PgBouncer, each started, asked and compared. */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { LocalEngine } from "./engine/local.ts";
import type { Plan } from "./plan.ts";
import { runStudy } from "./run_study.ts";
import { createScenario, type Scenario } from "./scenario.ts";
import { ANY_VERSION } from "./settings.ts";
import { setUp } from "./setup/mod.ts";
import { studyFolder } from "./store/layout.ts";
import { runPlan } from "./testing/run_plan.ts";
import { otherPgbouncer } from "./testing/server_versions.ts";

const ARM = { framework: "flask", path: "pooled", users: 4, thinkTimeMinS: 0.02 } as const;

function arm(values: Partial<Scenario>): Scenario {
  return createScenario({ ...ARM, thinkTimeMaxS: 0.02, ...values });
}

Deno.test("arms may have other versions of the servers, where the plan asks for them", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-versions-" });
  try {
    const tools = await setUp();
    await using engine = new LocalEngine(tools);
    const pgbouncerVersion = await otherPgbouncer();
    const asked = [{}, { postgresVersion: "17" }, { pgbouncerVersion }];
    const plan: Plan = {
      name: "versions",
      purpose: "Versions.",
      functionalCheck: true,
      rounds: 1,
      seed: 1,
      warmUpS: 0.5,
      windowS: 1,
      scenarios: asked.map(arm),
    };
    await engine.checkServerSettings(plan.scenarios);
    // The study is read, so that what was asked for is not refused.
    const [manifests, study] = await runPlan(plan, engine, join(folder, "study"));
    deepEqual(manifests.map(({ cause }) => cause), [null, null, null]);
    for (const { scenario, versions } of manifests) {
      const own = { postgres: scenario.postgresVersion, pgbouncer: scenario.pgbouncerVersion };
      for (const server of ["postgres", "pgbouncer"] as const) {
        if (own[server] === ANY_VERSION) equal(versions[server], tools[server].version);
        else ok(versions[server]!.startsWith(`${own[server]}.`), versions[server]);
      }
    }
    equal(new Set(manifests.map(({ versions }) => JSON.stringify(versions))).size, 3);
    deepEqual(study.scenarios.map(({ arm }) => arm).sort(), [
      "Flask pooled, postgresVersion=17, pgbouncerVersion=default",
      `Flask pooled, postgresVersion=default, pgbouncerVersion=${pgbouncerVersion}`,
      "Flask pooled, postgresVersion=default, pgbouncerVersion=default",
    ]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a version that is nowhere, or too old, is told before anything starts", async () => {
  await using engine = new LocalEngine(await setUp());
  const check = (values: Partial<Scenario>) => engine.checkServerSettings([arm(values)]);
  await rejects(
    check({ postgresVersion: "16.3" }),
    /^PoolscopeError: Cannot find PostgreSQL 16\.3: npm's \S+ has 16\.\d+;.* put PostgreSQL 16\.3 on PATH/,
  );
  await rejects(check({ postgresVersion: "15" }), {
    name: "UsageError",
    message: "Cannot use PostgreSQL 15: scram_iterations, which Poolscope sets, came with 16",
  });
  await rejects(check({ pgbouncerVersion: "1.18" }), {
    name: "UsageError",
    message: "Cannot use PgBouncer 1.18: prepared statements in transaction mode came with 1.21",
  });
  // A start that is refused leaves its name free.
  const study = `refused-${Deno.pid}`;
  const changes = { settings: { postgresVersion: "15" } };
  await rejects(
    runStudy({ plan: "smoke", study, changes, start: true, engine: "local", onEvent: () => {} }),
    /Cannot use PostgreSQL 15/,
  );
  equal(existsSync(studyFolder(study)), false);
  // A setting is checked by the version that will run: this one came with 17.
  const later = { "postgres.allow_alter_system": "off" };
  await check({ ...later, postgresVersion: "17" });
  await rejects(check(later), /PostgreSQL 16\.\d+ has no such setting/);
});
