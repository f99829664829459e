import assert from "node:assert/strict";
import { createScenario, scenarioId } from "../scenario.ts";
import { pathComparisons } from "./comparisons.ts";
import { unmeasuredRun } from "./summarise.ts";
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

Deno.test("pathComparisons() pairs by round, and counts rounds that failed as done", () => {
  const runs = [run(0, 2, 120), run(0, 1, 100), run(1, 1, 200), run(1, 2, 0), run(0, 3, 90)];
  const [comparison] = pathComparisons([{ direct, pooled }], runs);
  assert.deepEqual(comparison, {
    id: pooled,
    scenarios: [direct, pooled],
    rounds: 2,
    pairs: [{ round: 1, base: 100, other: 200 }],
  });
});

Deno.test("pathComparisons() counts rounds from the first on", () => {
  const runs = [run(0, 2, 120), run(1, 2, 130)];
  const [comparison] = pathComparisons([{ direct, pooled }], runs);
  assert.equal(comparison!.rounds, 0);
  assert.deepEqual(comparison!.pairs, [{ round: 2, base: 120, other: 130 }]);
});
