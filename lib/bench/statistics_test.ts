// test lane: checkout
import assert from "node:assert/strict";
import { createScenario, scenarioId } from "../scenario.ts";
import { binomialTail } from "../stats/probability.ts";
import { stoppingRule } from "../stats/family.ts";
import { unmeasuredRun } from "../stats/summarise.ts";
import type { RunSummary } from "../stats/summary.ts";
import { pairedBootstrap, pairedNormal, pairedT, unpairedWelch } from "./interval_methods.ts";
import { noiseOf, readNoise, withOutliers } from "./noise.ts";
import { seededDraws } from "./random.ts";
import { assignNames, countFalseAlarms, pairsCsv, pairsPlan } from "./real_pairs.ts";
import { simulateStudies } from "./synthetic_studies.ts";

function close(actual: number, expected: number, tolerance = 1e-9): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

Deno.test("seededDraws() are uniform, and the same for the same seed", () => {
  const draws = (seed: number) => {
    const { uniform } = seededDraws(seed);
    return Array.from({ length: 50_000 }, () => uniform());
  };
  const values = draws(1);
  assert.deepEqual(values, draws(1));
  assert.notDeepEqual(values.slice(0, 3), draws(2).slice(0, 3));
  const tenths = Array(10).fill(0);
  for (const value of values) tenths[Math.floor(10 * value)]++;
  // Chi-square with 9 degrees of freedom exceeds 27.9 once in a thousand (NIST e-Handbook
  // §1.3.6.7.4).
  const chi = tenths.reduce((sum, count) => sum + (count - 5000) ** 2 / 5000, 0);
  assert.ok(chi < 27.877, `chi-square ${chi}`);
});

Deno.test("the methods of an interval agree with scipy", () => {
  const rounds = { base: [0.1, 0.3, -0.2, 0.05], other: [0.4, 0.35, 0.1, 0.2] };
  // scipy 1.17.1: ttest_rel(other, base).confidence_interval() and ttest_ind(equal_var=False).
  const random = seededDraws(1);
  const check = (interval: { low: number; high: number }, low: number, high: number) => {
    close(interval.low, low, 2e-4);
    close(interval.high, high, 2e-4);
  };
  check(pairedT(rounds, random), 0.005116, 0.394884);
  check(unpairedWelch(rounds, random), -0.113767, 0.513767);
  check(pairedNormal(rounds, random), 0.079977, 0.320023);
  const { low, high } = pairedBootstrap(rounds, random);
  assert.ok(low >= 0.05 && high < 0.3001 && low < 0.15 && high > 0.25, `${low} to ${high}`);
});

Deno.test("noiseOf() takes deviations from each scenario's mean, with its degree of freedom", () => {
  const runs = [["a", 100], ["a", 121], ["b", 50], ["b", 50], ["c", 7]].map(([id, rps], i) => ({
    scenario_id: id as string,
    round: i,
    status: "ok" as const,
    rps: rps as number,
  }));
  const failed = { scenario_id: "a", round: 9, status: "failed" as const, rps: 1 };
  const { deviations, cv, runs: n } = noiseOf([...runs, failed], 0);
  const half = Math.log(1.21) / 2 * Math.SQRT2;
  assert.equal(n, 4);
  [-half, half, 0, 0].forEach((value, i) => close(deviations[i]!, value));
  close(cv, half / Math.SQRT2);
  const scaled = noiseOf(runs, 0.5);
  close(scaled.cv, 0.5);
  close(scaled.deviations[1]! / deviations[1]!, 0.5 / cv);
});

Deno.test("the recorded noise is that of real runs, and not below 9%", async () => {
  const { runs, cv } = await readNoise();
  assert.ok(runs >= 40 && cv >= 0.09, `${runs} runs, CV ${cv}`);
});

Deno.test("simulateStudies() finds what is there and nothing else when there is no noise", () => {
  const common = {
    studies: 20,
    comparisons: 4,
    rule: stoppingRule(6, 18),
    random: seededDraws(1),
    noise: { deviations: [-0.001, 0, 0.001], cv: 0.001, runs: 3 },
  };
  const slower = simulateStudies({ ...common, ratio: 0.8 });
  assert.deepEqual([slower.found, slower.rounds, slower.plannedRounds], [20, 480, 120]);
  const equal = simulateStudies({ ...common, ratio: 1 });
  assert.deepEqual([equal.found, equal.rounds], [0, 20 * 4 * 6]);
});

Deno.test("simulateStudies() sees that a rule without correction raises false alarms", async () => {
  const noise = await readNoise();
  const studies = 300;
  const rule = { ...stoppingRule(6), alpha: 0.05 * 13 };
  const common = { studies, comparisons: 13, ratio: 1, noise };
  const wrong = simulateStudies({ ...common, rule, random: seededDraws(1) });
  const right = simulateStudies({ ...common, rule: stoppingRule(6), random: seededDraws(1) });
  // 1 − 0.95^13 = 49% of studies; 300 of them are right to 9 points.
  assert.ok(wrong.falseAlarms > 0.4 * studies, `${wrong.falseAlarms} of ${studies}`);
  assert.ok(right.falseAlarms < 0.1 * studies, `${right.falseAlarms} of ${studies}`);
  assert.equal(right.covered, studies - right.falseAlarms);
});

Deno.test("simulateStudies() holds its bars on recorded noise, by exact tests", async () => {
  const noise = await readNoise();
  const common = { studies: 1000, comparisons: 13, rule: stoppingRule(6, 18), noise };
  const equal = simulateStudies({ ...common, ratio: 1, random: seededDraws(4) });
  const slower = simulateStudies({ ...common, ratio: 0.8, random: seededDraws(5) });
  for (const { falseAlarms, covered, studies } of [equal, slower]) {
    assert.ok(binomialTail(falseAlarms, studies, 0.05) > 0.001, `${falseAlarms} false alarms`);
    assert.ok(binomialTail(studies - covered, studies, 0.05) > 0.001, `${covered} covered`);
    // Nor are the intervals wider than they need be: at least 4% miss.
    assert.ok(binomialTail(covered, studies, 0.96) > 0.001, `${covered} covered`);
  }
  assert.ok(
    binomialTail(slower.studies - slower.found, 1000, 0.1) > 0.001,
    `${slower.found} found`,
  );
  assert.ok(equal.rounds / 13_000 <= 18);
});

Deno.test("withOutliers() keeps the mean and adds a tail", async () => {
  const noise = await readNoise();
  const { deviations, cv } = withOutliers(noise);
  close(deviations.reduce((sum, value) => sum + value, 0), 0, 1e-9);
  assert.equal(deviations.length, 20 * noise.deviations.length);
  // Variance of the outliers: p (1 − p) (ln 0.6)², beside the noise's own.
  close(cv ** 2, noise.cv ** 2 + 0.05 * 0.95 * Math.log(0.6) ** 2, 1e-3);
});

const scenario = createScenario({ framework: "flask", path: "direct", users: 10 });

function runsOf(rps: number[]): RunSummary[] {
  return rps.map((value, i) => {
    const head = { scenarioId: scenarioId(scenario), scenario, arm: "flask direct", round: i + 1 };
    const status = value > 0 ? "ok" as const : "failed" as const;
    return { ...unmeasuredRun({ ...head, status, cause: null }), rps: value };
  });
}

Deno.test("assignNames() names one of each two rounds a, the other b, six to a pair", () => {
  const rps = Array.from({ length: 24 }, (_, i) => 100 + i);
  const rows = assignNames(runsOf(rps), 1);
  assert.equal(rows.length, 24);
  assert.deepEqual([...new Set(rows.map((row) => row.pair))], [1, 2]);
  for (let i = 0; i < rows.length; i += 2) {
    assert.deepEqual([rows[i]!.name, rows[i + 1]!.name], ["a", "b"]);
    assert.equal(Math.abs(rows[i]!.rps - rows[i + 1]!.rps), 1);
  }
  const firstIsA = rows.filter((row, i) => i % 2 === 0 && row.rps % 2 === 0).length;
  assert.ok(firstIsA > 0 && firstIsA < 12, "the lot always falls the same way");
  // A failed run takes its round with it.
  assert.equal(assignNames(runsOf([0, ...rps.slice(1)]), 1).length, 22);
  assert.match(pairsCsv(rows), /^pair,scenario_id,round,name,rps\n1,flask-direct-10u-\w+,1,a,10/);
});

Deno.test("countFalseAlarms() decides each pair on its own", () => {
  const equal = assignNames(runsOf([100, 103, 98, 101, 99, 104, 97, 100, 102, 98, 101, 99]), 1);
  const different = equal.map((row) => ({ ...row, pair: 2, rps: row.name === "a" ? 100 : 150 }))
    .map((row, i) => ({ ...row, rps: row.rps + i / 10 }));
  assert.deepEqual(countFalseAlarms([...equal, ...different]), { pairs: 2, falseAlarms: 1 });
});

Deno.test("pairsPlan() is long enough for 20 pairs of six rounds", () => {
  const { scenarios, rounds } = pairsPlan(1);
  assert.ok(scenarios.length * Math.floor(rounds / 12) >= 20);
});
