import { deepEqual, equal, match, notDeepEqual, throws } from "node:assert/strict";
import { UsageError } from "./errors.ts";
import { changePlan, namedPlan, parsePlan, PLAN_NAMES, planHash, planRuns } from "./plan.ts";
import { scenarioId } from "./scenario.ts";

Deno.test("namedPlan() has the plans of the README with their cells and rounds", () => {
  const shape = (name: string) => {
    const plan = namedPlan(name);
    const users = [...new Set(plan.scenarios.map((scenario) => scenario.users))];
    return [plan.scenarios.length, users, plan.rounds, plan.windowS, plan.functionalCheck];
  };
  deepEqual(shape("smoke"), [6, [10], 1, 3, true]);
  deepEqual(shape("quick"), [12, [100, 1000], 5, 6, false]);
  deepEqual(shape("reference"), [24, [10, 100, 500, 1000], 6, 60, false]);
  deepEqual(shape("seed"), [12, [500, 1000], 1, 60, false]);
});

Deno.test("namedPlan() finishes the ramp within the warm-up, but for the published settings", () => {
  for (const name of PLAN_NAMES.filter((name) => name !== "seed")) {
    const plan = namedPlan(name);
    for (const { users, spawnRate } of plan.scenarios) {
      equal(users / spawnRate < plan.warmUpS, true, `${name}: ${users} users`);
    }
  }
});

Deno.test("namedPlan() keeps the published settings with their flaws in seed", () => {
  const [fastapi, , pooled] = namedPlan("seed").scenarios;
  deepEqual([fastapi!.workers, fastapi!.poolSize, fastapi!.preparedStatements], [4, 40, true]);
  equal(pooled!.preparedStatements, false);
  const django = namedPlan("seed").scenarios.find((one) => one.framework === "django")!;
  deepEqual([django.workers, django.threads, django.reuse], [3, 2, "per_request"]);
});

Deno.test("namedPlan() names the plans when there is none of that name", () => {
  throws(() => namedPlan("toString"), /no such plan; the plans are smoke, quick, reference, seed/);
  throws(() => namedPlan("nowhere.json"), /Cannot read plan "nowhere\.json"/);
});

Deno.test("parsePlan() reads back what it wrote, and names what is wrong", () => {
  const plan = namedPlan("quick");
  deepEqual(parsePlan(JSON.stringify(plan), "x"), plan);
  const wrong: [unknown, RegExp][] = [
    ["{", /not JSON/],
    [[], /not an object/],
    [{ ...plan, rounds: 0 }, /field "rounds" is 0/],
    [{ ...plan, windowS: undefined }, /field "windowS" is missing/],
    [{ ...plan, lenght: 1 }, /unknown field "lenght"/],
    [{ ...plan, scenarios: [] }, /field "scenarios"/],
    [{ ...plan, scenarios: [{ framework: "flask" }] }, /scenario 1: .*path is missing/],
    [{ ...plan, scenarios: [plan.scenarios[0], plan.scenarios[0]] }, /same values/],
  ];
  for (const [value, message] of wrong) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    throws(() => parsePlan(text, "my.json"), (error: Error) => {
      equal(error instanceof UsageError, true);
      match(error.message, message);
      return error.message.startsWith('Cannot read plan "my.json"');
    });
  }
});

Deno.test("changePlan() filters, adds users and sets settings on a copy", () => {
  const plan = namedPlan("quick");
  const before = JSON.stringify(plan);
  const changed = changePlan(plan, {
    frameworks: ["django"],
    users: [500],
    settings: { reuse: "per_request" },
    rounds: 1,
  });
  deepEqual(
    changed.scenarios.map(({ framework, path, users, reuse }) => [framework, path, users, reuse]),
    [["django", "direct", 500, "per_request"], ["django", "pooled", 500, "per_request"]],
  );
  equal(JSON.stringify(plan), before);
  throws(
    () => changePlan(plan, { frameworks: ["rails"] }),
    /framework "rails": choose from fastapi/,
  );
  throws(() => changePlan(plan, { paths: ["both"] }), /path "both"/);
  for (const users of [0, -1, NaN, 2.5]) {
    throws(() => changePlan(plan, { users: [users] }), /users/);
  }
  throws(() => changePlan(plan, { windowS: 0 }), /windowS/);
});

Deno.test("planRuns() runs each scenario once per round in an order that the seed decides", () => {
  const plan = namedPlan("quick");
  const runs = planRuns(plan);
  const ids = plan.scenarios.map(scenarioId).sort();
  const orders = [1, 2, 3, 4, 5].map((round) =>
    runs.filter((run) => run.round === round).map((run) => run.id)
  );
  for (const order of orders) deepEqual([...order].sort(), ids);
  notDeepEqual(orders[0], orders[1]);
  deepEqual(runs.map((run) => run.order), runs.map((_, i) => i + 1));
  deepEqual(planRuns(plan), runs);
  notDeepEqual(planRuns({ ...plan, seed: 2 }), runs);
});

Deno.test("planHash() is equal for equal plans only", () => {
  equal(planHash(namedPlan("quick")), planHash(namedPlan("quick")));
  equal(
    planHash(namedPlan("quick")) === planHash(changePlan(namedPlan("quick"), { seed: 2 })),
    false,
  );
});
