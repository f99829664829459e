// test lane: checkout
import assert from "node:assert/strict";
import { normal, seededRandom } from "../testing/synthetic_study.ts";
import { chooseLooks, type Comparison, decideFamily, stoppingRule } from "./family.ts";
import { pairedRatio } from "./interval.ts";
import { nominalLevels } from "./spending.ts";
import { studentTQuantile } from "./probability.ts";

function close(actual: number, expected: number, tolerance = 1e-9): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

/** A comparison with given ratios by round; its arms' own ids come from its. */
function comparison(id: string, ratios: number[], rounds = ratios.length): Comparison {
  const pairs = ratios.map((other, i) => ({ round: i + 1, base: 100, other: 100 * other }));
  return { id, scenarios: [`${id}-direct`, `${id}-pooled`], rounds, pairs };
}

/** Ratios whose logarithms have exactly this mean and standard deviation. */
function exactly(mean: number, deviation: number, n: number): number[] {
  const raw = Array.from({ length: n }, (_, i) => i - (n - 1) / 2);
  const scale = deviation / Math.sqrt(raw.reduce((sum, x) => sum + x * x, 0) / (n - 1));
  return raw.map((x) => Math.exp(mean + scale * x));
}

/** Ratios of five rounds whose t test has exactly this two-sided p value. */
function withP(p: number): number[] {
  const deviation = 0.1;
  const mean = studentTQuantile(1 - p / 2, 4) * deviation / Math.sqrt(5);
  return exactly(mean, deviation, 5);
}

const verdicts = (family: Comparison[], rule = stoppingRule(5)) =>
  decideFamily(family, rule).comparisons.map(({ verdict }) => verdict);

Deno.test("decideFamily() of one comparison is the paired t test with its interval", () => {
  const one = comparison("a", [1.3, 1.1, 1.25, 1.2, 1.22]);
  const [result] = decideFamily([one], stoppingRule(5)).comparisons;
  const alone = pairedRatio(one.pairs)!;
  close(result!.ratio!.value, alone.value);
  close(result!.ratio!.low!, alone.low!);
  close(result!.ratio!.high!, alone.high!);
  assert.deepEqual([result!.verdict, result!.level, result!.n], ["higher", 0.05, 5]);
});

Deno.test("decideFamily() decides as Holm's rule does", () => {
  // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03, 0.06, 0.06, 0.02.
  const family = [0.01, 0.04, 0.03, 0.005].map((p, i) => comparison(String(i), withP(p)));
  assert.deepEqual(verdicts(family), [
    "higher",
    "indistinguishable",
    "indistinguishable",
    "higher",
  ]);
  // Stepping down stops at the first that is too large, though 0.04 alone would pass.
  assert.deepEqual(verdicts([0.02, 0.04, 0.03].map((p, i) => comparison(`${i}`, withP(p)))), [
    "indistinguishable",
    "indistinguishable",
    "indistinguishable",
  ]);
  assert.deepEqual(verdicts([comparison("a", withP(0.0499))]), ["higher"]);
});

Deno.test("decideFamily() gives intervals that exclude 1 exactly where it sees a difference", () => {
  const random = seededRandom(3);
  let cut = 0;
  for (let study = 0; study < 300; study++) {
    const family = Array.from({ length: 6 }, (_, i) => {
      const shift = i < 4 ? (i % 2 === 0 ? 0.3 : -0.3) : 0;
      return comparison(
        `${i}`,
        Array.from({ length: 5 }, () => Math.exp(shift + 0.12 * normal(random))),
      );
    });
    for (const { ratio, verdict, level } of decideFamily(family, stoppingRule(5)).comparisons) {
      const { low, high } = ratio!;
      assert.equal(level, 0.05 / 6);
      assert.equal(verdict, low! >= 1 ? "higher" : high! <= 1 ? "lower" : "indistinguishable");
      if (low === 1 || high === 1) cut++;
    }
  }
  assert.ok(cut > 0, "Holm's rule never decided before the interval did");
});

Deno.test("decideFamily() uses Bonferroni's level for the intervals", () => {
  const family = [comparison("a", withP(0.9)), comparison("b", withP(0.8))];
  const [result] = decideFamily(family, stoppingRule(5)).comparisons;
  const alone = pairedRatio(family[0]!.pairs, 1 - 0.05 / 2)!;
  close(result!.ratio!.low!, alone.low!);
  close(result!.ratio!.high!, alone.high!);
});

Deno.test("decideFamily() without rounds, with one, and with failed ones", () => {
  const { comparisons, next } = decideFamily(
    [
      comparison("none", [], 5),
      comparison("one", [1.5], 5),
      comparison("three", exactly(0.5, 0.05, 3), 5),
    ],
    stoppingRule(5, 15),
  );
  assert.deepEqual(comparisons.map(({ verdict }) => verdict), ["none", "single", "higher"]);
  assert.deepEqual(comparisons[0]!.ratio, null);
  assert.deepEqual(comparisons[1]!.ratio, { value: 1.5, low: null, high: null });
  assert.deepEqual(comparisons.map(({ open }) => open), [false, false, false]);
  assert.equal(next, null);
  assert.throws(() => decideFamily([comparison("zero", [0])], stoppingRule(1)), /ratio 0\/100/);
});

Deno.test("decideFamily() of one round decides nothing", () => {
  const { comparisons, looks, next } = decideFamily([comparison("a", [3])], stoppingRule(1));
  assert.equal(comparisons[0]!.verdict, "single");
  assert.deepEqual([looks, next], [[1], null]);
});

Deno.test("decideFamily() first asks for the rounds of the plan, and tests nothing before", () => {
  const clear = comparison("a", exactly(1, 0.01, 3));
  const { comparisons, next, deviation } = decideFamily([clear], stoppingRule(6, 18));
  assert.deepEqual(next, { rounds: 6, scenarios: ["a-direct", "a-pooled"] });
  assert.deepEqual([comparisons[0]!.verdict, comparisons[0]!.open], ["indistinguishable", true]);
  assert.equal(deviation, null);
});

Deno.test("decideFamily() asks for further rounds of undecided comparisons only", () => {
  const clear = comparison("clear", exactly(1, 0.15, 6));
  const unclear = comparison("unclear", exactly(0.05, 0.15, 6));
  const rule = stoppingRule(6, 18);
  const first = decideFamily([clear, unclear], rule);
  assert.deepEqual(first.comparisons.map(({ open }) => open), [false, true]);
  assert.equal(first.looks[0], 6);
  assert.deepEqual(first.next, {
    rounds: first.looks[1]!,
    scenarios: ["unclear-direct", "unclear-pooled"],
  });
  // Rounds of its own change nothing for a comparison that has ended.
  const more = (n: number) => [...exactly(0.05, 0.15, 6), ...exactly(0.05, 0.15, n - 6)];
  const [second, third] = first.looks.slice(1) as [number, number];
  const after = decideFamily([clear, comparison("unclear", more(second))], rule);
  assert.deepEqual(after.comparisons[0], first.comparisons[0]);
  const longer = comparison("clear", [...exactly(1, 0.15, 6), 0.001, 0.001]);
  assert.deepEqual(
    decideFamily([longer, comparison("unclear", more(second))], rule).comparisons[0],
    first.comparisons[0],
  );
  const end = decideFamily([clear, comparison("unclear", more(third))], rule);
  assert.equal(end.next, null);
  assert.equal(end.comparisons[1]!.verdict, "indistinguishable");
  assert.equal(end.comparisons[1]!.n, third);
});

Deno.test("decideFamily() uses the nominal level of the look at which a comparison ended", () => {
  const family = [comparison("a", exactly(0.9, 0.15, 6)), comparison("b", exactly(0, 0.15, 6))];
  const { comparisons, looks } = decideFamily(family, stoppingRule(6, 18));
  assert.equal(looks.length, 3);
  assert.equal(comparisons[0]!.level, nominalLevels(looks, 0.05 / 2)[0]);
  assert.equal(comparisons[0]!.verdict, "higher");
});

Deno.test("decideFamily() stays at the plan's rounds where the noise is small", () => {
  const { looks, deviation, next } = decideFamily(
    [comparison("a", exactly(0, 0.02 * Math.SQRT2, 6))],
    stoppingRule(6, 18),
  );
  assert.deepEqual([looks, next], [[6], null]);
  close(deviation!, 0.02 * Math.SQRT2);
});

Deno.test("decideFamily() of a fixed number of starts looks three times, and goes by the last look", () => {
  const rule = stoppingRule(3, 3, true);
  const [clear, noise] = [[1.55, 1.5, 1.45], [1.2, 0.9, 1]];
  const after = (starts: number, other = starts) =>
    decideFamily([
      comparison("clear", clear.slice(0, starts)),
      comparison("noise", noise.slice(0, other)),
    ], rule);
  const levels = nominalLevels([1, 2, 3], 0.05 / 2, 3);
  const told = ({ comparisons }: ReturnType<typeof after>) =>
    comparisons.map(({ n, level, verdict, open, isEarly }) => [n, level, verdict, open, isEarly]);
  assert.deepEqual(told(after(0)).map((one) => one.at(-1)), [true, true]);
  // One round has no interval.
  assert.deepEqual([after(1).looked, after(1).comparisons[0]!.verdict], [1, "single"]);
  assert.deepEqual(told(after(2)), [
    [2, levels[1], "indistinguishable", true, false],
    [2, levels[1], "indistinguishable", true, false],
  ]);
  // Stopped within the third start: what the second look showed.
  const stopped = after(3, 2);
  assert.deepEqual(told(stopped), told(after(2)));
  assert.deepEqual([stopped.looks, stopped.looked], [[1, 2, 3], 2]);
  assert.deepEqual(stopped.next, { rounds: 3, scenarios: ["noise-direct", "noise-pooled"] });
  const end = after(3);
  assert.deepEqual(told(end), [
    [3, levels[2], "higher", false, false],
    [3, levels[2], "indistinguishable", false, false],
  ]);
  assert.deepEqual([end.next, end.looked], [null, 3]);
  const [alone] = decideFamily([comparison("clear", clear)], rule).comparisons;
  assert.equal(alone!.level, nominalLevels([1, 2, 3], 0.05, 3)[2]);
});

Deno.test("stoppingRule() looks at a third, two thirds and all of the starts, where these are fixed", () => {
  const looks = [1, 2, 3, 4, 6, 9].map((starts) => stoppingRule(starts, starts, true).looks);
  assert.deepEqual(looks, [[1], [1, 2], [1, 2, 3], [2, 3, 4], [2, 4, 6], [3, 6, 9]]);
  assert.deepEqual(stoppingRule(3, 9, true), stoppingRule(3, 9));
  assert.deepEqual([stoppingRule(5).looks, stoppingRule(5).exponent], [[5], 1]);
});

Deno.test("chooseLooks() grows with noise and family, within the budget", () => {
  const rule = stoppingRule(6, 18);
  const last = (deviation: number, m: number) => chooseLooks(rule, deviation, m).at(-1)!;
  assert.equal(last(0.03, 13), 6);
  assert.ok(last(0.127, 1) < last(0.127, 13));
  assert.ok(last(0.1, 13) < last(0.127, 13));
  assert.deepEqual(chooseLooks(rule, 1, 13), [6, 12, 18]);
  assert.deepEqual(chooseLooks(stoppingRule(6), 1, 13), [6]);
});
