import { ok, throws } from "node:assert/strict";
import { adjustedRatio } from "./adjusted_ratio.ts";

/** Pairs with these logarithms of their ratios. */
const pairs = (logs: number[]) => logs.map((log) => ({ base: 2, other: 2 * Math.exp(log) }));
const near = (a: number | null, b: number) => ok(Math.abs(a! - b) < 1e-6, `${a} and ${b}`);

Deno.test("adjustedRatio() is the intercept of a linear regression, with its interval", () => {
  // By hand: slope 1.03, sum of squared residuals 0.044, standard error 0.0663325, t(0.975; 3) = 3.1824463.
  const [x, y] = [[-1, 0, 1, 2, 3], [-1.1, 0.1, 1.05, 1.9, 3.15]];
  const { value, low, high } = adjustedRatio(pairs(y), pairs(x));
  near(Math.log(value), -0.01);
  near(Math.log(low!), -0.2210996);
  near(Math.log(high!), 0.2010996);
});

Deno.test("adjustedRatio() needs three pairs", () => {
  throws(() => adjustedRatio(pairs([0, 1]), pairs([0, 1])), /it takes 3/);
});
