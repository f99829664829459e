// test lane: checkout
import assert from "node:assert/strict";
import { normal, seededRandom } from "../testing/synthetic_study.ts";
import { driftBound } from "./drift_bound.ts";

const random = seededRandom(20);
const PARTS = 30;

/** A throughput over time, in windows, and what it comes to in the end; null where to nothing. */
interface Drift {
  at: (time: number) => number;
  end: number | null;
}

/** Between two numbers. */
const between = (low: number, high: number) => low + (high - low) * random();

/** A size of a change, up or down. */
const change = () => random() < 0.5 ? -between(0, 0.6) : between(0, 1);

const DRIFTS: Record<string, () => Drift> = {
  steady: () => ({ at: () => 1, end: 1 }),
  linear: () => {
    const slope = between(-0.8, 0.8);
    return { at: (time) => Math.max(0.05, 1 + slope * (time - 0.5)), end: null };
  },
  exponential: () => {
    const [size, constant] = [change(), between(0.05, 1)];
    return { at: (time) => 1 + size * Math.exp(-time / constant), end: 1 };
  },
  step: () => {
    const [size, when] = [change(), random()];
    return { at: (time) => time < when ? 1 : 1 + size, end: 1 + size };
  },
  "two steps": () => {
    const [a, b] = [change(), change()];
    const [first, second] = [random(), random()].sort() as [number, number];
    const at = (time: number) => (time < first ? 1 : 1 + a) * (time < second ? 1 : 1 + b);
    return { at, end: (1 + a) * (1 + b) };
  },
};

function meanOf(at: Drift["at"], from: number, to: number): number {
  const n = 40;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += at(from + (to - from) * (i + 0.5) / n);
  return sum / n;
}

/** A run: what was seen, and the least and most that is true of its window and the next. */
function synthesise(level: number, { at, end }: Drift, noise: number, correlation: number) {
  let error = normal(random);
  const rates = Array.from({ length: PARTS }, (_, i) => {
    error = correlation * error + Math.sqrt(1 - correlation ** 2) * normal(random);
    return Math.max(0, level * meanOf(at, i / PARTS, (i + 1) / PARTS) * (1 + noise * error));
  });
  const windows = Array.from({ length: 11 }, (_, i) => level * meanOf(at, i / 10, 1 + i / 10));
  const truths = end === null ? windows : [...windows, level * end];
  return { rates, least: Math.min(...truths), most: Math.max(...truths) };
}

/** One study of two arms that drift in the same manner, each run in its own way. */
function study(drift: () => Drift) {
  const [ratio, noise] = [Math.exp(between(0, Math.log(8))), between(0.05, 0.35)];
  const correlation = [0, 0.3, 0.6, 0.8][Math.floor(random() * 4)]!;
  const rounds = Array.from({ length: 1 + Math.floor(random() * 5) });
  const arm = (level: number) =>
    rounds.map(() =>
      synthesise(level * Math.exp(0.1 * normal(random)), drift(), noise, correlation)
    );
  const [weaker, better] = [arm(100), arm(100 * ratio)];
  const truth = (over: typeof weaker, under: typeof weaker) =>
    Math.min(...over.map(({ least }) => least)) / Math.max(...under.map(({ most }) => most));
  const bound = driftBound(weaker.map(({ rates }) => rates), better.map(({ rates }) => rates));
  return { bound, truth: bound?.ahead === "base" ? truth(weaker, better) : truth(better, weaker) };
}

for (const [kind, drift] of Object.entries(DRIFTS)) {
  Deno.test(`driftBound() claims no more than the truth of arms whose drift is ${kind}, in 95 of 100 claims`, () => {
    let claims = 0, wrong = 0;
    for (let i = 0; i < 3000; i++) {
      const { bound, truth } = study(drift);
      if (bound === null) continue;
      claims++;
      if (bound.factor > truth) wrong++;
    }
    assert.ok(claims > 400, `${claims} claims tell nothing`);
    assert.ok(wrong <= 0.05 * claims, `${wrong} of ${claims} claims`);
  });
}

// Django with a connection per request, 500 users: answers in each thirtieth of 7 s, of two rounds.
const DIRECT = [
  [11, 9, 6, 10, 5, 6, 5, 8, 1, 8, 5, 16, 2, 6, 2, 17, 4, 2, 0, 7, 4, 9, 4, 9, 7, 8, 9, 8, 7, 6],
  [4, 8, 7, 5, 9, 7, 7, 15, 7, 7, 7, 7, 5, 8, 8, 7, 9, 9, 7, 9, 5, 7, 7, 7, 6, 7, 9, 11, 2, 9],
];
const POOLED = [
  [
    37,
    48,
    42,
    37,
    63,
    60,
    47,
    52,
    43,
    27,
    62,
    66,
    58,
    78,
    68,
    87,
    97,
    68,
    60,
    71,
    54,
    66,
    73,
    80,
    73,
    80,
    57,
    76,
    44,
    43,
  ],
  [
    43,
    58,
    48,
    61,
    46,
    47,
    23,
    14,
    38,
    58,
    49,
    53,
    38,
    31,
    57,
    56,
    46,
    26,
    78,
    63,
    30,
    103,
    66,
    79,
    62,
    49,
    58,
    54,
    55,
    58,
  ],
];

Deno.test("driftBound() of runs that gates rejected: the pooler's gain, and nothing of an arm and itself", () => {
  assert.deepEqual(driftBound(DIRECT, POOLED), { ahead: "other", factor: 4 });
  assert.deepEqual(driftBound(POOLED, DIRECT), { ahead: "base", factor: 4 });
  assert.equal(driftBound([DIRECT[0]!], [DIRECT[1]!]), null);
  assert.equal(driftBound(POOLED, POOLED), null);
});

Deno.test("driftBound() of 40 and 41 answers per second against 158 and 178 is at least 3", () => {
  const noisy = (rate: number) =>
    Array.from({ length: PARTS }, () => rate * (1 + 0.08 * normal(random)));
  const factors = Array.from(
    { length: 200 },
    () => driftBound([noisy(40), noisy(41)], [noisy(158), noisy(178)])!.factor,
  );
  assert.ok(factors.filter((factor) => factor === 3).length >= 180);
});

Deno.test("driftBound() lets a drift go on for another window, and rounds down", () => {
  const line = (from: number, to: number) =>
    Array.from({ length: PARTS }, (_, i) => from + (to - from) * (i + 0.5) / PARTS);
  const level = (rate: number) => [line(rate, rate)];
  assert.equal(driftBound(level(100), level(199))!.factor, 1.9);
  assert.equal(driftBound(level(100), level(399))!.factor, 3);
  assert.equal(driftBound(level(100), level(109)), null);
  assert.deepEqual(driftBound(level(100), level(20)), { ahead: "base", factor: 5 });
  // Its last fifth is at 220 on average, and would be 100 lower after another window.
  assert.equal(driftBound(level(100), [line(310, 210)])!.factor, 1.2);
  assert.equal(driftBound(level(100), [line(210, 310)])!.factor, 2);
});
