// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { createScenario, scenarioId } from "../scenario.ts";
import { normal, seededRandom } from "../testing/synthetic_study.ts";
import {
  alternationOf,
  type Compared,
  idleUse,
  type PlacedValue,
  placeEffect,
} from "./alternation.ts";
import { NO_CONDITIONS } from "./conditions.ts";
import type { ResourceRow } from "./readings.ts";
import { summariseScenarios, unmeasuredRun } from "./summarise.ts";
import type { RunSummary } from "./summary.ts";

const near = (value: number, expected: number, within: number) =>
  ok(Math.abs(value - expected) <= within, `${value} is not ${expected} ± ${within}`);

const S = 1e6;

/** Slices of a second that begin at these seconds; the first is the warm-up. */
const slicesAt = (...seconds: number[]) =>
  seconds.map((second, block) => ({
    block,
    place: 1,
    startUs: second * S,
    settledUs: (second + 0.2) * S,
    endUs: (second + 1) * S,
    drainedUs: (second + 1) * S,
  }));

/** Readings each second, offset by 0.3 s, of services that use so many cores in and between slices. */
function readings(
  slices: ReturnType<typeof slicesAt>,
  cores: Record<string, [inside: number, outside: number]>,
): ResourceRow[] {
  const usedUntil = (timeUs: number, [inside, outside]: [number, number]) => {
    const within = slices.reduce(
      (sum, { startUs, drainedUs }) => sum + Math.max(0, Math.min(timeUs, drainedUs) - startUs),
      0,
    );
    return (inside * within + outside * (timeUs - within)) / S;
  };
  return Array.from({ length: 30 }, (_, i) => i * S + 0.3 * S).flatMap((time_us) =>
    Object.entries(cores).map(([service, use]) => ({
      time_us,
      service,
      cpu_s: usedUntil(time_us, use),
      throttled_s: 0,
    }))
  );
}

Deno.test("idleUse() reads what is used between slices, where a whole reading lies there", () => {
  const slices = slicesAt(1, 4, 7, 10, 11, 14);
  const use = idleUse(
    readings(slices, { postgres: [0.5, 0.01], app: [0.8, 0.04], host: [2, 2] }),
    slices,
  )!;
  // One in each of the gaps of two seconds, as readings are 0.3 s off; none between 10 and 11 s.
  equal(use.readings, 4);
  near(use.outsideS, 4, 1e-9);
  near(use.insideS, 5, 1e-9);
  deepEqual(use.services.map(({ service }) => service), ["postgres", "app"]);
  const [postgres, app] = use.services;
  near(postgres!.outsideCpuS / use.outsideS, 0.01, 1e-9);
  near(app!.outsideCpuS / use.outsideS, 0.04, 1e-9);
  near(app!.insideCpuS / use.insideS, 0.8, 0.1);
  equal(idleUse([], slices.slice(0, 1)), null);
});

function placedValues(effect: number, noise: number, seed: number, perStart = 40): PlacedValue[] {
  const random = seededRandom(seed);
  return [1, 2].flatMap((start) =>
    Array.from({ length: perStart }, () => {
      const isFirst = random() < 0.5;
      // Starts differ by far more than what is looked for.
      return { start, isFirst, value: 3 * start + (isFirst ? effect : 0) + noise * normal(random) };
    })
  );
}

Deno.test("placeEffect() holds the true effect in 95% of studies, whatever starts differ by", () => {
  let held = 0;
  for (let seed = 1; seed <= 1000; seed++) {
    const { value, low, high, n } = placeEffect(placedValues(0.05, 0.1, seed))!;
    equal(n, 80);
    ok(low! < value && value < high!);
    if (low! <= 0.05 && high! >= 0.05) held++;
  }
  near(held / 1000, 0.95, 0.02);
});

Deno.test("placeEffect() says nothing of a place that is too rare", () => {
  const values = (firsts: number) =>
    Array.from({ length: 20 }, (_, i) => ({ start: 1, isFirst: i < firsts, value: i % 3 }));
  deepEqual([0, 3, 4, 16, 17].map((n) => placeEffect(values(n)) !== null), [
    false,
    false,
    true,
    true,
    false,
  ]);
  equal(placeEffect([]), null);
});

const shared = { framework: "flask", users: 20 } as const;
const scenarios = [
  createScenario({ ...shared, path: "direct" }),
  createScenario({ ...shared, path: "pooled" }),
  createScenario({ ...shared, path: "pooled", defaultPoolSize: 5 }),
];

interface Effects {
  /** Share that following another arm costs each: of two arms, or of three. */
  after?: number[];
  /** Late over early half of each arm, and how much that scatters. */
  late?: number[];
  lateNoise?: number;
  /** Of each slice, and of a whole block. */
  noise?: number;
  wobble?: number;
  outsideCores?: number;
  blocks?: number;
  seed?: number;
}

function study(effects: Effects) {
  const { after = [0, 0], late = [1, 1, 1], noise = 0.02, wobble = 0 } = effects;
  const { lateNoise = 0, outsideCores = 0, blocks = 40, seed = 5 } = effects;
  const random = seededRandom(seed);
  const runs = [1, 2].flatMap((round): RunSummary[] => {
    const all = Array.from({ length: blocks }, () => ({
      rps: 1000 * Math.exp(wobble * normal(random)),
      order: after.map((_, which) => ({ which, key: random() }))
        .sort((a, b) => a.key - b.key).map(({ which }) => which),
    }));
    return scenarios.slice(0, after.length).map((scenario, which) => {
      const slices = all.map((block, i) => {
        const place = 1 + block.order.indexOf(which);
        // What came last in the block before comes right before this one.
        const isAfter = place > 1 || i > 0 && all[i - 1]!.order.at(-1) !== which;
        const share = isAfter ? 1 - after[which]! : 1;
        const rps = block.rps * Math.exp(noise * normal(random)) * share;
        const scatter = lateNoise === 0 ? 1 : Math.exp(lateNoise * normal(random));
        const earlyRps = 2 * rps / (1 + late[which]! * scatter);
        return {
          block: i + 1,
          place,
          rps,
          earlyRps,
          lateRps: 2 * rps - earlyRps,
          serviceMs: 1,
          timesUs: new Float64Array(),
        };
      });
      const services = [
        { service: "postgres", outsideCpuS: 10 * outsideCores, insideCpuS: 20 },
        { service: "app", outsideCpuS: 0, insideCpuS: 20 },
      ];
      const idle = { readings: 10, outsideS: 10, insideS: 40, services };
      const head = { scenarioId: scenarioId(scenario), scenario, arm: scenario.path, round };
      return {
        ...unmeasuredRun({ ...head, status: "ok", cause: null }),
        slices,
        conditions: { ...NO_CONDITIONS, idle },
      };
    });
  });
  const [direct, pooled] = scenarios.map(scenarioId) as [string, string];
  const compared: Compared = {
    ids: [direct, pooled],
    arms: ["direct", "pooled"],
    users: 20,
    arrivalRate: null,
    ratio: { value: 1, low: 0.9, high: 1.1 },
  };
  return { runs, compared, of: alternationOf(summariseScenarios(runs), runs, [compared])! };
}

Deno.test("arms that neither carry over, nor work in others' turns, nor drift within slices", () => {
  const { arms, comparisons: [pair] } = study({}).of;
  for (const { idle, first, late } of arms) {
    deepEqual([idle!.share, idle!.n, idle!.isMarked, late!.state], [0, 20, false, "small"]);
    near(first!.value, 1, 0.02);
    equal(first!.n, 80);
    near(late!.value, 1, 1e-9);
  }
  equal(pair!.state, "small");
  near(pair!.halfWidth!, 0.1055, 1e-3);
  ok(pair!.bound! < 0.05);
});

/** By what factor the ratio of the answers of two arms is off, as a logarithm. */
function offset(runs: readonly RunSummary[], [base, other]: Compared["ids"]): number {
  const answers = (id: string) =>
    runs.filter(({ scenarioId }) => scenarioId === id)
      .flatMap(({ slices }) => slices!.map(({ rps }) => rps))
      .reduce((sum, rps) => sum + rps, 0);
  return Math.log(answers(other) / answers(base));
}

Deno.test("carry-over that costs both arms as much is none of the ratio's, of one arm most of it is", () => {
  const alike = study({ after: [0.1, 0.1], blocks: 400 }).of;
  // The first of a block follows the other arm in half of the blocks, the second always.
  for (const { first } of alike.arms) near(first!.value, (1 / 0.9 + 1) / 2, 0.01);
  equal(alike.comparisons[0]!.state, "small");
  const { of: { comparisons: [pair] }, runs, compared } = study({ after: [0, 0.2], blocks: 400 });
  // Pooled follows the other arm in three of four slices.
  const off = offset(runs, compared.ids);
  near(off, Math.log(1 - 0.75 * 0.2), 0.015);
  near(Math.log(pair!.effect!.low!), off, 0.01);
  near(Math.log(pair!.effect!.high!), off, 0.01);
  deepEqual([pair!.state, pair!.bound! > 0.15], ["seen", true]);
  equal(study({ noise: 0.3 }).of.comparisons[0]!.state, "open");
});

Deno.test("carry-over is told by neighbours, of three arms too, and of slices without an answer", () => {
  const three = study({ after: [0, 0.2, 0.1], blocks: 900 });
  const off = offset(three.runs, three.compared.ids);
  near(off, Math.log(1 - 8 / 9 * 0.2), 0.01);
  near(Math.log(three.of.comparisons[0]!.effect!.value), off, 0.01);
  // Whoever follows the other arm is not answered at all.
  const { runs, compared, of } = study({ after: [0, 1], blocks: 400 });
  near(Math.log(of.comparisons[0]!.effect!.value), offset(runs, compared.ids), 0.1);
  equal(of.comparisons[0]!.state, "seen");
});

Deno.test("what carry-over is bounded by holds it in 95% of studies, whatever blocks share", () => {
  let held = 0;
  for (let seed = 1; seed <= 500; seed++) {
    const { of } = study({ after: [0, 0.05], noise: 0.05, wobble: 0.1, seed });
    const { low, high } = of.comparisons[0]!.effect!;
    const off = 1 - 0.75 * 0.05;
    if (low! <= off && off <= high!) held++;
  }
  near(held / 500, 0.95, 0.03);
});

Deno.test("late halves and work in others' turns are marked above their limits", () => {
  const { arms: [direct, pooled] } = study({ late: [1.04, 1.1], outsideCores: 0.05 }).of;
  deepEqual([direct!.late!.state, pooled!.late!.state], ["small", "seen"]);
  near(pooled!.late!.value, 1.1, 1e-6);
  near(direct!.idle!.share, 0.05, 1e-9);
  deepEqual([direct!.idle!.isMarked, direct!.idle!.most], [true, "postgres"]);
});

Deno.test("halves of slices are no further settled than their intervals say, all arms' together", () => {
  let seen = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const { arms } = study({ after: [0, 0, 0], lateNoise: 0.3, seed }).of;
    // Of 80 blocks, an interval reaches some 7% to either side.
    ok(arms.every(({ late }) => late!.high! - late!.low! > 0.1));
    const isSeen = arms.some(({ late }) => late!.low! > 1 || late!.high! < 1);
    ok(isSeen || arms.every(({ late }) => late!.state === "open"));
    if (isSeen) seen++;
  }
  ok(seen / 400 < 0.05 + 3 * Math.sqrt(0.05 * 0.95 / 400), `${seen} of 400`);
});

Deno.test("what cannot be estimated is null, and a consecutive study has none of it", () => {
  const { runs, compared, of } = study({ blocks: 3 });
  deepEqual(of.arms.map(({ first, late }) => [first, late]), [[null, null], [null, null]]);
  deepEqual([of.comparisons[0]!.state, of.comparisons[0]!.bound], [null, null]);
  const consecutive = runs.map((run) => ({ ...run, slices: null }));
  equal(alternationOf(summariseScenarios(runs), consecutive, [compared]), null);
  // Rejected runs are in no comparison, and so not here either.
  const rejected = runs.map((run): RunSummary => ({ ...run, status: "rejected", cause: "late" }));
  const none = alternationOf(summariseScenarios(rejected), rejected, [compared])!;
  deepEqual(none.arms.map(({ idle, first, late }) => idle ?? first ?? late), [null, null]);
});
