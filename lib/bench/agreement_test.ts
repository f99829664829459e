// test lane: checkout
import assert from "node:assert/strict";
import { reachedMargin } from "./agreement.ts";

const result = (value: number, deviation: number | null, n: number) => ({
  ratio: { value, low: null, high: null },
  deviation,
  n,
  df: deviation === null ? null : n - 1,
});

Deno.test("reachedMargin() is that of two one-sided tests", () => {
  // Welch: 0.02² + 0.03² = 0.0013, with 13.9 degrees of freedom; t(0.95, 13) = 1.77093.
  const margin = reachedMargin(result(1, 0.06, 9), result(1.02, 0.09, 9));
  const expected = 1.02 * Math.exp(1.77093 * Math.sqrt(0.0013)) - 1;
  assert.ok(Math.abs(margin - expected) < 1e-5, `${margin} instead of ${expected}`);
  const other = reachedMargin(result(1.02, 0.09, 9), result(1, 0.06, 9));
  assert.ok(Math.abs(other - margin) < 1e-12, `${other} instead of ${margin}`);
});

Deno.test("reachedMargin() shows nothing without an interval", () => {
  assert.equal(reachedMargin(result(1, null, 1), result(1, 0.1, 5)), Infinity);
});
