import assert from "node:assert/strict";
import type { PathComparison } from "./claims.ts";
import { latencyComparisons, pairName, pathClaim } from "./claims.ts";
import type { PathRatio, ScenarioSummary } from "../stats/summary.ts";

const comparison = (
  name: string,
  users: number,
  verdict: PathComparison["verdict"],
  ratio: number | null = 1,
): PathComparison => ({ name, users, arrivalRate: null, verdict, ratio, missing: "direct failed" });

Deno.test("pairName() always names reuse, and settings that differ", () => {
  const pair = { label: "django", reuse: "persistent" as const };
  assert.equal(pairName({ ...pair, differences: [] }), "django (persistent)");
  assert.equal(
    pairName({ ...pair, differences: ["preparedStatements"] }),
    "django (persistent; preparedStatements differs between the paths)",
  );
  assert.equal(
    pairName({ ...pair, label: "django, reuse=persistent", differences: [] }),
    "django, reuse=persistent",
  );
});

Deno.test("pathClaim() claims what intervals decide, and nothing elsewhere", () => {
  assert.equal(
    pathClaim("throughput", [
      comparison("a (x)", 100, "higher", 2),
      comparison("a (x)", 1000, "higher", 3),
      comparison("b (y)", 100, "lower", 0.5),
      comparison("b (y)", 1000, "unclear", 0.9),
    ]),
    "Pooled throughput is 2.00× to 3.00× direct's for a (x) and 0.50× for b (y) at 100 users; " +
      "no clear difference for b (y) at 1000 users",
  );
});

Deno.test("pathClaim() says when nothing is clear, failed or decided", () => {
  assert.equal(
    pathClaim("throughput", [comparison("a (x)", 1, "unclear"), comparison("b (y)", 1, "unclear")]),
    "No clear difference between direct and pooled throughput for a (x) and b (y)",
  );
  assert.equal(
    pathClaim("throughput", [comparison("a (x)", 1, "single", 7)]),
    "One run per cell decides nothing about throughput",
  );
  assert.equal(
    pathClaim("throughput", [comparison("a (x)", 1, "none", null)]),
    "No throughput to compare: direct failed for a (x)",
  );
  assert.equal(
    pathClaim("throughput", [
      comparison("a (x)", 1, "none", null),
      comparison("a (x)", 2, "unclear"),
    ]),
    "No clear difference between direct and pooled throughput for a (x); " +
      "direct failed for a (x) at 1 users",
  );
  assert.equal(pathClaim("throughput", []), "Throughput, without a comparison of paths");
});

Deno.test("pathClaim() of a functional check claims nothing", () => {
  const claim = pathClaim("throughput", [comparison("a (x)", 1, "higher", 9)], {
    functionalCheck: true,
  });
  assert.match(claim, /^Functional check only/);
  assert.ok(!claim.includes("9"));
});

Deno.test("latencyComparisons() never takes a lower bound for the lower value", () => {
  const scenario = (scenarioId: string, value: number, bound: boolean) =>
    ({
      scenarioId,
      n: 5,
      exactUpTo: bound ? 90 : 100,
      serviceMs: { p95: { value, low: value - 1, high: value + 1 } },
    }) as ScenarioSummary;
  const pair = {
    direct: "d",
    pooled: "p",
    label: "a",
    reuse: "app_pool",
    differences: [],
    failedPaths: [],
    rejectedPaths: [],
    users: 1,
  } as unknown as PathRatio;
  const verdict = (direct: boolean, pooled: boolean) =>
    latencyComparisons([pair], [scenario("d", 10, direct), scenario("p", 50, pooled)], 95)[0]!
      .verdict;
  assert.equal(verdict(false, false), "higher");
  assert.equal(verdict(false, true), "higher");
  assert.equal(verdict(true, false), "unclear");
});
