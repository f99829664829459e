// test lane: checkout
import assert from "node:assert/strict";
import { createScenario, scenarioId } from "../scenario.ts";
import { compareScenarios, compareThroughput, pairScenarios } from "./comparisons.ts";
import { namedPlan } from "../plan.ts";
import { summariseScenarios, unmeasuredRun } from "./summarise.ts";
import type { RunSummary } from "./summary.ts";

const scenarios = (["direct", "pooled"] as const).map((path) =>
  createScenario({ framework: "flask", path, users: 10 })
);
const [direct, pooled] = scenarios.map(scenarioId) as [string, string];

/** A run of a scenario; 0 for one that failed. */
function run(which: 0 | 1, round: number, rps: number): RunSummary {
  const scenario = scenarios[which]!;
  const status = rps > 0 ? "ok" as const : "failed" as const;
  const head = { scenarioId: scenarioId(scenario), scenario, arm: "flask", round };
  return { ...unmeasuredRun({ ...head, status, cause: null }), rps };
}

Deno.test("compareThroughput() pairs by round, and counts rounds that failed as done", () => {
  const runs = [run(0, 2, 120), run(0, 1, 100), run(1, 1, 200), run(1, 2, 0), run(0, 3, 90)];
  assert.deepEqual(compareThroughput(direct, pooled, runs), {
    id: `${direct} ${pooled}`,
    scenarios: [direct, pooled],
    rounds: 2,
    pairs: [{ round: 1, base: 100, other: 200 }],
  });
});

Deno.test("compareThroughput() counts rounds from the first on", () => {
  const comparison = compareThroughput(direct, pooled, [run(0, 2, 120), run(1, 2, 130)]);
  assert.equal(comparison.rounds, 0);
  assert.deepEqual(comparison.pairs, [{ round: 2, base: 120, other: 130 }]);
});

Deno.test("pairScenarios() compares paths, settings with the plan's first, and copies", () => {
  const base = { framework: "django", users: 10 } as const;
  const plan = [
    createScenario({ ...base, path: "direct" }),
    createScenario({ ...base, path: "pooled" }),
    createScenario({ ...base, path: "direct", reuse: "per_request" }),
    createScenario({ ...base, path: "pooled", reuse: "per_request" }),
    createScenario({ ...base, path: "pooled", defaultPoolSize: 5 }),
    createScenario({ ...base, path: "direct", users: 20 }),
    createScenario({ ...base, path: "pooled", replica: 1 }),
    createScenario({ ...base, path: "pooled", replica: 2 }),
  ];
  const pairs = pairScenarios(plan).map(({ kind, base, other, differences }) =>
    [kind, plan.indexOf(base), plan.indexOf(other), differences.join()].join(" ").trim()
  );
  assert.deepEqual(pairs, [
    "path 0 1",
    "path 2 3",
    "path 0 4",
    "settings 0 2 reuse",
    "settings 1 3 reuse",
    "settings 1 4 defaultPoolSize",
    "replica 1 6",
    "replica 1 7",
  ]);
});

Deno.test("compareScenarios() says what rejected runs bear, unless one failed or was miscounted", () => {
  const rejected = (which: 0 | 1, round: number, rps: number): RunSummary => {
    const one = run(which, round, rps);
    const conditions = { ...one.conditions, rates: Array(30).fill(rps) };
    const cause = "no steady state: service time rose by 40% in the window";
    return { ...one, status: "rejected", counted: true, cause, conditions };
  };
  const runs = [rejected(0, 1, 40), rejected(0, 2, 41), rejected(1, 1, 158), rejected(1, 2, 178)];
  const ratioOf = (all: RunSummary[]) => {
    const plan = { scenarios, rounds: 2, maxRounds: 2 };
    return compareScenarios(plan, summariseScenarios(all), all).ratios[0]!;
  };
  assert.deepEqual(
    [ratioOf(runs).bound, ratioOf(runs).missing],
    [
      { ahead: "other", factor: 3, reasons: ["no steady state"] },
      "pooled answered at least 3 times as much; rejected for no steady state",
    ],
  );
  const changed = (change: Partial<RunSummary>) =>
    ratioOf([{ ...runs[0]!, ...change }, ...runs.slice(1)]);
  assert.equal(changed({ counted: false }).bound, null);
  assert.equal(changed({ status: "failed" }).bound, null);
  assert.equal(
    changed({ scenario: { ...scenarios[0]!, users: null, arrivalRate: 9 } }).bound,
    null,
  );
  // One round that counts has no interval, so that the other still bears something.
  const first = runs.map((one) =>
    one.round === 1 ? { ...one, status: "ok" as const, cause: null } : one
  );
  assert.deepEqual([ratioOf(first).n, ratioOf(first).bound?.factor], [1, 3]);
  // Runs that count have a ratio.
  const counting = runs.map((one) => ({ ...one, status: "ok" as const, cause: null }));
  assert.equal(ratioOf(counting).bound, null);
});

Deno.test("pairScenarios() of the reference plan are its twelve pairs and one A/A", () => {
  const kinds = pairScenarios(namedPlan("reference").scenarios).map(({ kind }) => kind);
  assert.deepEqual(kinds, [...Array(12).fill("path"), "replica"]);
});

Deno.test("compareScenarios() decides paths, settings and copies as one family", () => {
  const copy = createScenario({ framework: "flask", path: "direct", users: 10, replica: 1 });
  const slow = createScenario({ framework: "flask", path: "direct", users: 10, workers: 1 });
  const plan = { scenarios: [...scenarios, copy, slow], rounds: 5 };
  const factors = [1, 1, 1, 0.8];
  const noise = [0, 0.01, -0.01, 0.005, -0.005];
  const runs = plan.scenarios.flatMap((scenario, i) =>
    noise.map((_, round): RunSummary => {
      const head = { scenarioId: scenarioId(scenario), scenario, arm: "", round: round + 1 };
      const rps = 100 * factors[i]! * (1 + noise[(round + i) % 5]!);
      return { ...unmeasuredRun({ ...head, status: "ok", cause: null }), rps };
    })
  );
  const { ratios, armRatios, family } = compareScenarios(plan, summariseScenarios(runs), runs);
  assert.equal(family.comparisons.length, 3);
  // Corrected for three: Bonferroni's level of a family, not 5% each.
  assert.ok(family.comparisons.every(({ level }) => level === 0.05 / 3));
  assert.deepEqual(ratios.map(({ verdict }) => verdict), ["indistinguishable"]);
  assert.deepEqual(
    armRatios.map(({ kind, verdict, label, otherArm, differences }) =>
      [kind, verdict, label, otherArm, differences.join()].join("|")
    ),
    [
      "settings|lower|Flask direct, workers=1|Flask direct, workers=1|workers",
      "replica|indistinguishable|Flask direct, workers=2|Flask direct, workers=2, A/A|",
    ],
  );
  assert.ok(armRatios.every(({ n, detectable }) => n === 5 && detectable! > 0.9));
});

Deno.test("compareScenarios() knows its comparisons before the first run", () => {
  const { ratios, family } = compareScenarios({ scenarios, rounds: 5 }, [], []);
  assert.deepEqual([ratios[0]!.missing, ratios[0]!.open], ["not run yet", true]);
  assert.deepEqual(family.next, { rounds: 5, scenarios: [direct, pooled] });
});

Deno.test("compareThroughput() pairs the blocks that both runs of a round have", () => {
  const sliced = (which: 0 | 1, round: number, rates: [number, number][]): RunSummary => {
    const slices = rates.map(([block, rps]) => {
      const halves = { earlyRps: rps, lateRps: rps, serviceMs: 1, timesUs: new Float64Array() };
      return { block, place: 1 + which, rps, ...halves };
    });
    return { ...run(which, round, 50), slices };
  };
  const runs = [
    sliced(0, 1, [[1, 100], [2, 80], [3, 90]]),
    sliced(1, 1, [[1, 120], [3, 0], [4, 70]]),
    // No answer in any common block, no common block, and a round of another design.
    sliced(0, 2, [[1, 100], [2, 100]]),
    sliced(1, 2, [[1, 0], [2, 0], [3, 50]]),
    sliced(0, 3, [[1, 100]]),
    sliced(1, 3, [[2, 100]]),
    sliced(0, 4, [[1, 100]]),
    run(1, 4, 60),
  ];
  const { rounds, pairs } = compareThroughput(direct, pooled, runs);
  assert.equal(rounds, 4);
  assert.deepEqual(pairs, [
    {
      round: 1,
      base: 95,
      other: 60,
      blocks: [{ base: 100, other: 120 }, { base: 90, other: 0 }],
    },
    { round: 4, base: 50, other: 60 },
  ]);
});
