// test lane: checkout
/**
 * Gates, each fired by its condition produced for real, whatever else the machine has to do. Only what
 * no program can do to its own machine is left to lib/diagnose/gates_test.ts.
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { firedGates, gatesOfRun } from "./diagnose/gates.ts";
import type { RunServices } from "./engine/run_services.ts";
import type { LocalInstance } from "./hosts/local/instance.ts";
import { loadPolars } from "./frames/polars.ts";
import { createScenario } from "./scenario.ts";
import { setUp } from "./setup/mod.ts";
import { reachableFolder } from "./setup/stage.ts";
import { ROOT } from "./store/layout.ts";
import { rejectedBy, saidBy, TroubledEngine, TroubledStudy } from "./testing/troubled_study.ts";

await loadPolars();
const tools = await setUp();

/** Sends a signal to the members of a service, or to some of them. */
function signalTo(services: RunServices, name: string, signal: Deno.Signal, pids?: number[]): void {
  const service = services.services.get(name) as LocalInstance;
  for (const pid of pids ?? service.members()) {
    try {
      Deno.kill(pid, signal);
    } catch {
      // It has ended.
    }
  }
}

Deno.test("gates that reject a run fire when its condition is produced", async (t) => {
  await using study = new TroubledStudy(new TroubledEngine(tools));

  await t.step("not_verified: another app's nonce", async () => {
    const run = await study.run({ change: { nonce: "another" }, windowS: 0.5 });
    equal(run.status, "failed");
    deepEqual(gatesOfRun(run), ["not_verified"]);
  });
  await t.step("counts_disagree: requests.csv lost its last rows", async () => {
    const run = await study.run({ windowS: 1 }, (folder) => {
      const file = join(folder, "requests.csv");
      writeFileSync(file, readFileSync(file, "utf8").split("\n").slice(0, -5).join("\n") + "\n");
      const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
      delete manifest.files["requests.csv"];
      writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
    });
    equal(run.status, "failed");
    match(run.cause!, /requests\.csv has \d+ \w+, final\.json \d+/);
    deepEqual(gatesOfRun(run), ["counts_disagree"]);
  });
  await t.step("generator_late: a generator that is stopped for moments", async () => {
    const run = await study.run({
      scenario: { arrivalRate: 100 },
      onLoad: (services) => {
        const timer = setInterval(() => {
          signalTo(services, "locust", "SIGSTOP");
          setTimeout(() => signalTo(services, "locust", "SIGCONT"), 120);
        }, 500);
        return () => clearInterval(timer);
      },
    });
    rejectedBy(run, "generator_late");
  });
  await t.step("not_delivered: more is due than may be open", async () => {
    const run = await study.run({
      scenario: { arrivalRate: 1000 },
      locustEnv: { POOLSCOPE_MAX_CONNECTIONS: "1" },
    });
    rejectedBy(run, "not_delivered");
  });
  await t.step("littles_law: one of two workers hangs for the whole window", async () => {
    const run = await study.run({
      scenario: { users: 64, workers: 2 },
      onLoad: (services) => {
        const timer = setTimeout(() => {
          const app = services.services.get("app") as LocalInstance;
          signalTo(services, "app", "SIGSTOP", [Math.max(...app.members())]);
        }, 500);
        return () => clearTimeout(timer);
      },
    });
    rejectedBy(run, "littles_law");
  });
});

Deno.test("gates that limit a claim fire when their condition is produced", async (t) => {
  await using study = new TroubledStudy(new TroubledEngine(tools));
  const mild = { users: 10, thinkTimeMinS: 0.05, thinkTimeMaxS: 0.05 };

  await t.step("few_samples: one user for a second", async () => {
    saidBy(await study.run({ scenario: { ...mild, users: 1 }, windowS: 2 }), "few_samples");
  });
  await t.step("host_load and machine_full: other programs on all cores", async () => {
    const run = await study.run({
      scenario: mild,
      onLoad: () => {
        const others = Array.from(
          { length: navigator.hardwareConcurrency },
          () =>
            new Deno.Command("timeout", {
              args: ["20", "sh", "-c", "while :; do :; done"],
              stdout: "null",
              stderr: "null",
            }).spawn(),
        );
        return () => others.forEach((child) => child.kill());
      },
    });
    const fired = gatesOfRun(run);
    ok(fired.includes("host_load") && fired.includes("machine_full"), fired.join());
  });
  await t.step("listen_overflow: a queue of one for a hundred clients at once", async () => {
    const run = await study.run({
      scenario: { users: 100, spawnRate: 1000, listenBacklog: 1 },
      warmUpS: 0,
      windowS: 3,
    });
    saidBy(run, "listen_overflow");
    ok(run.conditions.tcp!.listenOverflows > 0);
  });
  await t.step("at_quota: PostgreSQL with a fiftieth of a core", async () => {
    const run = await study.run({ scenario: { users: 10, dbCpus: 0.02 }, windowS: 4 });
    const seen = run.conditions.services.find(({ service }) => service === "postgres")!;
    equal(seen.quota, 0.02);
    ok(gatesOfRun(run).includes("at_quota"), JSON.stringify(seen));
  });
});

Deno.test("connections_lost fires for an app that closes every connection", async () => {
  const apps = reachableFolder("gates-apps");
  try {
    cpSync(join(ROOT, "apps"), join(apps, "apps"), { recursive: true });
    const conf = join(apps, "apps", "flask_app", "gunicorn.conf.py");
    writeFileSync(conf, readFileSync(conf, "utf8") + "\nkeepalive = 0\n");
    await using study = new TroubledStudy(
      new TroubledEngine(tools, undefined, { root: apps }),
    );
    const run = await study.run({ scenario: { thinkTimeMinS: 0.05, thinkTimeMaxS: 0.05 } });
    ok(gatesOfRun(run).includes("connections_lost"), gatesOfRun(run).join());
    ok(run.conditions.generator!.connections! > 0.9 * run.requests);
  } finally {
    rmSync(apps, { recursive: true, force: true });
  }
});

Deno.test("limits_not_in_force fires where no control group can be made", async () => {
  await using study = new TroubledStudy(new TroubledEngine(tools, undefined, { limits: false }));
  const scenario = createScenario({ framework: "flask", path: "direct", users: 2 });
  const plan = {
    name: "limits",
    purpose: "",
    functionalCheck: false,
    rounds: 1,
    seed: 1,
    warmUpS: 0.5,
    windowS: 1,
    scenarios: [scenario],
  };
  const fired = firedGates(await study.study(plan));
  const limits = fired.find(({ gate }) => gate.id === "limits_not_in_force");
  equal(limits?.seen, "none for PostgreSQL");
});
