// test lane: checkout
/** Arms of other versions of PostgreSQL and PgBouncer, each started, asked and compared. */

import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError } from "./errors.ts";
import { LocalEngine } from "./engine/local.ts";
import type { Plan } from "./plan.ts";
import { runStudy } from "./run_study.ts";
import { createScenario, type Scenario } from "./scenario.ts";
import { ANY_VERSION } from "./settings.ts";
import { setUp } from "./setup/mod.ts";
import { studyFolder } from "./store/layout.ts";
import { override } from "./testing/override.ts";
import { runPlan } from "./testing/run_plan.ts";
import { otherPgbouncer } from "./testing/server_versions.ts";

const ARM = {
  framework: "flask",
  path: "pooled",
  users: 4,
  workers: 1,
  thinkTimeMinS: 0.02,
} as const;

function arm(values: Partial<Scenario>): Scenario {
  return createScenario({ ...ARM, thinkTimeMaxS: 0.02, ...values });
}

function planOf(arms: Partial<Scenario>[]): Plan {
  return {
    name: "versions",
    purpose: "Versions.",
    functionalCheck: true,
    rounds: 1,
    seed: 1,
    warmUpS: 0.5,
    windowS: 1,
    scenarios: arms.map(arm),
  };
}

Deno.test("arms may have other versions of the servers, where the plan asks for them", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-versions-" });
  try {
    const tools = await setUp();
    await using engine = new LocalEngine(tools);
    const pgbouncerVersion = await otherPgbouncer();
    const plan = planOf([{}, { postgresVersion: "17" }, { pgbouncerVersion }]);
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

Deno.test("a run whose version did not come up is not said to have had the setup's", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-versions-" });
  try {
    const tools = await setUp();
    await using engine = new LocalEngine(tools);
    const startRun = () => Promise.reject(new PoolscopeError("Cannot start it"));
    const plan = planOf([{ postgresVersion: "17" }, {}]);
    const [manifests] = await runPlan(plan, override(engine, { startRun }), `${folder}/study`);
    const failed = manifests.map(({ cause, scenario, versions, images }) => [
      cause,
      scenario.postgresVersion,
      versions.postgres,
      versions.pgbouncer,
      images,
    ]).sort((a, b) => String(a[1]).localeCompare(String(b[1])));
    const { version } = tools.pgbouncer;
    deepEqual(failed, [
      ["Flask pooled: Cannot start it", "17", undefined, version, {}],
      ["Flask pooled: Cannot start it", "default", tools.postgres.version, version, {}],
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
  throws(
    () => arm({ postgresVersion: "15" }),
    /postgresVersion is "15", must be a version from 16 on, or default$/,
  );
  throws(() => arm({ pgbouncerVersion: "1.18" }), /must be a version from 1\.21 on, or default$/);
  equal(arm({ pgbouncerVersion: "1" }).pgbouncerVersion, "1");
  // Whichever path comes first, what the pooled one asks for is looked for.
  const nowhere = arm({ pgbouncerVersion: "999" });
  await rejects(
    engine.checkServerSettings([{ ...nowhere, path: "direct" }, nowhere]),
    /Cannot find PgBouncer 999/,
  );
  // A start that is refused leaves its name free.
  const study = `refused-${Deno.pid}`;
  const changes = { settings: { postgresVersion: "16.3" } };
  await rejects(
    runStudy({ plan: "smoke", study, changes, start: true, engine: "local", onEvent: () => {} }),
    /Cannot find PostgreSQL 16\.3/,
  );
  equal(existsSync(studyFolder(study)), false);
  // A setting is checked by the version that will run: this one came with 17.
  const later = { "postgres.allow_alter_system": "off" };
  await check({ ...later, postgresVersion: "17" });
  await rejects(check(later), /PostgreSQL 16\.\d+ has no such setting/);
});
