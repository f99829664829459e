// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { groupScenarios } from "../groups.ts";
import { changePlan, namedPlan, uniformDraws } from "../plan.ts";
import { createScenario, scenarioId } from "../scenario.ts";
import { pairScenarios } from "./comparisons.ts";
import { fitUsl, poolSizes, sizeFamilies, uslAt } from "./pool_sizes.ts";
import type { RunSummary } from "./summary.ts";

const SIZES = [1, 2, 5, 10, 20];
const shared = { framework: "flask", users: 64 } as const;
const direct = createScenario({ ...shared, path: "direct" });
const pooled = SIZES.map((defaultPoolSize) =>
  createScenario({ ...shared, path: "pooled", defaultPoolSize })
);
const scenarios = [direct, ...pooled.toReversed()];

/** Runs of two starts, of which each block has its own speed. */
function runsOf(rates: Record<string, number>, blocks = 40, noise = 0.02): RunSummary[] {
  const random = uniformDraws(3);
  return [1, 2].flatMap((round) => {
    const speeds = Array.from({ length: blocks }, () => 0.7 + 0.6 * random());
    return scenarios.map((scenario) => {
      const id = scenarioId(scenario);
      const slices = speeds.map((speed, i) => ({
        block: i + 1,
        place: 1,
        rps: rates[id]! * speed * (1 + noise * (2 * random() - 1)),
      }));
      const rps = slices.reduce((sum, one) => sum + one.rps, 0) / blocks;
      const pgbouncer = {
        transactions: 100,
        waitUs: 1e5,
        maxServersActive: scenario.defaultPoolSize,
        meanServersActive: scenario.defaultPoolSize / 2,
      };
      const telemetry = scenario.path === "direct" ? null : { pgbouncer };
      const head = { scenarioId: id, scenario, round, status: "ok", rps };
      return { ...head, slices, telemetry } as unknown as RunSummary;
    });
  });
}

const rates = (direct_: number, ofSizes: number[]) =>
  Object.fromEntries([
    [scenarioId(direct), direct_],
    ...pooled.map((scenario, i) => [scenarioId(scenario), ofSizes[i]!]),
  ]);

Deno.test("sizes of one pool are a family from three on, and only the largest is compared", () => {
  const [family, ...others] = sizeFamilies(scenarios);
  deepEqual(family!.map(({ defaultPoolSize }) => defaultPoolSize), SIZES);
  deepEqual(others, []);
  deepEqual(sizeFamilies([direct, ...pooled.slice(0, 2)]), []);
  const pairs = pairScenarios(scenarios).map(({ kind, base, other }) => [kind, base, other]);
  deepEqual(pairs, [["path", direct, pooled.at(-1)!]]);
  // All stand side by side, all the same.
  deepEqual(groupScenarios(scenarios).map(({ length }) => length), [6]);
  const named = namedPlan("pool-size");
  deepEqual(groupScenarios(named.scenarios).map(({ length }) => length), [8, 8, 8]);
});

Deno.test("poolSizes() chooses the smallest that does, whatever the blocks' speed", () => {
  const [found, ...others] = poolSizes(scenarios, runsOf(rates(95, [20, 39, 90, 99, 100])));
  deepEqual(others, []);
  const { sizes, selection, starts, blocks, directRps } = found!;
  deepEqual([starts, blocks], [2, 80]);
  equal(sizes[selection!.smallest!]!.size, 10);
  deepEqual(selection!.possible.map((place) => sizes[place]!.size), [10, 20]);
  ok(Math.abs(sizes[0]!.beside!.share.value - 0.2) < 0.01);
  ok(Math.abs(directRps! / sizes[4]!.rps! - 0.95) < 0.02);
  deepEqual([sizes[3]!.mostActive, sizes[3]!.meanActive, sizes[3]!.waitMs], [10, 5, 1]);
});

Deno.test("poolSizes() judges those that were far behind by the first blocks, the others by fresh ones", () => {
  const runs = runsOf(rates(95, [20, 39, 90, 99, 100])).map((run) =>
    run.scenario.path === "pooled" && run.scenario.defaultPoolSize < 5
      ? { ...run, slices: run.slices!.slice(0, 3) }
      : run
  );
  const { sizes, selection, blocks, starts } = poolSizes(scenarios, runs)[0]!;
  deepEqual([starts, blocks], [2, 74]);
  equal(sizes[selection!.smallest!]!.size, 10);
  deepEqual(selection!.possible.map((place) => sizes[place]!.size), [10, 20]);
  ok(Math.abs(sizes[0]!.beside!.share.value - 0.2) < 0.02);
  ok(sizes[1]!.beside!.share.high! < 0.95);
  // Far behind in one start alone, it costs the other start none of its fresh blocks.
  const once = runsOf(rates(95, [20, 39, 90, 99, 100])).map((run) =>
    run.round === 1 && run.scenario.path === "pooled" && run.scenario.defaultPoolSize < 5
      ? { ...run, slices: run.slices!.slice(0, 3) }
      : run
  );
  equal(poolSizes(scenarios, once)[0]!.blocks, 74);
  // One that is left alone is the best.
  const one = runs.map((run) =>
    run.scenario.path === "pooled" && run.scenario.defaultPoolSize < 20
      ? { ...run, slices: run.slices!.slice(0, 3) }
      : run
  );
  const alone = poolSizes(scenarios, one)[0]!;
  equal(alone.sizes[alone.selection!.smallest!]!.size, 20);
  deepEqual(alone.sizes.at(-1)!.beside, { share: { value: 1, low: 1, high: 1 }, probability: 1 });
});

Deno.test("poolSizes() selects nothing without blocks that all sizes have", () => {
  const runs = runsOf(rates(95, [20, 39, 90, 99, 100]));
  const failed = runs.map((run): RunSummary =>
    run.scenario.defaultPoolSize === 5 ? { ...run, status: "failed" } : run
  );
  const { selection, sizes, starts } = poolSizes(scenarios, failed)[0]!;
  deepEqual([selection, starts, sizes[2]!.rps, sizes[2]!.beside], [null, 0, null, null]);
  ok(sizes[3]!.rps! > 90);
});

Deno.test("--pool-sizes gives every pooled cell these sizes, and direct ones none", () => {
  const plan = changePlan(namedPlan("frameworks"), {
    frameworks: ["flask"],
    users: [64],
    poolSizes: [3, 6, 12],
  });
  deepEqual(plan.scenarios.map(({ path, defaultPoolSize }) => [path, defaultPoolSize]), [
    ["direct", direct.defaultPoolSize],
    ["pooled", 3],
    ["pooled", 6],
    ["pooled", 12],
  ]);
});

Deno.test("fitUsl() finds the law that points are of, and none that is no law", () => {
  const law = { perConnection: 20, contention: 0.04, coherency: 0.0007 };
  const at = (size: number) => ({ size, rps: uslAt(law, size) });
  const fitted = fitUsl([1, 2, 5, 10, 20, 40, 64].map(at))!;
  for (const key of ["perConnection", "contention", "coherency"] as const) {
    ok(Math.abs(fitted[key] / law[key] - 1) < 1e-6, `${key} ${fitted[key]}`);
  }
  // More than a straight line: no part of the law is negative.
  const steep = fitUsl([1, 2, 4, 8].map((size) => ({ size, rps: 10 * size ** 1.2 })))!;
  deepEqual([steep.contention, steep.coherency], [0, 0]);
  equal(fitUsl([1, 2, 5].map(at)), null);
  equal(fitUsl([1, 2, 5, 9].map((size) => ({ size, rps: 0 }))), null);
});
