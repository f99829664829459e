// test lane: checkout
import assert from "node:assert/strict";
import {
  claimOf,
  latencyComparisons,
  pairName,
  pathClaim,
  type PathComparison,
  rangeClaim,
  verdictOf,
} from "./claims.ts";
import type { PathRatio, ScenarioSummary } from "../stats/summary.ts";

const comparison = (
  name: string,
  users: number,
  verdict: PathComparison["verdict"],
  ratio: number | null = 1,
): PathComparison => ({ name, users, arrivalRate: null, verdict, ratio, missing: "direct failed" });

Deno.test("pairName() always names reuse, and settings that differ", () => {
  const pair = { label: "Django", reuse: "persistent" as const };
  assert.equal(pairName({ ...pair, differences: [] }), "Django (persistent)");
  assert.equal(
    pairName({ ...pair, differences: ["preparedStatements"] }),
    "Django (persistent; preparedStatements differs between the paths)",
  );
  assert.equal(
    pairName({ ...pair, differences: ["preparedStatements", "workers"] }),
    "Django (persistent; preparedStatements and workers differ between the paths)",
  );
  assert.equal(
    pairName({ ...pair, label: "Django, reuse=persistent", differences: [] }),
    "Django, reuse=persistent",
  );
});

Deno.test("pathClaim() claims what intervals decide, and nothing elsewhere", () => {
  assert.equal(
    pathClaim("throughput", [
      comparison("a (x)", 100, "higher", 2),
      comparison("a (x)", 1000, "higher", 3),
      comparison("b (y)", 100, "lower", 0.5),
      comparison("b (y)", 1000, "indistinguishable", 0.9),
    ]),
    "Pooled throughput is 2.00× to 3.00× direct's for a (x) and 0.50× for b (y) at 100 users; " +
      "indistinguishable for b (y) at 1000 users",
  );
});

Deno.test("pathClaim() says when nothing is clear, failed or decided", () => {
  assert.equal(
    pathClaim("throughput", [
      comparison("a (x)", 1, "indistinguishable"),
      comparison("b (y)", 1, "indistinguishable"),
    ]),
    "Direct and pooled throughput are indistinguishable for a (x) and b (y)",
  );
  assert.equal(
    pathClaim("throughput", [comparison("a (x)", 1, "single", 7)]),
    "One run per cell cannot settle throughput",
  );
  assert.equal(
    pathClaim("throughput", [comparison("a (x)", 1, "none", null)]),
    "No throughput to compare: direct failed for a (x)",
  );
  assert.equal(
    pathClaim("throughput", [
      comparison("a (x)", 1, "none", null),
      comparison("a (x)", 2, "indistinguishable"),
    ]),
    "Direct and pooled throughput are indistinguishable for a (x); " +
      "direct failed for a (x) at 1 user",
  );
  assert.equal(pathClaim("throughput", []), "Throughput, without a comparison of paths");
});

Deno.test("pathClaim() calls nothing indistinguishable that is not decided yet", () => {
  const open = verdictOf({ verdict: "indistinguishable", open: true });
  assert.equal(open, "open");
  assert.equal(verdictOf({ verdict: "higher", open: false }), "higher");
  assert.equal(
    pathClaim("throughput", [
      comparison("a (x)", 1, "indistinguishable"),
      comparison("b (y)", 1, open),
    ]),
    "Direct and pooled throughput are indistinguishable for a (x); not decided yet for b (y)",
  );
});

Deno.test("pathClaim() calls nothing indistinguishable in which a large difference could hide", () => {
  const ratio = { value: 1, low: 0.9, high: 1.15 };
  const of = (values: Partial<PathRatio>) =>
    claimOf({ verdict: "indistinguishable", open: false, bound: null, ...values } as PathRatio);
  assert.equal(of({ ratio, detectable: 0.85 }), "indistinguishable");
  assert.equal(of({ ratio, detectable: 0.79 }), "noisy");
  assert.equal(of({ ratio: { ...ratio, high: 1.21 }, detectable: 0.85 }), "noisy");
  assert.equal(of({ ratio, detectable: null }), "noisy");
  assert.equal(of({ ratio, detectable: 0.79, open: true }), "open");
  assert.equal(
    pathClaim("throughput", [
      comparison("a (x)", 1, "indistinguishable"),
      comparison("b (y)", 1, "noisy"),
    ]),
    "Direct and pooled throughput are indistinguishable for a (x); too noisy to tell apart for b (y)",
  );
});

Deno.test("pathClaim() says by which factor a path was at least ahead", () => {
  const bound = { ahead: "other" as const, factor: 4, reasons: ["no steady state"] };
  const of = (values: Partial<PathRatio>) =>
    claimOf({ verdict: "single", open: false, ratio: null, ...values } as PathRatio);
  assert.equal(of({ bound }), "ahead");
  assert.equal(of({ bound: { ...bound, ahead: "base" }, verdict: "none" }), "behind");
  assert.equal(of({ bound, verdict: "higher" }), "higher");
  assert.equal(
    pathClaim("throughput", [
      comparison("a (x)", 100, "higher", 2),
      comparison("b (y)", 100, "ahead", 4),
      comparison("c (z)", 100, "behind", 3),
      comparison("d (z)", 100, "noisy", 1),
    ]),
    "Pooled throughput is 2.00× direct's for a (x) and at least 4× for b (y); " +
      "direct throughput is at least 3× pooled's for c (z); too noisy to tell apart for d (z)",
  );
});

Deno.test("rangeClaim() tells where runs lie, in no test's words", () => {
  const of = (
    name: string,
    users: number,
    verdict: Parameters<typeof rangeClaim>[1][number]["verdict"],
    ratio: number | null = 1,
  ) => ({ name, users, arrivalRate: null, verdict, ratio, missing: "direct failed" });
  assert.equal(
    rangeClaim("P95 service time", [
      of("a (x)", 100, "above", 2),
      of("a (x)", 1000, "above", 3),
      of("b (y)", 100, "below", 0.5),
      of("b (y)", 1000, "overlap", 0.9),
      of("c (z)", 1000, "none", null),
    ]),
    "In every run, pooled P95 service time is above direct's: 2.00× to 3.00× for a (x); " +
      "below it: 0.50× for b (y) at 100 users; ranges overlap for b (y) at 1000 users; " +
      "direct failed for c (z)",
  );
  assert.equal(
    rangeClaim("P95 service time", [of("a (x)", 1, "overlap"), of("b (y)", 1, "overlap")]),
    "Runs of direct and pooled overlap in P95 service time for a (x) and b (y)",
  );
  assert.equal(
    rangeClaim("P95 service time", [
      of("a (x)", 1, "overlap"),
      of("a (x)", 2, "few"),
      of("b (y)", 1, "few"),
    ]),
    "Runs of direct and pooled overlap in P95 service time for a (x) at 1 user; " +
      "fewer than 4 runs for a (x) at 2 users and b (y)",
  );
  assert.equal(
    rangeClaim("P95 service time", [of("a (x)", 1, "few")]),
    "Fewer than 4 runs per cell are too few to describe P95 service time for a (x)",
  );
  assert.equal(
    rangeClaim("P95 service time", [of("a (x)", 1, "single")]),
    "One run per cell cannot settle P95 service time",
  );
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
    latency: null,
    users: 1,
  } as unknown as PathRatio;
  const verdict = (direct: boolean, pooled: boolean, inTurns: Partial<PathRatio> = {}) =>
    latencyComparisons(
      [{ ...pair, ...inTurns }],
      [scenario("d", 10, direct), scenario("p", 50, pooled)],
      95,
    )[0]!.verdict;
  assert.equal(verdict(false, false), "above");
  assert.equal(verdict(false, true), "above");
  assert.equal(verdict(true, false), "overlap");
  const none = { latency: { 50: null, 95: null, 99: null } };
  assert.deepEqual([verdict(true, true, none), verdict(false, false, none)], ["bounded", "above"]);
  const turns = (low: number, high: number, n = 3, open = false) => ({
    latency: { 50: null, 95: { value: (low + high) / 2, low, high }, 99: null },
    n,
    open,
  });
  assert.equal(verdict(false, false, turns(1.1, 1.3)), "higher");
  assert.equal(verdict(true, false, turns(1.1, 1.3)), "indistinguishable");
  assert.equal(verdict(false, true, turns(0.7, 0.9)), "indistinguishable");
  // Before all starts are there it is not decided, and one start decides nothing.
  assert.equal(verdict(false, false, turns(1.1, 1.3, 2, true)), "open");
  assert.equal(verdict(false, false, turns(1.1, 1.3, 1, true)), "single");
  assert.equal(verdict(false, false, turns(1.1, 1.3, 1)), "single");
});

Deno.test("rangeClaim() of arms in turn goes by the interval of the ratio, and names no runs", () => {
  const pair = { name: "Shop (app_pool)", users: 10, arrivalRate: null, missing: "" };
  const claim = (verdict: "higher" | "lower" | "indistinguishable", ratio: number) =>
    rangeClaim("P95 service time", [{ ...pair, verdict, ratio }]);
  assert.equal(
    claim("higher", 1.22),
    "Pooled P95 service time is 1.22× direct's for Shop (app_pool)",
  );
  assert.equal(
    claim("lower", 0.8),
    "Pooled P95 service time is 0.80× direct's for Shop (app_pool)",
  );
  assert.equal(
    claim("indistinguishable", 1.01),
    "Direct and pooled P95 service time are indistinguishable for Shop (app_pool)",
  );
});
