// test lane: checkout
import assert from "node:assert/strict";
import {
  coefficientOfVariation,
  compareRanges,
  meanInterval,
  medianRange,
  pairedRatio,
} from "./interval.ts";
import { median, nearestRank, percentile } from "./percentile.ts";

const close = (actual: number, expected: number, tolerance = 1e-6) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);

Deno.test("percentile() is the nearest rank", () => {
  // The textbook example of the nearest-rank method.
  const values = [15, 20, 35, 40, 50];
  assert.deepEqual([5, 30, 40, 50, 100].map((p) => percentile(values, p)), [15, 20, 20, 35, 50]);
  assert.equal(percentile([3, 1, 2], 50), 2);
  assert.equal(percentile([], 50), null);
});

Deno.test("nearestRank() is exact where percent times n is a whole number", () => {
  assert.equal(nearestRank(100, 7), 6);
  assert.equal(nearestRank(1000, 99.9), 998);
  assert.equal(nearestRank(20, 95), 18);
  assert.equal(nearestRank(21, 95), 19);
  assert.equal(nearestRank(1, 1), 0);
  for (let n = 1; n <= 2000; n++) {
    const rank = nearestRank(n, 99) + 1;
    assert.ok(rank * 100 >= 99 * n && (rank - 1) * 100 < 99 * n, `n = ${n}`);
  }
  assert.throws(() => nearestRank(0, 50), /percentile 50 of 0/);
});

Deno.test("median() is the middle, or the mean of the two middles", () => {
  assert.equal(median([4, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([]), null);
});

Deno.test("meanInterval() is mean ± t·s/√n", () => {
  const { value, low, high } = meanInterval([480, 632, 520, 560, 548])!;
  assert.equal(value, 548);
  // s² = (68² + 84² + 28² + 12² + 0²) / 4 = 3152, t(0.975, 4) = 2.7764451
  close(high! - value, 2.7764451 * Math.sqrt(3152 / 5), 1e-4);
  close(value - low!, high! - value, 1e-9);
});

Deno.test("meanInterval() has no interval for one value and nothing for none", () => {
  assert.deepEqual(meanInterval([7]), { value: 7, low: null, high: null });
  assert.equal(meanInterval([]), null);
});

Deno.test("coefficientOfVariation() is the deviation over the mean", () => {
  close(coefficientOfVariation([9, 10, 11])!, 0.1, 1e-12);
  assert.equal(coefficientOfVariation([9]), null);
  assert.equal(coefficientOfVariation([0, 0]), null);
});

Deno.test("medianRange() is the median with smallest and largest", () => {
  assert.deepEqual(medianRange([30, 10, 20]), { value: 20, low: 10, high: 30 });
  assert.deepEqual(medianRange([30]), { value: 30, low: null, high: null });
  assert.equal(medianRange([]), null);
});

Deno.test("pairedRatio() is the geometric mean with a t interval of the logarithms", () => {
  // Ratios 2 and 8: geometric mean 4, log deviation ln 4 / √2, t(0.975, 1) = 12.7062047.
  const { value, low, high } = pairedRatio([{ base: 10, other: 20 }, { base: 5, other: 40 }])!;
  close(value, 4, 1e-12);
  close(low! / 4 ** (1 - 12.7062047 / 2), 1, 1e-6);
  close(high! / 4 ** (1 + 12.7062047 / 2), 1, 1e-6);
});

Deno.test("pairedRatio() uses the pairing: common drift does not widen the interval", () => {
  const drifting = [100, 200, 400].map((base) => ({ base, other: 1.5 * base }));
  const { value, low, high } = pairedRatio(drifting)!;
  close(value, 1.5, 1e-12);
  close(high! - low!, 0, 1e-9);
});

Deno.test("pairedRatio() without rounds, with one, and with a zero", () => {
  assert.equal(pairedRatio([]), null);
  assert.deepEqual(pairedRatio([{ base: 2, other: 4 }]), { value: 2, low: null, high: null });
  assert.throws(() => pairedRatio([{ base: 0, other: 4 }]), /ratio 4\/0/);
});

Deno.test("compareRanges() needs four runs each and ranges apart", () => {
  const low = { value: 10, low: 9, high: 11 };
  const high = { value: 20, low: 19, high: 21 };
  const one = { value: 20, low: null, high: null };
  const of = (estimate: typeof low | typeof one | null, n: number) => ({ estimate, n });
  assert.equal(compareRanges(of(low, 4), of(high, 4)), "above");
  assert.equal(compareRanges(of(high, 4), of(low, 4)), "below");
  assert.equal(compareRanges(of(low, 3), of(high, 4)), "few");
  assert.equal(compareRanges(of(low, 4), of({ ...high, low: 10.5 }, 4)), "overlap");
  assert.equal(compareRanges(of(low, 4), of(one, 1)), "single");
  assert.equal(compareRanges(of(null, 0), of(high, 4)), "none");
});
