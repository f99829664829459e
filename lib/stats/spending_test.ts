// test lane: checkout
import assert from "node:assert/strict";
import { normal, seededRandom } from "../testing/synthetic_study.ts";
import { normalTail } from "./probability.ts";
import { nominalLevels, sequentialBoundaries } from "./spending.ts";

function close(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

/** The point that a standard normal variable exceeds with probability `p`, by bisection. */
function normalTailQuantile(p: number): number {
  let [low, high] = [-38, 38];
  while (high - low > 1e-13) {
    const middle = (low + high) / 2;
    if (normalTail(middle) > p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Errors newly spent at each look by a spending function. */
function increments(looks: number[], spent: (t: number) => number): number[] {
  return looks.map((t, i) => spent(t) - (i === 0 ? 0 : spent(looks[i - 1]!)));
}

const evenly = (looks: number) => Array.from({ length: looks }, (_, i) => (i + 1) / looks);

Deno.test("sequentialBoundaries() meets the published values of Lan and DeMets' functions", () => {
  // Two-sided 5%, equal steps: the tables of Lan & DeMets' program (Reboussin, DeMets, Kim & Lan,
  // Controlled Clinical Trials 21(3), 2000), which are right to about 1e-4.
  const obrienFleming = (t: number) => 4 * normalTail(normalTailQuantile(0.0125) / Math.sqrt(t));
  const pocock = (t: number) => 0.05 * Math.log(1 + (Math.E - 1) * t);
  const table: [(t: number) => number, number[]][] = [
    [obrienFleming, [3.7103, 2.5114, 1.9930]],
    [obrienFleming, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]],
    [pocock, [2.2794, 2.2949, 2.2959]],
  ];
  for (const [spent, expected] of table) {
    const looks = evenly(expected.length);
    sequentialBoundaries(looks, increments(looks, spent))
      .forEach((z, i) => close(z, expected[i]!, 1.5e-4));
  }
});

Deno.test("nominalLevels() of one look is the level itself", () => {
  assert.deepEqual(nominalLevels([5], 0.0123), [0.0123]);
  assert.deepEqual(nominalLevels([5], 0.0123, 3), [0.0123]);
});

/** How often a normal statistic without any difference first crosses at each look, simulated. */
function crossings(looks: number[], levels: number[], studies: number): number[] {
  const random = seededRandom(7);
  const critical = levels.map((level) => normalTailQuantile(level / 2));
  const counts = looks.map(() => 0);
  for (let study = 0; study < studies; study++) {
    let sum = 0;
    let n = 0;
    const first = looks.findIndex((rounds, k) => {
      while (n < rounds) {
        sum += normal(random);
        n++;
      }
      return Math.abs(sum) / Math.sqrt(n) > critical[k]!;
    });
    if (first >= 0) counts[first]!++;
  }
  return counts.map((count) => count / studies);
}

const STUDIES = 40_000;
/** Three standard errors of a share in so many studies. */
const margin = (share: number) => 3 * Math.sqrt(share * (1 - share) / STUDIES);

Deno.test("nominalLevels() spends the whole level, in proportion to the rounds", () => {
  const looks = [6, 11, 15];
  const levels = nominalLevels(looks, 0.05);
  close(levels[0]!, 0.05 * 6 / 15, 1e-9);
  const crossed = crossings(looks, levels, STUDIES).reduce((sum, share) => sum + share, 0);
  close(crossed, 0.05, margin(0.05));
});

Deno.test("nominalLevels() by the cube of the data leave most of the level to the last look", () => {
  const levels = nominalLevels([1, 2, 3], 0.05, 3);
  close(levels[0]!, 0.05 / 27, 1e-9);
  // Integrated by hand, beyond the error newly spent: what has crossed before and would cross again.
  close(levels[1]!, 0.05 * 7 / 27 + 0.0009, 3e-4);
  close(levels[2]!, 0.05 * 19 / 27 + 0.0095, 1e-3);
  const spent = increments([1, 2, 3], (n) => 0.05 * (n / 3) ** 3);
  crossings([1, 2, 3], levels, STUDIES)
    .forEach((share, k) => close(share, spent[k]!, margin(spent[k]!)));
});

Deno.test("nominalLevels() grow with the level, as Holm's rule over looks needs", () => {
  const cases: [looks: number[], exponent: number][] = [
    [[6, 7], 1],
    [[6, 9, 12], 1],
    [[6, 12, 18], 1],
    [[1, 2, 3], 3],
  ];
  for (const [looks, exponent] of cases) {
    for (let h = 13; h > 1; h--) {
      const [narrow, wide] = [h, h - 1].map((all) => nominalLevels(looks, 0.05 / all, exponent));
      narrow!.forEach((level, k) => assert.ok(level < wide![k]!, `look ${k} of ${looks}, ${h}`));
    }
  }
});

Deno.test("nominalLevels() throws when looks do not ascend", () => {
  assert.throws(() => nominalLevels([6, 6], 0.05), /looks at 6, 6 rounds/);
  assert.throws(() => nominalLevels([], 0.05), /Cannot spend/);
  assert.throws(() => nominalLevels([6], 0), /Cannot spend 0/);
});
