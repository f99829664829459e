/**
 * Apps that Poolscope has never seen: of a fourth Python framework, a compiled language, and one with
 * tables of its own.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { readApp } from "../apps/app.ts";
import { judgeBottleneck } from "../diagnose/verdict.ts";
import { createScenario, type Path, type Scenario } from "../scenario.ts";
import { latencyParts } from "../stats/waterfall.ts";
import type { RunSummary } from "../stats/summary.ts";
import { ROOT } from "../store/layout.ts";

/** In seconds; over the distance below, a pool of one lets some 40 requests through in each. */
export const OWN_WINDOW_S = 6;

/** Their folders, from the checkout's root. */
export const OWN_APPS = {
  starlette: "lib/testing/apps/starlette_app",
  go: "lib/testing/apps/go_app",
  node: "apps/node_app",
} as const;

/** Far enough from the database that nothing else limits a request, however slow the machine is. */
const POOL_OF_ONE = {
  defaultPoolSize: 1,
  rttAppDbMs: 10,
  rttAppPgbouncerMs: 0,
  rttPgbouncerDbMs: 10,
};

/** What is known of a request whose app does not tell what it did. */
const WITHOUT_HOOKS = {
  direct: ["rest", "execution"],
  pooled: ["rest", "pgbouncer_queue", "pgbouncer_starved", "pgbouncer_server", "execution"],
};

/** Copies an app's folder to where no checkout is; its schema and seed stay where they are. */
export function copyApp(folder: string, target: string): string {
  const [from, to] = [join(ROOT, folder), join(target, basename(folder))];
  cpSync(from, to, { recursive: true });
  const file = join(to, "app.json");
  const moved = (path: string) => relative(to, join(from, path));
  const app = JSON.parse(readFileSync(file, "utf8"));
  Object.assign(app, { schema: moved(app.schema), seed: moved(app.seed) });
  writeFileSync(file, JSON.stringify(app));
  return to;
}

/** A scenario of such an app; the pooled one has a bottleneck in it. */
export function ownScenario(framework: string, path: Path): Scenario {
  return createScenario({
    framework,
    path,
    users: 12,
    dbCpus: null,
    dbMemoryMiB: null,
    ...(path === "pooled" && POOL_OF_ONE),
  });
}

/** A run that succeeded, has its waterfall, and of which the bottleneck that was put in is named. */
export function checkOwnRun(run: RunSummary): void {
  const { framework, path } = run.scenario;
  deepEqual([run.cause, run.failures], [null, 0]);
  ok(run.requests > 100, `${run.requests} requests`);
  const stages = latencyParts(run)!.map(({ stage }) => stage);
  if (readApp(framework).settings.timings) ok(stages.includes("app"), String(stages));
  else deepEqual(stages, WITHOUT_HOOKS[path]);
  const { verdict, evidence } = judgeBottleneck(run);
  console.log(`  ${framework} ${path}: ${run.rps.toFixed(0)}/s, ${verdict}: ${evidence}`);
  if (path === "pooled") equal(verdict, "pgbouncer_queue", evidence);
}
