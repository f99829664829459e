// test lane: checkout
import assert from "node:assert/strict";
import { normal, seededRandom } from "../testing/synthetic_study.ts";
import { estimateRatios, type RoundPair } from "./blocks.ts";
import { type Comparison, decideFamily, stoppingRule } from "./family.ts";

function close(actual: number, expected: number, tolerance = 1e-9): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

/** One comparison whose starts have these blocks, each the rates of its base and of its other arm. */
const roundsOf = (starts: [number, number][][]) =>
  starts.map((rates, i): RoundPair => {
    const blocks = rates.map(([base, other]) => ({ base, other }));
    return { round: i + 1, base: 1, other: 1, blocks };
  });

const estimate = (...family: [number, number][][][]) => estimateRatios(family.map(roundsOf));

function comparison(id: string, pairs: Comparison["pairs"]): Comparison {
  return { id, scenarios: [`${id}-direct`, `${id}-pooled`], rounds: pairs.length, pairs };
}

/** Two starts of a comparison whose ratios are 1 and 2; their mean square is that of ln 2. */
const APART: [number, number][][] = [[[100, 90], [100, 110]], [[100, 180], [100, 220]]];

/** The sum of squares of the shares that its starts have of the answers: of 200 + 200, and 200 + 400. */
const APART_SHARES = ((1 / 2 + 1 / 3) / 2) ** 2 + ((1 / 2 + 2 / 3) / 2) ** 2;

/** The variance between the starts of {@linkcode APART}. */
const APART_VARIANCE = (Math.LN2 ** 2 - 0.02) / 2;

const variance = ({ n, deviation }: { n: number; deviation: number }) => deviation ** 2 / n;

Deno.test("estimateRatios() is the ratio of sums, and one sample where starts are alike", () => {
  const alike: [number, number][][] = [[[100, 110], [100, 130]], [[200, 240], [200, 240]]];
  const [one] = estimate(alike);
  close(one!.mean, Math.log(720 / 600));
  // Of the answers, the starts have a third and two thirds.
  close(variance(one!), 2 / 12 ** 2 / 3 * (1 / 9 + 4 / 9) / 2);
  assert.deepEqual([one!.n, one!.blocks, one!.df, one!.starts], [2, 4, 3, 2]);
});

Deno.test("estimateRatios() of starts that differ goes by the mean square between them", () => {
  const [one] = estimate(APART);
  close(one!.mean, Math.log(1.5));
  close(variance(one!), APART_SHARES * Math.LN2 ** 2 / 2);
  assert.equal(one!.df, 1);
});

Deno.test("estimateRatios() lends a comparison of one start the family's variance of starts", () => {
  const single: [number, number][][] = [[[100, 100], [100, 110], [100, 90]]];
  const [, other] = estimate(APART, single);
  close(variance(other!), 0.01 / 3 + APART_VARIANCE);
  assert.deepEqual([other!.n, other!.blocks, other!.starts], [1, 3, 2]);
  // Alone, it knows nothing of them, and says so.
  const [alone] = estimate(single);
  close(variance(alone!), 0.01 / 3);
  assert.deepEqual([alone!.n, alone!.df, alone!.starts], [1, 2, 1]);
});

Deno.test("estimateRatios() counts starts by their blocks", () => {
  const [one] = estimate([[[100, 120]], [[100, 90], [100, 100], [100, 110]]]);
  close(one!.mean, Math.log(420 / 400));
  const between = (0.75 * Math.log(1.2) ** 2 - 0.01) / 1.5;
  const [first, second] = [(100 / 400 + 120 / 420) / 2, (300 / 400 + 300 / 420) / 2];
  const ofBlocks = first ** 2 + second ** 2 / 3;
  close(variance(one!), 0.01 * ofBlocks + (first ** 2 + second ** 2) * between);
});

Deno.test("estimateRatios() counts starts by their answers, as the ratio of sums does", () => {
  const rates: [number, number][][] = [[[100, 100], [100, 100]], [[300, 330], [300, 330]]];
  const [one] = estimate(rates);
  close(one!.mean, Math.log(860 / 800));
  const [first, second] = [(1 / 4 + 200 / 860) / 2, (3 / 4 + 660 / 860) / 2];
  // Blocks have no noise, so that the variance between starts is that of 0 and ln 1.1.
  close(variance(one!), (first ** 2 + second ** 2) * Math.log(1.1) ** 2 / 2);
  const [swapped] = estimate(
    rates.map((start) => start.map(([base, other]): [number, number] => [other, base])),
  );
  close(swapped!.mean, -one!.mean);
  close(variance(swapped!), variance(one!));
});

Deno.test("estimateRatios() counts a slice without an answer", () => {
  const [one] = estimate([[[100, 0], [100, 90], [100, 120], [100, 90]]]);
  close(one!.mean, Math.log(0.75));
  close(variance(one!), (1 + 0.04 + 0.36 + 0.04) / (4 * 3));
  assert.throws(() => estimate([[[100, 0], [100, 0]]]), /ratio 0\/200/);
});

Deno.test("estimateRatios() goes by rounds where one has no blocks, or each only one", () => {
  const [whole, block] = roundsOf([[[100, 110]], [[100, 120], [100, 140]]]);
  const { blocks: _, ...plain } = whole!;
  const [mixed] = estimateRatios([[{ ...plain, other: 2 }, { ...block!, other: 8 }]]);
  close(mixed!.mean, Math.log(4));
  assert.deepEqual([mixed!.blocks, mixed!.starts, mixed!.df], [0, 0, 1]);
  assert.deepEqual(estimateRatios([[whole!]])[0]!.blocks, 0);
  assert.deepEqual(estimateRatios([]), []);
});

Deno.test("estimateRatios() hides no difference between starts behind a noisy comparison", () => {
  const noisy: [number, number][][] = [[[100, 10], [100, 190]], [[100, 20], [100, 180]]];
  const [, one] = estimate(noisy, APART);
  // Weighted alike, the other's excess below 0 would leave nothing of this one's.
  assert.ok(variance(one!) > 0.7 * Math.LN2 ** 2 / 4, `${variance(one!)}`);
});

Deno.test("estimateRatios() counts half of what a comparison's own starts differ by, and only there", () => {
  const alike: [number, number][][] = [[[100, 90], [100, 110]], [[100, 90], [100, 110]]];
  const [one, ...others] = estimate(APART, ...Array<typeof alike>(5).fill(alike));
  // Of the six excesses over what blocks explain, five are −0.02 / 2.
  const between = (APART_VARIANCE - 5 * 0.01) / 6;
  for (const other of others) close(variance(other), 0.02 / 4 + between / 2);
  close(variance(one!), APART_SHARES * Math.LN2 ** 2 / 4);
  // The degrees of freedom stay those of the family.
  close(one!.df, others[0]!.df);
});

Deno.test("decideFamily() decides by the blocks of one start, and asks for starts while undecided", () => {
  const blocksOf = (factor: number, wobble: number) =>
    roundsOf([Array.from({ length: 9 }, (_, i) => [100, factor * (100 + wobble * (i % 3 - 1))])]);
  const family = [comparison("clear", blocksOf(1.5, 3)), comparison("unclear", blocksOf(1, 60))];
  const { comparisons: [clear, unclear], next, looks } = decideFamily(family, stoppingRule(1, 6));
  assert.deepEqual(
    [clear!.verdict, clear!.n, clear!.blocks, clear!.starts, clear!.df, clear!.open],
    ["higher", 1, 9, 1, 8, false],
  );
  assert.deepEqual([unclear!.verdict, unclear!.open], ["indistinguishable", true]);
  assert.deepEqual(next, { rounds: looks[1], scenarios: ["unclear-direct", "unclear-pooled"] });
});

const STUDIES = 4000;

/** What many families of studies came to, in shares; see {@linkcode simulate}. */
interface Shares {
  falseAlarms: number;
  covered: number;
  power: number;
  /** Studies of more than one look. */
  extended: number;
}

/** Starts of one comparison, of 13 blocks each; the noise of blocks and starts is that of logarithms. */
function drawStarts(
  random: () => number,
  { starts, deviation, between, factor = 1 }: {
    starts: number;
    deviation: number;
    between: number;
    factor?: number;
  },
): Comparison["pairs"] {
  return roundsOf(Array.from({ length: starts }, () => {
    const start = factor * Math.exp(between * normal(random));
    return Array.from({ length: 13 }, () => {
      // The machine's own wobble, which both arms of a block share.
      const rate = 1000 * Math.exp(0.1 * normal(random));
      const own = () => Math.exp(deviation / Math.SQRT2 * normal(random));
      return [rate * own(), start * rate * own()];
    });
  }));
}

const isDifferent = ({ verdict }: { verdict: string }) =>
  verdict === "higher" || verdict === "lower";

/** Families of equal arms; see {@linkcode drawStarts}. */
function simulate(
  { noise, starts, maxStarts = starts, between, seed }: {
    noise: number[];
    starts: number;
    maxStarts?: number;
    between: number;
    seed: number;
  },
): Shares {
  const random = seededRandom(seed);
  const m = noise.length;
  const rule = stoppingRule(starts, maxStarts);
  const draw = (deviation: number, factor: number) =>
    drawStarts(random, { starts: maxStarts, deviation, between, factor });
  const counts = { falseAlarms: 0, covered: 0, power: 0, extended: 0 };
  for (let study = 0; study < STUDIES; study++) {
    const family = noise.map((deviation, i) => comparison(`${i}`, draw(deviation, 1)));
    const { comparisons, looks } = decideFamily(family, rule);
    if (comparisons.some(isDifferent)) counts.falseAlarms++;
    if (looks.length > 1) counts.extended++;
    // Bonferroni's level of so many is then 5% for each.
    const alone = decideFamily(family, { ...rule, alpha: 0.05 * m }).comparisons;
    counts.covered += alone.filter(({ ratio }) => ratio!.low! <= 1 && ratio!.high! >= 1).length / m;
    const slow = comparison("slow", draw(noise[0]!, 0.95));
    const [first] = decideFamily([slow, ...family.slice(1)], rule).comparisons;
    if (first!.verdict === "lower") counts.power++;
  }
  return {
    falseAlarms: counts.falseAlarms / STUDIES,
    covered: counts.covered / STUDIES,
    power: counts.power / STUDIES,
    extended: counts.extended / STUDIES,
  };
}

const percent = (share: number) => `${(100 * share).toFixed(1)}%`;

/** Three standard errors of a share of 5% in so many trials. */
const margin = (trials: number) => 3 * Math.sqrt(0.05 * 0.95 / trials);

for (const [seed, between] of [0, 0.01, 0.03].entries()) {
  Deno.test(`decideFamily() keeps its error with starts that differ by ${percent(between)}`, () => {
    const noise = Array<number>(6).fill(0.14);
    const { falseAlarms, covered, power } = simulate(
      { noise, starts: 3, between, seed: seed + 1 },
    );
    console.log(
      `false alarms ${percent(falseAlarms)}, one interval covers ${percent(covered)}, ` +
        `a slowdown of 5% is found in ${percent(power)}`,
    );
    assert.ok(falseAlarms <= 0.05 + margin(STUDIES), percent(falseAlarms));
    // A variance cannot be estimated below 0, so that without any the intervals are a little wide: 97.1%
    // are reckoned to hold, 0.1% of them by the floor of their own starts.
    assert.ok(covered >= 0.945 && covered <= 0.98, percent(covered));
  });
}

Deno.test("decideFamily() keeps its error where comparisons differ in noise", () => {
  const noise = [0.05, 0.08, 0.1, 0.14, 0.2, 0.4];
  const { falseAlarms, covered } = simulate(
    { noise, starts: 3, between: 0.03, seed: 4 },
  );
  // With the comparisons weighted alike, false alarms were 18%.
  assert.ok(falseAlarms <= 0.06 + margin(STUDIES), percent(falseAlarms));
  assert.ok(covered >= 0.94, percent(covered));
});

Deno.test("one interval covers more often where its own starts differ, and hardly less closely else", () => {
  const random = seededRandom(8);
  const alone = { ...stoppingRule(3), alpha: 0.05 * 6 };
  /** The share of studies in which the interval of the first of six pairs holds its ratio. */
  const covered = (between: number) => {
    let held = 0;
    for (let study = 0; study < STUDIES; study++) {
      const family = Array.from(
        { length: 6 },
        (_, i) =>
          drawStarts(random, { starts: 3, deviation: 0.14, between: i === 0 ? between : 0 }),
      );
      const all = family.map((pairs, i) => comparison(`${i}`, pairs));
      const { low, high } = decideFamily(all, alone).comparisons[0]!.ratio!;
      if (low! <= 1 && high! >= 1) held++;
    }
    return held / STUDIES;
  };
  // Reckoned as in the header of blocks.ts: 12 to 13% miss where its starts differ by 5%, and 14 to 17%
  // would if only the family's variance counted; 25% at 20%, and 40% would.
  const [alike, slightly, much] = [covered(0), covered(0.05), covered(0.2)];
  assert.ok(alike >= 0.945 && alike <= 0.98, percent(alike));
  assert.ok(slightly >= 0.85, percent(slightly));
  assert.ok(much >= 0.7, percent(much));
});

Deno.test("decideFamily() of one start is exact where starts are alike", () => {
  const noise = Array<number>(6).fill(0.14);
  const { falseAlarms, covered } = simulate(
    { noise, starts: 1, between: 0, seed: 5 },
  );
  assert.ok(falseAlarms <= 0.05 + margin(STUDIES), percent(falseAlarms));
  assert.ok(covered >= 0.94 && covered <= 0.96, percent(covered));
});

Deno.test("decideFamily() keeps its error over all that it shows of a fixed number of starts", () => {
  const random = seededRandom(7);
  const rule = stoppingRule(3, 3, true);
  let falseAlarms = 0;
  for (let study = 0; study < STUDIES; study++) {
    const family = Array.from(
      { length: 6 },
      () => drawStarts(random, { starts: 3, deviation: 0.14, between: 0.01 }),
    );
    const isFalseAlarm = [1, 2, 3].some((starts) => {
      const shown = family.map((pairs, i) => comparison(`${i}`, pairs.slice(0, starts)));
      return decideFamily(shown, rule).comparisons.some(isDifferent);
    });
    if (isFalseAlarm) falseAlarms++;
  }
  assert.ok(falseAlarms / STUDIES <= 0.05 + margin(STUDIES), percent(falseAlarms / STUDIES));
});

Deno.test("decideFamily() keeps its error over looks at more starts", () => {
  const noise = Array<number>(6).fill(0.5);
  const { falseAlarms, covered, extended } = simulate(
    { noise, starts: 3, maxStarts: 9, between: 0.1, seed: 6 },
  );
  assert.ok(extended > 0.99, percent(extended));
  assert.ok(falseAlarms <= 0.05 + margin(STUDIES), percent(falseAlarms));
  assert.ok(covered >= 0.945, percent(covered));
});
