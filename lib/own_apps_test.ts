/** Apps that Poolscope has never seen join with one folder each, wherever that is. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { join } from "node:path";
import { readApp } from "./apps/app.ts";
import { addAppFolder } from "./apps/folders.ts";
import { InjectingEngine, tryTrial } from "./bench/verdicts.ts";
import { judgeBottleneck } from "./diagnose/verdict.ts";
import { loadPolars } from "./frames/polars.ts";
import { createScenario, PATHS } from "./scenario.ts";
import { findOnPath } from "./setup/command.ts";
import { setUp } from "./setup/mod.ts";
import { latencyParts } from "./stats/waterfall.ts";
import { ROOT } from "./store/layout.ts";

/** Of a fourth Python framework, a compiled language, and one with tables of its own. */
const FOLDERS = ["lib/testing/apps/starlette_app", "lib/testing/apps/go_app", "apps/node_app"];

/** Far enough from the database that nothing else limits a request. */
const POOL_OF_ONE = {
  defaultPoolSize: 1,
  rttAppDbMs: 3,
  rttAppPgbouncerMs: 0,
  rttPgbouncerDbMs: 3,
};

/** What is known of a request whose app does not tell what it did. */
const WITHOUT_HOOKS = {
  direct: ["rest", "execution"],
  pooled: ["rest", "pgbouncer_queue", "pgbouncer_starved", "pgbouncer_server", "execution"],
};

Deno.test("apps of other languages join with a folder each, and a pool of one is named", async (t) => {
  equal(findOnPath("go") === null, false, "go is not on PATH (Debian: apt-get install golang-go)");
  await loadPolars();
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-own-apps-" });
  try {
    await using engine = new InjectingEngine(await setUp(), () => {});
    for (const path of FOLDERS) {
      const framework = addAppFolder(join(ROOT, path));
      const { settings } = readApp(framework);
      // Directly, the last is run by the test of docs/your-app.md.
      for (const path of framework === "node" ? ["pooled"] as const : PATHS) {
        await t.step(`${framework}, ${path}`, async () => {
          const scenario = createScenario({
            framework,
            path,
            users: 12,
            dbCpus: null,
            dbMemoryMiB: null,
            ...(path === "pooled" && POOL_OF_ONE),
          });
          const { signal } = new AbortController();
          const place = { engine, folder, seed: 3, signal };
          const run = await tryTrial({ scenario, injection: {} }, 1, place);
          deepEqual([run.cause, run.failures], [null, 0]);
          ok(run.requests > 100, `${run.requests} requests`);
          const stages = latencyParts(run)!.map(({ stage }) => stage);
          if (settings.timings) ok(stages.includes("app"), String(stages));
          else deepEqual(stages, WITHOUT_HOOKS[path]);
          const { verdict, evidence } = judgeBottleneck(run);
          console.log(`  ${framework} ${path}: ${run.rps.toFixed(0)}/s, ${verdict}: ${evidence}`);
          if (path === "pooled") equal(verdict, "pgbouncer_queue", evidence);
        });
      }
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
