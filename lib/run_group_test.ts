// test lane: copy
/** Groups of real arms that stand side by side and take turns under load. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LocalEngine } from "./engine/local.ts";
import type { RunServices } from "./engine/run_services.ts";
import { readSlices } from "./frames/own_time.ts";
import type { LocalInstance } from "./hosts/local/instance.ts";
import { parsePlan, type Plan, type PlannedRun } from "./plan.ts";
import { setUp } from "./setup/mod.ts";
import { MIN_BLOCKS } from "./stats/disturbed.ts";
import { RUN_FILES, runFolder } from "./store/layout.ts";
import { findLeftovers } from "./testing/leftovers.ts";
import { override } from "./testing/override.ts";
import type { Scenario } from "./scenario.ts";
import { runPlan } from "./testing/run_plan.ts";

const tools = await setUp();

function planOf(load: Partial<Scenario>, minutes: number): Plan {
  const arm = { framework: "flask", workers: 1, ...load };
  const scenarios = ["direct", "pooled"].map((path) => ({ ...arm, path }));
  const design = { functionalCheck: true, design: "alternating", warmUpS: 1, windowS: 0.5 };
  const plan = { name: "turns", ...design, minutes, rounds: 1, scenarios };
  return parsePlan(JSON.stringify(plan), "turns");
}

// Time for more than twice the blocks that are asked for, of which a quarter may be left out.
const CLOSED = planOf({ users: 10, thinkTimeMinS: 0.05, thinkTimeMaxS: 0.05 }, 0.5);

async function runTurns(
  startRun?: (engine: LocalEngine) => LocalEngine["startRun"],
  plan = CLOSED,
) {
  const before = findLeftovers();
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-turns-" });
  try {
    let result;
    {
      await using engine = new LocalEngine(tools);
      const used = startRun === undefined
        ? engine
        : override(engine, { startRun: startRun(engine) });
      result = await runPlan(plan, used, join(folder, "turns"));
    }
    deepEqual(findLeftovers().filter((line) => !before.includes(line)), []);
    const [manifests, study] = result;
    const runs = study.runs.map((run) => {
      const own = runFolder(study.folder, run.scenarioId, run.round);
      return { run, slices: readSlices(own), files: existsSync(own) ? readdirSync(own) : [] };
    });
    return { manifests, study, runs, left: readdirSync(study.folder) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("arms of a group take turns, and each run's files are as if it had been alone", async () => {
  const { manifests, study, runs, left } = await runTurns();
  deepEqual(manifests.map(({ status, cause }) => [status, cause]), [["ok", null], ["ok", null]]);
  deepEqual(left.filter((name) => name.startsWith(".")), []);
  const [one, other] = runs;
  for (const { run, slices, files } of runs) {
    deepEqual(RUN_FILES.filter((name) => !files.includes(name)), []);
    deepEqual(study.warnings, []);
    const counted = slices!.filter(({ block }) => block > 0);
    // In a block that is left out, another program took the machine.
    equal(run.slices!.length + run.conditions.leftOut, counted.length);
    ok(run.slices!.length >= MIN_BLOCKS, `${counted.length} slices`);
    ok(run.rps > 50 && run.slices!.every(({ rps }) => rps > 0));
    ok(run.telemetry!.postgres!.transactions > 0);
    const { dataStatements, contract, requests } = run.telemetry!.work!;
    // What was under way when a turn or a reading began is counted on one side only.
    const share = dataStatements / contract!.statements;
    ok(Math.abs(share - 1) < 0.05 + 10 / requests, `${share} of the contract's statements`);
    const services = run.conditions.services.map(({ service }) => service);
    for (const service of ["postgres", "app", "locust"]) ok(services.includes(service), service);
  }
  // Nobody has a turn in another's.
  const turns = [...one!.slices!, ...other!.slices!].sort((a, b) => a.startUs - b.startUs);
  ok(turns.every(({ startUs }, i) => i === 0 || startUs >= turns[i - 1]!.drainedUs));
  equal(one!.run.telemetry!.pgbouncer === null, one!.run.scenario.path === "direct");
  const [ratio] = study.ratios;
  equal(ratio!.n, 1);
  ok(ratio!.blocks >= MIN_BLOCKS && ratio!.ratio!.low !== null, "an interval from one start");
});

Deno.test("arms of an open loop take turns, and are asked as often", async () => {
  const RATE = 60;
  const { manifests, study, runs } = await runTurns(undefined, planOf({ arrivalRate: RATE }, 0.4));
  deepEqual(manifests.map(({ status, cause }) => [status, cause]), [["ok", null], ["ok", null]]);
  deepEqual(study.warnings, []);
  for (const { run } of runs) {
    const { delivery, requests, responseMs, slices, timed } = run;
    deepEqual([delivery!.arrivals - requests, delivery!.dropped], [0, 0]);
    ok(slices!.length >= MIN_BLOCKS && responseMs!.p50! > 0);
    equal(slices!.reduce((sum, { timesUs }) => sum + timesUs.length, 0), timed);
    ok(Math.abs(run.rps / RATE - 1) < 0.2, `${run.rps} of ${RATE} per second`);
  }
});

Deno.test({
  name: "20 groups, one after the other, leave nothing",
  ignore: Deno.env.get("POOLSCOPE_FULL") !== "1",
  fn: async () => {
    for (let i = 0; i < 20; i++) {
      const { manifests } = await runTurns();
      deepEqual(manifests.map(({ cause }) => cause), [null, null]);
    }
  },
});

Deno.test("an arm that does not come up fails with its cause, and the other is measured", async () => {
  const { runs } = await runTurns((engine) => (run, folder, place) =>
    run.scenario.path === "pooled"
      ? Promise.reject(new Error("no room for it"))
      : engine.startRun(run, folder, place)
  );
  const byPath = (path: string) => runs.find(({ run }) => run.scenario.path === path)!;
  match(byPath("pooled").run.cause!, /no room for it/);
  equal(byPath("pooled").slices, null);
  equal(byPath("direct").run.status, "ok");
  // Nobody is left to take turns with.
  equal(byPath("direct").slices, null);
});

Deno.test("an arm that dies under load ends with its cause, and the other keeps what it has", async () => {
  const kill = async (services: RunServices, folder: string) => {
    const file = join(folder, "..", "..", ".group-1", "1", "slices.csv");
    while ((existsSync(file) ? readSlicesOf(file) : 0) < 4) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    Deno.kill((services.services.get("pgbouncer") as LocalInstance).pid, "SIGKILL");
  };
  let killed: Promise<void> | null = null;
  const { runs } = await runTurns((engine) => async (run: PlannedRun, folder, place) => {
    const services = await engine.startRun(run, folder, place);
    if (run.scenario.path === "pooled") killed = kill(services, folder);
    return services;
  });
  await killed;
  const byPath = (path: string) => runs.find(({ run }) => run.scenario.path === path)!;
  match(byPath("pooled").run.cause!, /PgBouncer was ended by SIGKILL|pgbouncer/i);
  equal(byPath("direct").run.status, "ok", byPath("direct").run.cause ?? "");
  ok(byPath("direct").run.slices!.length >= 2);
});

/** How many turns are written down so far. */
function readSlicesOf(file: string): number {
  return Deno.readTextFileSync(file).trimEnd().split("\n").length - 1;
}
