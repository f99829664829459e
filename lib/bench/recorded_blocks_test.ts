// test lane: checkout
import assert from "node:assert/strict";
import { normal, seededRandom } from "../testing/synthetic_study.ts";
import { seededDraws } from "./random.ts";
import {
  chiSquareTail,
  drawStudies,
  type RecordedStarts,
  squaredDeviations,
  startsOf,
} from "./recorded_blocks.ts";

Deno.test("chiSquareTail() has the quantiles of tables", () => {
  // NIST e-Handbook §1.3.6.7.4: upper 5% and 1% points.
  for (
    const [degrees, five, one] of [[10, 18.307, 23.209], [18, 28.869, 34.805], [60, 79.082, 88.379]]
  ) {
    assert.ok(Math.abs(chiSquareTail(five!, degrees!) - 0.05) < 1e-3, `${degrees}`);
    assert.ok(Math.abs(chiSquareTail(one!, degrees!) - 0.01) < 1e-3, `${degrees}`);
  }
});

Deno.test("startsOf() has the blocks of each start of each arm", () => {
  const row = (arm: string, seed: number, round: number, block: number, base: number) => ({
    arm,
    seed,
    round,
    block,
    place: 1,
    base,
    other: 1,
  });
  const starts = startsOf([
    row("a", 1, 1, 1, 10),
    row("b", 1, 1, 1, 20),
    row("a", 1, 1, 2, 11),
    row("a", 1, 2, 1, 12),
    row("a", 2, 1, 1, 13),
  ]);
  assert.deepEqual(
    starts.map((arm) => arm.map((blocks) => blocks.map(({ base }) => base))),
    [[[10, 11], [12], [13]], [[20]]],
  );
});

/** Recorded starts of six arms, whose intervals are right, or too narrow by what starts differ. */
function made(between: number, seed: number): RecordedStarts {
  const random = seededRandom(seed);
  return Array.from({ length: 6 }, () =>
    Array.from({ length: 30 }, () => {
      const start = Math.exp(between * normal(random));
      return Array.from({ length: 20 }, () => ({
        base: 100 * Math.exp(0.1 * normal(random)),
        other: 100 * start * Math.exp(0.1 * normal(random)),
      }));
    }));
}

Deno.test("drawStudies() counts what is called different, and what intervals contain", () => {
  const { falseAlarms, covered, oneCovers, power } = drawStudies(made(0, 1), 300, seededDraws(1));
  assert.ok(falseAlarms <= 0.05 + 3 * Math.sqrt(0.05 * 0.95 / 300), `${falseAlarms}`);
  assert.ok(covered >= 0.95 - 3 * Math.sqrt(0.05 * 0.95 / 300), `${covered}`);
  assert.ok(oneCovers > 0.93 && oneCovers < 0.99, `${oneCovers}`);
  assert.ok(power > 0.2 && power <= 1, `${power}`);
});

Deno.test("squaredDeviations() sum to a χ² where the intervals are right", () => {
  const squares = squaredDeviations(made(0, 2));
  assert.equal(squares.length, 60);
  const sum = squares.reduce((total, square) => total + square, 0);
  assert.ok(chiSquareTail(sum, squares.length) > 0.001, `${sum}`);
});
