/** Runs that stand side by side on one engine, each with its own servers. */

import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import type { RunServices } from "../engine/run_services.ts";
import { createScenario, type Scenario } from "../scenario.ts";
import { connect } from "../services/database.ts";
import { limitsOf } from "../settings.ts";
import { readSettings } from "../verify/settings.ts";
import { verifyApp } from "../verify/verify.ts";
import { oneRun } from "./one_run.ts";

/** Two arms that differ in app, limits and settings of both servers. */
const ARMS = [
  createScenario({
    framework: "flask",
    path: "pooled",
    users: 4,
    dbCpus: 0.5,
    dbMemoryMiB: 400,
    defaultPoolSize: 5,
    "postgres.work_mem": "8MB",
  }),
  createScenario({
    framework: "fastapi",
    path: "pooled",
    users: 4,
    dbCpus: 0.75,
    dbMemoryMiB: 512,
    appMemoryMiB: 800,
    defaultPoolSize: 7,
    "postgres.work_mem": "16MB",
  }),
];
/** What starts beside them. */
const THIRD = createScenario({ framework: "django", path: "direct", users: 4, dbCpus: 0.25 });

async function start(engine: Engine, folder: string, scenario: Scenario, order: number) {
  const own = join(folder, String(order));
  mkdirSync(join(own, "logs"), { recursive: true });
  return await engine.startRun(oneRun(scenario, order), own);
}

/** Verifies a run on its own path, and that its limits and settings are its own. */
async function check(services: RunServices, scenario: Scenario): Promise<void> {
  const { throughPgbouncer, ok: verified } = await verifyApp(services, scenario);
  deepEqual([verified, throughPgbouncer], [true, scenario.path === "pooled"]);
  const limits = await services.applyLimits();
  const asked = limitsOf(scenario);
  for (const [name, { readBack }] of Object.entries(limits)) {
    deepEqual(readBack, asked[name], name);
  }
  const settings = await readSettings(services, scenario);
  const memory = { "8MB": "8192", "16MB": "16384" }[scenario["postgres.work_mem"] as "8MB"];
  equal(settings.postgres!.work_mem, memory);
  if (scenario.path === "pooled") {
    equal(settings.pgbouncer!.default_pool_size, String(scenario.defaultPoolSize));
  }
}

async function countPosts(services: RunServices): Promise<number> {
  const sql = connect(services.postgres);
  try {
    const [row] = await sql`select count(*)::int as n from posts`;
    return row!.n;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/**
 * Has two arms stand side by side and a third start beside them, checks each, and ends them all.
 *
 * @returns Seconds until one arm stood, and the further seconds until the second did beside it.
 */
export async function standSideBySide(
  engine: Engine,
  folder: string,
): Promise<{ firstS: number; secondS: number }> {
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  const started: RunServices[] = [];
  try {
    started.push(await start(engine, folder, ARMS[0]!, 1));
    const firstS = seconds();
    started.push(await start(engine, folder, ARMS[1]!, 2));
    const secondS = seconds() - firstS;
    await Promise.all(started.map((services, i) => check(services, ARMS[i]!)));
    started.push(await start(engine, folder, THIRD, 3));
    await check(started[2]!, THIRD);
    const [one, two] = started.map(({ postgres }) => postgres);
    notEqual(`${one!.host}:${one!.port}`, `${two!.host}:${two!.port}`);
    // What is done to one database is seen in no other.
    const sql = connect(one!);
    await sql`delete from posts where id <= 1000`;
    await sql.end();
    const [fewer, ...others] = await Promise.all(started.map(countPosts));
    ok(others.every((count) => count >= fewer! + 1000), `${fewer}, ${others}`);
    return { firstS, secondS };
  } finally {
    await Promise.all(started.map((services) => services[Symbol.asyncDispose]()));
  }
}
