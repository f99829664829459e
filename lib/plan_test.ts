// test lane: checkout
import { deepEqual, equal, match, notDeepEqual, notEqual, throws } from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "./errors.ts";
import {
  changePlan,
  namedPlan,
  parsePlan,
  type Plan,
  PLAN_NAMES,
  planHash,
  planRuns,
} from "./plan.ts";
import { scenarioId } from "./scenario.ts";
import { ROOT } from "./store/layout.ts";

Deno.test("namedPlan() has the plans of the README with their cells and rounds", () => {
  const shape = (name: string) => {
    const plan = namedPlan(name);
    const users = [...new Set(plan.scenarios.map((scenario) => scenario.users))];
    return [plan.scenarios.length, users, plan.rounds, plan.windowS, plan.functionalCheck];
  };
  deepEqual(shape("smoke"), [6, [10], 1, 3, true]);
  deepEqual(shape("frameworks"), [12, [10, 100], 3, 1, false]);
  deepEqual(shape("quick"), [14, [100, 20, 40, 64], 2, 1, false]);
  deepEqual(shape("reference"), [25, [10, 100, 500, 1000], 6, 60, false]);
  deepEqual(shape("seed"), [12, [500, 1000], 1, 60, false]);
});

Deno.test("namedPlan() extends undecided comparisons of reference alone, and gives it an A/A arm", () => {
  const reference = namedPlan("reference");
  equal(reference.maxRounds, 3 * reference.rounds);
  const copies = reference.scenarios.filter(({ replica }) => replica > 0);
  deepEqual(copies.map((copy) => ({ ...copy, replica: 0 })), [
    reference.scenarios.find(({ framework, path, users }) =>
      framework === "django" && path === "pooled" && users === 1000
    ),
  ]);
  for (const name of ["smoke", "frameworks", "quick", "seed"]) {
    equal(namedPlan(name).maxRounds, undefined);
    equal(namedPlan(name).scenarios.every(({ replica }) => replica === 0), true);
  }
});

Deno.test("namedPlan() finishes the ramp within the warm-up, but for the published settings", () => {
  for (const name of PLAN_NAMES.filter((name) => name !== "seed")) {
    const plan = namedPlan(name);
    for (const { users, spawnRate } of plan.scenarios) {
      equal(users! / spawnRate < plan.warmUpS, true, `${name}: ${users} users`);
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
  throws(
    () => namedPlan("toString"),
    /no such plan; the plans are smoke, frameworks, quick, pool-size, strategies, reference, seed, control/,
  );
  throws(() => namedPlan("nowhere.json"), /Cannot read plan "nowhere\.json"/);
});

Deno.test("parsePlan() reads back what it wrote, and names what is wrong", () => {
  const plan = namedPlan("frameworks");
  deepEqual(parsePlan(JSON.stringify(plan), "x"), plan);
  const edited = { $schema: "../docs/plan.schema.json", ...plan };
  deepEqual(parsePlan(JSON.stringify(edited), "x"), plan);
  const wrong: [unknown, RegExp][] = [
    ["{", /not JSON/],
    [[], /not an object/],
    [{ ...plan, rounds: 0 }, /field "rounds" is 0, must be a whole number of at least 1$/],
    [{ ...plan, name: "Mine" }, /field "name" is "Mine", must be a text of lower-case letters/],
    [
      { ...plan, openLoop: { ...plan.openLoop, shares: [0] } },
      /field "openLoop\.shares\[0\]" is 0, must be a number above 0/,
    ],
    [
      { ...plan, openLoop: { ...plan.openLoop, share: 1 } },
      /unknown field "openLoop\.share" \(did you mean "shares"\?\)/,
    ],
    [{ ...plan, maxRounds: 2 }, /maxRounds is 2, below rounds 3/],
    [{ ...plan, design: "other" }, /field "design" is "other", must be one of alternating, consec/],
    [{ ...plan, minutes: 0 }, /field "minutes" is 0, must be a number above 0/],
    [{ ...plan, design: "consecutive" }, /it has minutes, and not the design "alternating"/],
    [{ ...plan, maxRounds: "10" }, /field "maxRounds" is "10"/],
    [
      { ...plan, scenarios: [{ framework: "flask", path: "direct", users: 1, replica: 1 }] },
      /scenario 1 is a copy of one that the plan does not have/,
    ],
    [{ ...plan, windowS: undefined }, /field "windowS" is missing/],
    [{ ...plan, lenght: 1 }, /unknown field "lenght"/],
    [{ ...plan, scenarios: [] }, /field "scenarios"/],
    [{ ...plan, scenarios: [{ framework: "flask" }] }, /scenario 1: .*path is missing/],
    [
      { ...plan, scenarios: [{ framework: "flask", path: "direct", users: 1, arrivalRate: 2 }] },
      /scenario 1: .*users is 1 and arrivalRate is 2/,
    ],
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
  const plan = namedPlan("frameworks");
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

Deno.test("changePlan() takes --rounds for what it says: no further ones unless asked for", () => {
  const reference = namedPlan("reference");
  equal(changePlan(reference, { windowS: 5 }).maxRounds, 18);
  equal(changePlan(reference, { rounds: 3 }).maxRounds, undefined);
  equal(changePlan(reference, { rounds: 3, maxRounds: 9 }).maxRounds, 9);
  equal(changePlan(namedPlan("frameworks"), { maxRounds: 15 }).maxRounds, 15);
  throws(() => changePlan(reference, { maxRounds: 2 }), /maxRounds is 2, below rounds 6/);
});

Deno.test("changePlan() keeps an A/A arm, of its cell or of the last that is left", () => {
  const copies = (changes: Parameters<typeof changePlan>[1]) =>
    changePlan(namedPlan("reference"), changes).scenarios.filter(({ replica }) => replica > 0)
      .map(({ framework, path, users, dbCpus }) => [framework, path, users, dbCpus]);
  deepEqual(copies({ windowS: 5 }), [["django", "pooled", 1000, 0.5]]);
  deepEqual(copies({ frameworks: ["django"], settings: { dbCpus: 1 } }), [
    ["django", "pooled", 1000, 1],
  ]);
  deepEqual(copies({ frameworks: ["flask"] }), [["flask", "pooled", 1000, 0.5]]);
  deepEqual(copies({ users: [10, 50] }), [["flask", "pooled", 50, 0.5]]);
  throws(() => copies({ settings: { replica: 1 } }), /Cannot set replica for every scenario/);
});

Deno.test("changePlan() keeps the time that each comparison gets, and no less than some minutes", () => {
  const plan = namedPlan("frameworks");
  const minutes = (changes: Parameters<typeof changePlan>[1]) => changePlan(plan, changes).minutes;
  equal(minutes({}), 11.5);
  equal(minutes({ seed: 9 }), 11.5);
  equal(minutes({ frameworks: ["flask", "django"] }), 7.7);
  equal(minutes({ frameworks: ["flask"], users: [500] }), 4);
  equal(minutes({ users: [10, 50, 100] }), 17.3);
  equal(minutes({ users: [10], minutes: 1.5 }), 1.5);
  equal(minutes({ design: "consecutive" }), undefined);
});

Deno.test("changePlan() turns a closed loop into an open one and back", () => {
  const plan = namedPlan("frameworks");
  const levels = ({ scenarios }: Plan) =>
    scenarios.filter(({ framework, path }) => framework === "flask" && path === "direct")
      .map(({ users, arrivalRate }) => users ?? `${arrivalRate}/s`);
  deepEqual(levels(changePlan(plan, { arrivalRates: [50, 80] })), ["50/s", "80/s"]);
  deepEqual(levels(changePlan(plan, { users: [7], arrivalRates: [50] })), [7, "50/s"]);
  const open = changePlan(plan, { settings: { arrivalRate: 20, arrivals: "poisson" } });
  deepEqual(levels(open), ["20/s"]);
  deepEqual(levels(changePlan(open, { settings: { users: 3, arrivals: "constant" } })), [3]);
  throws(() => changePlan(plan, { settings: { users: null } }), /users is missing; give users for/);
  throws(
    () => changePlan(plan, { users: [5], settings: { arrivalRate: 20 } }),
    /Cannot use 5 users with arrivalRate=20: give the load once/,
  );
  for (const rate of [0, -1, NaN, Infinity]) {
    throws(() => changePlan(plan, { arrivalRates: [rate] }), /Cannot use arrival rate/);
  }
});

Deno.test("plans say which open loop follows, and how short it may be", () => {
  const { openLoop } = namedPlan("reference");
  equal(openLoop!.rounds >= 6, true);
  deepEqual(openLoop!.shares, [0.5, 0.8, 0.95]);
  // Of one round, so that all of it stays within 15 minutes on two cores.
  equal(namedPlan("frameworks").openLoop!.rounds, 1);
  const changed = changePlan(namedPlan("reference"), { windowS: 4, rounds: 2, warmUpS: 60 });
  deepEqual(changed.openLoop, { ...openLoop, windowS: 4, rounds: 2 });
  equal(changePlan(namedPlan("frameworks"), { openLoop: false }).openLoop, undefined);
  // Arrival rates of the user's own need none that follow.
  equal(changePlan(namedPlan("frameworks"), { arrivalRates: [50] }).openLoop, undefined);
  const wrong = (value: unknown) =>
    throws(
      () => parsePlan(JSON.stringify({ ...namedPlan("frameworks"), openLoop: value }), "my.json"),
      /field "openLoop(\.\w+(\[0\])?" is .*, must be|" is true, must be an object|\.x"; the fields are)/,
    );
  for (const change of [{ shares: [] }, { shares: [0] }, { rounds: 0 }, { windowS: 0 }, { x: 1 }]) {
    wrong({ ...openLoop, ...change });
  }
  wrong(true);
});

Deno.test("planRuns() runs each scenario once per round in an order that the seed decides", () => {
  const plan = namedPlan("frameworks");
  const runs = planRuns(plan);
  const ids = plan.scenarios.map(scenarioId).sort();
  const orders = [1, 2, 3].map((round) =>
    runs.filter((run) => run.round === round).map((run) => run.id)
  );
  for (const order of orders) deepEqual([...order].sort(), ids);
  notDeepEqual(orders[0], orders[1]);
  deepEqual(runs.map((run) => run.order), runs.map((_, i) => i + 1));
  deepEqual(planRuns(plan), runs);
  notDeepEqual(planRuns({ ...plan, seed: 2 }), runs);
});

Deno.test("planRuns() beyond the plan's rounds goes on where they end", () => {
  const plan = namedPlan("frameworks");
  const longer = planRuns(plan, 8);
  deepEqual(longer.slice(0, 36), planRuns(plan));
  deepEqual(longer.map((run) => run.order), longer.map((_, i) => i + 1));
  // The same as of a plan that had so many rounds from the start.
  deepEqual(longer, planRuns({ ...plan, rounds: 8 }));
});

Deno.test("planHash() of a closed loop is that of the time before there was an open one", () => {
  const folder = join(ROOT, "data/published/noise");
  const plan = parsePlan(readFileSync(join(folder, "plan.json"), "utf8"), "plan.json");
  const run = join(folder, scenarioId(plan.scenarios[0]!), "round-1", "manifest.json");
  equal(planHash(plan), JSON.parse(readFileSync(run, "utf8")).plan.hash);
});

Deno.test("planHash() is equal for equal plans only", () => {
  equal(planHash(namedPlan("frameworks")), planHash(namedPlan("frameworks")));
  equal(
    planHash(namedPlan("frameworks")) ===
      planHash(changePlan(namedPlan("frameworks"), { seed: 2 })),
    false,
  );
});

/** A folder of an app that is in no checkout; its rows and routes are its own. */
function makeShop(name: string): string {
  const folder = join(Deno.makeTempDirSync(), name);
  mkdirSync(folder, { recursive: true });
  const description = {
    title: "Shop",
    stack: "none",
    runtime: "command",
    concurrency: "event_loop",
    command: ["./shop"],
    healthPath: "/healthz",
    reuse: ["app_pool"],
    settings: { poolSize: { env: "POOL", default: 10 } },
    routes: [{ path: "/items" }],
    schema: "schema.sql",
  };
  writeFileSync(join(folder, "app.json"), JSON.stringify(description));
  return folder;
}

Deno.test("a plan may name an app by its path, and keeps what its study is read with", () => {
  const folder = makeShop("plan_shop");
  const text = (framework: string, more: object = {}) =>
    JSON.stringify({
      name: "mine",
      rounds: 1,
      warmUpS: 1,
      windowS: 2,
      scenarios: [{ framework, path: "direct", users: 5 }],
      ...more,
    });
  const plan = parsePlan(text(folder), "mine.json");
  const [scenario] = plan.scenarios;
  equal(scenario!.framework, "plan_shop");
  deepEqual([scenario!.poolSize, scenario!.workers, scenario!.reuse], [10, 1, "app_pool"]);
  match(scenarioId(scenario!), /^plan_shop-direct-5u-/);
  const record = plan.apps!.plan_shop!;
  equal(record.description.title, "Shop");
  // What is in the folder is among the inputs of runs; the plan asks for the folder alone.
  const renamed = { ...record, description: { ...record.description, title: "Store" } };
  equal(planHash({ ...plan, apps: { plan_shop: renamed } }), planHash(plan));
  notEqual(planHash({ ...plan, apps: { plan_shop: { ...record, folder: "x" } } }), planHash(plan));
  // The frozen plan is read where the folder is gone.
  rmSync(folder, { recursive: true });
  deepEqual(parsePlan(JSON.stringify(plan), "plan.json"), plan);
  throws(
    () => parsePlan(text(join(folder, "..", "gone")), "mine.json"),
    /scenario 1: Cannot use app ".*gone": there is no app\.json in that folder/,
  );
});

Deno.test("changePlan() gives a plan's cells to another app, with what they set", () => {
  const folder = makeShop("corner");
  const smoke = changePlan(namedPlan("smoke"), { apps: [folder] });
  deepEqual(
    smoke.scenarios.map(({ framework, path, users, spawnRate, poolSize }) =>
      [framework, path, users, spawnRate, poolSize].join(" ")
    ),
    ["corner direct 10 20 10", "corner pooled 10 20 10"],
  );
  deepEqual(
    changePlan(namedPlan("smoke"), { apps: ["django"] }).scenarios,
    changePlan(namedPlan("smoke"), { frameworks: ["django"] }).scenarios,
  );
  // The plan of the published result sets what this app has no variable for.
  throws(
    () => changePlan(namedPlan("seed"), { apps: [folder] }),
    /workers is 4 for Shop, whose app\.json has no variable for it; leave it at 1/,
  );
});
