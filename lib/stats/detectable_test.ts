// test lane: checkout
import assert from "node:assert/strict";
import { comparisonPower, detectableRatio, POWER } from "./detectable.ts";

function close(actual: number, expected: number, tolerance = 1e-6): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

Deno.test("comparisonPower() agrees with scipy 1.17.1, nct, for 20% at a CV of 9%", () => {
  const deviation = 0.09 * Math.SQRT2;
  const table: [number, number][] = [
    [3, 0.3939627553303024],
    [5, 0.8296150335748034],
    [6, 0.9243185607506249],
    [10, 0.9982975225119785],
  ];
  for (const [rounds, power] of table) {
    close(comparisonPower(rounds, deviation, 0.8, 0.05), power, 1e-8);
    close(comparisonPower(rounds, deviation, 1.25, 0.05), power, 1e-8);
  }
});

Deno.test("comparisonPower() is the level without a difference, and 1 with a large one", () => {
  close(comparisonPower(6, 0.1, 1, 0.05), 0.05, 1e-9);
  close(comparisonPower(6, 0.001, 0.5, 0.05), 1);
});

Deno.test("detectableRatio() is the ratio that is found in 90% of studies", () => {
  for (const [rounds, level] of [[6, 0.05], [12, 0.05 / 13], [3, 0.01]] as const) {
    const ratio = detectableRatio(rounds, 0.12, level)!;
    close(comparisonPower(rounds, 0.12, ratio, level), POWER, 1e-7);
    assert.ok(ratio < 1);
  }
});

Deno.test("detectableRatio() is null where nothing would be found", () => {
  assert.equal(detectableRatio(2, 0.1, 0.001), null);
});
