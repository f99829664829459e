// test lane: checkout
import { deepEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import { namedPlan, PLAN_NAMES, planHash } from "./plan.ts";
import { createScenario, type Scenario, scenarioId } from "./scenario.ts";

/**
 * Hashes and ids as they have been since studies were published. A setting that is new must leave
 * all of them as they are: `since` in lib/settings.ts keeps its default out of them.
 */
const PLANS = {
  smoke: ["a932e9e0d176251d", "dd24fa1b409f4ca6"],
  frameworks: ["3495c4233320280d", "87a0e302459bf625"],
  quick: ["3afa3aa699e22b57", "2fa0b449f55c49b8"],
  "pool-size": ["85b71c30e11efe3d", "6c542e94024dd7b4"],
  strategies: ["0873e75712a1d189", "1c4c4c03e16c527f"],
  reference: ["5dac552458b0c62c", "919ed39fb619959e"],
  seed: ["b0bd4c7a55b6fb81", "fd2763da50906c88"],
  control: ["9124aa3291e219c9", "7ffc038a30c4e857"],
};
const SCENARIOS: [Partial<Scenario>, string][] = [
  [{}, "django-direct-100u-6159ca62"],
  [{ path: "pooled" }, "django-pooled-100u-68947e1b"],
  [
    { path: "pooled", poolMode: "session", defaultPoolSize: 5, maxClientConn: 50 },
    "django-pooled-100u-8f7e1a94",
  ],
  [
    { path: "pooled", preparedStatements: false, pgbouncerCpus: 0.5 },
    "django-pooled-100u-92ebc074",
  ],
  [
    { framework: "fastapi", path: "pooled", users: 1000, workers: 4, poolSize: 40 },
    "fastapi-pooled-1000u-9c768211",
  ],
  [
    { framework: "flask", reuse: "per_request", scramIterations: 4096, dbCpus: null },
    "flask-direct-100u-841ced39",
  ],
  [{ users: null, arrivalRate: 200 }, "django-direct-200rps-901899f7"],
  [
    { users: null, arrivalRate: 12.5, arrivals: "poisson", path: "pooled" },
    "django-pooled-12.5rps-404b02a2",
  ],
  [{ rttAppDbMs: 2, tlsAppDb: true }, "django-direct-100u-16399fc7"],
  [{ path: "pooled", rttAppDbMs: 2, tlsAppDb: true }, "django-pooled-100u-adf09ad4"],
  [{ client: "fast", appDelayMs: 4, replica: 1 }, "django-direct-100u-6a5e8bbd"],
  [
    { thinkTimeMinS: 0.1, thinkTimeMaxS: 0.5, spawnRate: 50, appMemoryMiB: 512 },
    "django-direct-100u-347c41d6",
  ],
];

/** A plan's hash, and one of all its scenarios' ids. */
function pinned(name: string) {
  const plan = namedPlan(name);
  const ids = createHash("sha256").update(plan.scenarios.map(scenarioId).join()).digest("hex");
  return [planHash(plan).slice(0, 16), ids.slice(0, 16)];
}

Deno.test("planHash() and scenarioId() of every named plan are those of before", () => {
  deepEqual(Object.fromEntries(PLAN_NAMES.map((name) => [name, pinned(name)])), PLANS);
});

Deno.test("scenarioId() of a scenario is that of before", () => {
  const base = { framework: "django", path: "direct", users: 100 } as const;
  deepEqual(
    SCENARIOS.map(([values]) => scenarioId(createScenario({ ...base, ...values }))),
    SCENARIOS.map(([, id]) => id),
  );
});
