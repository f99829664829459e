// test lane: copy
/** What other replicas hold open takes PostgreSQL's room, and PgBouncer's not. */

import { deepEqual, equal, match } from "node:assert/strict";
import { join } from "node:path";
import { LocalEngine } from "../engine/local.ts";
import { parsePlan } from "../plan.ts";
import { setUp } from "../setup/mod.ts";
import { runPlan } from "../testing/run_plan.ts";

Deno.test("connections of other replicas leave the app less room, but through PgBouncer", async () => {
  const arm = { framework: "flask", users: 40, workers: 1, idleConnections: 80 };
  const plan = parsePlan(
    JSON.stringify({
      name: "idle",
      rounds: 1,
      warmUpS: 0.5,
      windowS: 3,
      functionalCheck: true,
      scenarios: ["direct", "pooled"].map((path) => ({ ...arm, path })),
    }),
    "idle",
  );
  await using engine = new LocalEngine(await setUp());
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-idle-" });
  try {
    const [manifests] = await runPlan(plan, engine, join(folder, "study"));
    const causes = Object.fromEntries(
      manifests.map(({ scenario, cause }) => [scenario.path, cause]),
    );
    match(
      causes.direct!,
      /^Flask direct: PostgreSQL refused connections \(.*\): 1 worker × 32 and 80 of other replicas > max_connections 100$/,
    );
    equal(causes.pooled, null);
    // There is no room for more than PostgreSQL has at all.
    const many = { ...plan.scenarios[0]!, idleConnections: 120 };
    const [[none]] = await runPlan(
      { ...plan, scenarios: [many] },
      engine,
      join(folder, "another"),
    );
    match(none!.cause!, /: 1 worker × 32 and 120 of other replicas > max_connections 100$/);
    deepEqual(none!.status, "failed");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
