// test lane: checkout
import { equal, throws } from "node:assert/strict";
import { adjustedRatio } from "./adjusted_ratio.ts";

/** Pairs whose logarithms of ratios, and of ratios of speeds, are these. */
function pairs(ratios: number[], speeds: number[]) {
  return ratios.map((ratio, i) => ({
    base: 100,
    other: 100 * Math.exp(ratio),
    baseSpeed: 3,
    otherSpeed: 3 * Math.exp(speeds[i]!),
  }));
}

Deno.test("adjustedRatio() gives the intercept and its interval as numpy's least squares does", () => {
  const { value, low, high } = adjustedRatio(
    pairs([-0.03, 0.05, -0.11, 0.02, 0.08, -0.06], [-0.01, 0.04, -0.09, 0.03, 0.05, -0.02]),
  );
  const near = (seen: number | null, known: number) => equal(Math.abs(seen! - known) < 1e-9, true);
  near(value, 0.991701292638876);
  near(low, 0.9690658704397801);
  near(high, 1.0148654325998498);
});

Deno.test("adjustedRatio() refuses pairs that tell nothing of speed", () => {
  throws(() => adjustedRatio(pairs([0.1, 0.2], [0.1, 0.2])), /take at least 3/);
  throws(() => adjustedRatio(pairs([0.1, 0.2, 0.3], [0.5, 0.5, 0.5])), /different speeds/);
});
