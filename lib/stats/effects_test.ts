// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { namedPlan, uniformDraws } from "../plan.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import { effectPairs, effectsOf, shownEffects } from "./effects.ts";
import type { RunSummary } from "./summary.ts";

const shared = { framework: "django", users: 20 } as const;
const arms = (["direct", "pooled"] as const).flatMap((path) => [
  createScenario({ ...shared, path, reuse: "per_request" }),
  createScenario({ ...shared, path, reuse: "persistent" }),
  createScenario({ ...shared, path, reuse: "persistent", preparedStatements: false }),
]);

/** Three starts of all arms in turns, whose requests take so long. */
function runsOf(msOf: (scenario: Scenario) => number): RunSummary[] {
  const random = uniformDraws(3);
  return [1, 2, 3].flatMap((round) => {
    const speeds = Array.from({ length: 30 }, () => 0.8 + 0.4 * random());
    return arms.map((scenario) => {
      const slices = speeds.map((speed, i) => ({
        block: i + 1,
        place: 1,
        rps: 1000 * 20 / msOf(scenario) * speed * (1 + 0.02 * (2 * random() - 1)),
      }));
      const rps = slices.reduce((sum, one) => sum + one.rps, 0) / slices.length;
      const head = { scenarioId: scenarioId(scenario), scenario, round, status: "ok" };
      return { ...head, rps, slices } as unknown as RunSummary;
    });
  });
}

Deno.test("effectPairs() has the pairs that differ in one choice alone, each in its order", () => {
  const named = effectPairs(arms).map(({ choice, base, other }) =>
    [choice, base, other].map((one) =>
      typeof one === "string" ? one : `${one.path} ${one.reuse} ${one.preparedStatements}`
    ).join(": ")
  );
  deepEqual(named, [
    "reuse: direct per_request true: direct persistent true",
    "reuse: pooled per_request true: pooled persistent true",
    "path: direct per_request true: pooled per_request true",
    "path: direct persistent true: pooled persistent true",
    "path: direct persistent false: pooled persistent false",
    "preparedStatements: direct persistent false: direct persistent true",
    "preparedStatements: pooled persistent false: pooled persistent true",
  ]);
  // Copies, other loads and other apps are no pair; where the path alone differs there is nothing to add.
  deepEqual(effectPairs([arms[0]!, { ...arms[0]!, replica: 1 }]), []);
  deepEqual(effectPairs([arms[0]!, createScenario({ ...shared, path: "pooled", users: 40 })]), []);
  deepEqual(effectPairs([arms[1]!, arms[4]!]), []);
  const { scenarios } = namedPlan("strategies");
  const choices = new Set(effectPairs(scenarios).map(({ choice }) => choice));
  deepEqual([...choices], ["reuse", "path", "preparedStatements", "livenessCheck", "poolMode"]);
});

Deno.test("effectsOf() recovers what was put into the arms, within its interval", () => {
  const msOf = ({ path, reuse, preparedStatements }: Scenario) =>
    40 + (path === "pooled" ? 4 : 0) +
    (reuse === "per_request" ? path === "direct" ? 20 : 8 : 0) + (preparedStatements ? 0 : 6);
  const plan = { scenarios: arms, rounds: 3, design: "alternating" as const };
  const effects = effectsOf(plan, runsOf(msOf));
  equal(effects.length, 7);
  // Keeping connections, direct: a third of the time is gone, which is the most.
  deepEqual(shownEffects(effects)[0], effects[0]);
  for (const { choice, base, other, ratio, addedMs, verdict, blocks } of effects) {
    const [without, with_] = [msOf(base), msOf(other)];
    const told = `${choice}: ${JSON.stringify([ratio, addedMs, without, with_])}`;
    ok(ratio!.low! <= without / with_ && without / with_ <= ratio!.high!, told);
    // The base's throughput, by which milliseconds are reckoned, has an error of its own.
    const slack = 0.03 * Math.abs(with_ - without);
    ok(addedMs!.low! - slack <= with_ - without, told);
    ok(with_ - without <= addedMs!.high! + slack, told);
    ok(addedMs!.high! - addedMs!.low! < 0.5 * Math.abs(with_ - without), told);
    equal(verdict, with_ > without ? "lower" : "higher");
    equal(blocks, 90);
  }
  const beside = effects.map((one) => one.beside.join());
  deepEqual(beside.slice(0, 3), [
    "path,preparedStatements",
    "path,preparedStatements",
    "reuse,preparedStatements",
  ]);
});
