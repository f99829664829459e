// test lane: checkout
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRequests } from "../frames/run_files.ts";
import { normal, requestsCsv, seededRandom } from "../testing/synthetic_study.ts";
import { checkLittlesLaw, checkSteadyState, findTrend, STEADY_PARTS } from "./steady_state.ts";
import { cutWindow, meanServiceS, windowSeries } from "./window.ts";

function close(actual: number, expected: number, tolerance = 1e-9): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

/** An autoregressive series about 100 whose noise has the given deviation. */
function noisy(random: () => number, correlation: number, deviation: number): number[] {
  let state = normal(random);
  return Array.from({ length: STEADY_PARTS }, () => {
    state = correlation * state + Math.sqrt(1 - correlation ** 2) * normal(random);
    return 100 + deviation * state;
  });
}

Deno.test("findTrend() agrees with scipy where neighbours are not correlated", () => {
  // scipy 1.17.1: linregress(range(10), y), slope × 10 / mean and p. Its residuals are correlated
  // negatively, which is taken as not at all.
  const y = [10.2, 9.6, 11.9, 10.1, 12.3, 11.4, 13.5, 12.1, 14.2, 13.4];
  const { change, p } = findTrend(y);
  close(change, 0.3640448290827398, 1e-9);
  close(p!, 0.002492676509956823, 1e-9);
});

Deno.test("findTrend() seldom sees one in correlated noise, where a plain t test often does", () => {
  const random = seededRandom(11);
  for (const [correlation, most] of [[0, 0.002], [0.5, 0.012], [0.8, 0.025]] as const) {
    let seen = 0;
    for (let i = 0; i < 2000; i++) {
      if ((findTrend(noisy(random, correlation, 10)).p ?? 1) < 0.001) seen++;
    }
    assert.ok(seen / 2000 <= most, `${seen} of 2000 at a correlation of ${correlation}`);
  }
});

Deno.test("checkSteadyState() accepts noise and finds drift", () => {
  const random = seededRandom(5);
  const rising = (values: number[], share: number) =>
    values.map((value, i) => value * (1 + share * (i / (STEADY_PARTS - 1) - 0.5)));
  let rejected = 0;
  let found = 0;
  for (let i = 0; i < 1000; i++) {
    const [completed, serviceMs] = [noisy(random, 0.3, 10), noisy(random, 0.3, 10)];
    if (checkSteadyState({ completed, serviceMs }).state === "drifting") rejected++;
    const growing = rising(serviceMs, 0.7);
    if (checkSteadyState({ completed, serviceMs: growing }).state === "drifting") found++;
  }
  assert.ok(rejected <= 15, `${rejected} of 1000 steady windows rejected`);
  assert.ok(found >= 900, `${found} of 1000 drifts found`);
});

Deno.test("checkSteadyState() does not reject a small change, however certain", () => {
  const values = Array.from({ length: STEADY_PARTS }, (_, i) => 100 + 0.2 * i + 0.1 * (i % 2));
  const { state, throughput } = checkSteadyState({ completed: values, serviceMs: values });
  assert.ok(throughput.p! < 1e-6 && throughput.change < 0.1);
  assert.equal(state, "steady");
});

Deno.test("checkSteadyState() says when a window is too short to tell", () => {
  // One slow wave: half a period of it would pass for a trend.
  const wave = Array.from({ length: STEADY_PARTS }, (_, i) => 100 + 30 * Math.sin(i / 6));
  const calm = Array(STEADY_PARTS).fill(100);
  assert.equal(checkSteadyState({ completed: calm, serviceMs: wave }).state, "too_short");
});

Deno.test("findTrend() of constant, empty, short and straight series", () => {
  assert.deepEqual(findTrend(Array(30).fill(7)), { change: 0, robustChange: 0, p: 1 });
  assert.deepEqual(findTrend([]), { change: 0, robustChange: 0, p: null });
  assert.equal(findTrend([1, 2, 3]).p, null);
  const straight = findTrend(Array.from({ length: 30 }, (_, i) => 10 + i));
  assert.equal(straight.p, 0);
  close(straight.change, 30 / 24.5);
  close(straight.robustChange, 30 / 24.5);
  // Parts in which nothing was answered have no service time.
  assert.ok(Number.isFinite(findTrend([NaN, 5, 6, 5, 7, 6, NaN, 5, 6]).p));
});

Deno.test("windowSeries() counts and averages the parts of a window", async () => {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  try {
    const startUs = 1_700_000_000_000_000;
    const at = (endsAfterUs: number, serviceUs: number) => ({
      startUs: startUs + endsAfterUs - serviceUs,
      serviceUs,
    });
    writeFileSync(
      join(folder, "requests.csv"),
      requestsCsv([
        at(-1, 50),
        at(0, 1000),
        at(99, 3000),
        at(100, 5000),
        at(299, 7000),
        at(300, 9),
      ]),
    );
    const window = { startUs, endUs: startUs + 300 };
    const cut = cutWindow(await readRequests(folder), window);
    const series = windowSeries(cut, 3);
    assert.deepEqual(series.completed, [2, 1, 1]);
    assert.deepEqual(series.serviceMs, [2, 5, 7]);
    close(meanServiceS(series), 0.004);
    assert.deepEqual(windowSeries(cut, 6).serviceMs.map(Number.isNaN), [
      false,
      false,
      false,
      true,
      true,
      false,
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

Deno.test("checkLittlesLaw() compares users with throughput × (service + think time)", () => {
  const exact = checkLittlesLaw(100, 200, 0.4, 0.1);
  close(exact.users, 100);
  assert.equal(exact.holds, true);
  // A fifth of the users hang: what is answered says nothing of them.
  assert.equal(checkLittlesLaw(100, 200, 0.4, 0).holds, false);
  assert.equal(checkLittlesLaw(100, 0, NaN, 0).holds, false);
  close(checkLittlesLaw(100, 218, 0.5, 0).ratio, 1.09);
  assert.equal(checkLittlesLaw(100, 218, 0.5, 0).holds, true);
  assert.equal(checkLittlesLaw(100, 224, 0.5, 0).holds, false);
});

Deno.test("findTrend()'s robust change is not moved by a stall, and is by a step", () => {
  const level = Array.from({ length: 30 }, (_, i) => 5 + (i % 3) / 10);
  const stalled = findTrend(level.with(1, 60).with(2, 40));
  assert.ok(Math.abs(stalled.change) > 0.5 && Math.abs(stalled.robustChange) < 0.05);
  assert.ok(findTrend(level.map((value, i) => i < 15 ? value : 2 * value)).robustChange > 0.5);
});
