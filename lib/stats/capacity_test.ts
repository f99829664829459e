// test lane: checkout
import assert from "node:assert/strict";
import { syntheticPlan, syntheticStudy } from "../testing/synthetic_study.ts";
import type { Plan, PlannedRun } from "../plan.ts";
import { loadStudy } from "../report/study.ts";
import { createScenario, scenarioId } from "../scenario.ts";
import { blocksS, groupScenarios } from "../groups.ts";
import { groupArms, openLoopPlan } from "./capacity.ts";

const openLoop = { shares: [0.5, 0.95], rounds: 6, warmUpS: 2, windowS: 7 };

async function studyOf(plan: Plan, describe: (run: PlannedRun) => { rps: number; cause?: string }) {
  using folder = syntheticStudy(plan, (run) => ({ medianMs: 5, ...describe(run) }));
  return await loadStudy(folder.folder);
}

Deno.test("openLoopPlan() gives both paths of a pair the rates of the weaker one's best level", async () => {
  const rps = { direct: { 100: 300, 1000: 200 }, pooled: { 100: 123.4, 1000: 240 } };
  const { plan, scenarios, ratios } = await studyOf(
    syntheticPlan({ rounds: 1, openLoop }),
    ({ scenario }) => ({
      rps: rps[scenario.path][scenario.users as 100 | 1000] *
        (scenario.framework === "flask" ? 0.1 : 1),
    }),
  );
  const followUp = openLoopPlan(plan, scenarios, ratios)!;
  const rates = (framework: string, path: string) =>
    followUp.scenarios.filter((one) => one.framework === framework && one.path === path)
      .map((one) => one.arrivalRate);
  // The pooled path answers 240 at most: at 1000 users, not at the 100 where it is slow.
  for (const path of ["direct", "pooled"]) {
    assert.deepEqual(rates("django", path), [120, 228]);
    assert.deepEqual(rates("flask", path), [12, 22.8]);
  }
  assert.ok(followUp.scenarios.every((one) => one.users === null));
  const { rounds, warmUpS, windowS, name, purpose } = followUp;
  assert.deepEqual([rounds, warmUpS, windowS, name], [6, 2, 7, "synthetic-open-loop"]);
  assert.match(purpose, /at equal arrival rates, 50 and 95% of what the weaker arm/);
});

Deno.test("openLoopPlan() of arms that took turns has them take turns, each for its seconds", async () => {
  const long = { ...openLoop, windowS: 70 };
  const { plan, scenarios, ratios } = await studyOf(
    syntheticPlan({ rounds: 1, users: [100], design: "alternating", openLoop: long }),
    () => ({ rps: 100 }),
  );
  const followUp = openLoopPlan(plan, scenarios, ratios)!;
  assert.equal(followUp.design, "alternating");
  assert.equal(followUp.windowS, plan.windowS);
  const groups = groupScenarios(followUp.scenarios);
  assert.deepEqual(new Set(groups.map(({ length }) => length)), new Set([2]));
  const byId = new Map(followUp.scenarios.map((scenario) => [scenarioId(scenario), scenario]));
  for (const group of groups) {
    const arms = group.map((id) => byId.get(id)!);
    assert.ok(Math.abs(blocksS(followUp, arms) - 2 * long.windowS) < 1e-6);
  }
});

Deno.test("openLoopPlan() leaves out what never succeeded as a measure, not as an arm", async () => {
  const { plan, scenarios, ratios } = await studyOf(
    syntheticPlan({ rounds: 1, users: [100], openLoop }),
    ({ scenario: { framework, path } }) =>
      framework === "fastapi" || (framework === "django" && path === "direct")
        ? { rps: 1, cause: "it broke" }
        : { rps: 100 },
  );
  const followUp = openLoopPlan(plan, scenarios, ratios)!;
  const arms = followUp.scenarios.map(({ framework, path, arrivalRate }) =>
    `${framework} ${path} ${arrivalRate}`
  );
  // Nothing of fastapi succeeded: there is no rate to go by. Django's direct arm gets the other's.
  assert.deepEqual(arms, [
    "django direct 50",
    "django direct 95",
    "django pooled 50",
    "django pooled 95",
    "flask direct 50",
    "flask direct 95",
    "flask pooled 50",
    "flask pooled 95",
  ]);
});

Deno.test("openLoopPlan() is null where none is asked for or nothing succeeded", async () => {
  const plan = syntheticPlan({ rounds: 1, users: [100] });
  const good = await studyOf(plan, () => ({ rps: 10 }));
  assert.equal(openLoopPlan(plan, good.scenarios, good.ratios), null);
  const bad = await studyOf({ ...plan, openLoop }, () => ({ rps: 1, cause: "it broke" }));
  assert.equal(openLoopPlan(bad.plan, bad.scenarios, bad.ratios), null);
});

Deno.test("groupArms() joins arms that share a counterpart", async () => {
  const base = { framework: "flask", users: 10 } as const;
  const scenarios = [
    createScenario({ ...base, path: "direct" }),
    createScenario({ ...base, path: "pooled" }),
    createScenario({ ...base, path: "pooled", defaultPoolSize: 5 }),
    createScenario({ ...base, framework: "django", path: "pooled" }),
  ];
  const study = await studyOf(
    syntheticPlan({ rounds: 1, scenarios }),
    ({ scenario }) => ({ rps: 10 * scenario.defaultPoolSize }),
  );
  assert.deepEqual(groupArms(study.scenarios, study.ratios), [
    {
      arms: [
        "Flask direct",
        "Flask pooled, defaultPoolSize=20",
        "Flask pooled, defaultPoolSize=5",
      ],
      capacityRps: 50,
    },
    { arms: ["Django pooled"], capacityRps: 200 },
  ]);
});
