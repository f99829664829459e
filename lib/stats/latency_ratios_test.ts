// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { seededRandom } from "../testing/synthetic_study.ts";
import { latencyRatios } from "./latency_ratios.ts";
import { noMeasures } from "./summarise.ts";
import type { RunSummary } from "./summary.ts";

const random = seededRandom(5);
/** A draw of the normal distribution (Box and Muller). */
const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());

/** A run of blocks, whose service times are lognormal around a median of so many milliseconds. */
function run(
  scenarioId: string,
  round: number,
  ms: number,
  blocks: number,
  each: number,
): RunSummary {
  const slices = Array.from({ length: blocks }, (_, i) => {
    const level = 1000 * ms * Math.exp(0.1 * normal());
    const timesUs = Float64Array.from({ length: each }, () => level * Math.exp(0.5 * normal()));
    return {
      block: i + 1,
      place: 1,
      rps: each,
      earlyRps: each,
      lateRps: each,
      serviceMs: ms,
      timesUs,
    };
  });
  return { ...noMeasures(), scenarioId, round, status: "ok", slices } as unknown as RunSummary;
}

function study(factor: number, blocks: number, each: number): RunSummary[] {
  return [1, 2, 3].flatMap((round) => [
    run("a", round, 10, blocks, each),
    run("b", round, 10 * factor, blocks, each),
  ]);
}

Deno.test("latencyRatios() finds what percentiles differ by, and covers it", () => {
  const covered = { 50: 0, 95: 0, 99: 0 };
  for (let i = 0; i < 40; i++) {
    const [ratios] = latencyRatios([["a", "b"]], study(1.2, 12, 500));
    for (const percent of [50, 95, 99] as const) {
      const { value, low, high } = ratios![percent] ?? { value: NaN, low: 1.2, high: 1.2 };
      if (percent === 99) ok(Number.isNaN(value) || Math.abs(value / 1.2 - 1) < 0.2);
      else ok(Math.abs(value / 1.2 - 1) < 0.1, `P${percent}: ${value}`);
      if (low! <= 1.2 && 1.2 <= high!) covered[percent]++;
    }
  }
  for (const count of Object.values(covered)) ok(count >= 37, JSON.stringify(covered));
});

Deno.test("latencyRatios() tells nothing where too few requests lie beyond a percentile", () => {
  // 10 batches of P99 need 20,000 requests; there are 3 × 12 × 300.
  const [ratios] = latencyRatios([["a", "b"]], study(1, 12, 300));
  ok(ratios![50] !== null && ratios![95] !== null);
  equal(ratios![99], null);
  const [few] = latencyRatios([["a", "b"]], study(1, 3, 60));
  deepEqual(few, { 50: null, 95: null, 99: null });
});

Deno.test("latencyRatios() leaves arms alone that took no turns, and blocks that one lacks", () => {
  const alone = study(1, 12, 500).map((one) => ({ ...one, slices: null }));
  deepEqual(latencyRatios([["a", "b"]], alone), [null]);
  deepEqual(latencyRatios([], []), []);
  const whole = study(2, 12, 500);
  const lacking = whole.map((one) =>
    one.scenarioId === "a"
      ? one
      : { ...one, slices: one.slices!.filter(({ block }) => block !== 3) }
  );
  const ratio = latencyRatios([["a", "b"]], lacking)[0]![50]!;
  ok(ratio.low! < 2 && 2 < ratio.high!);
});
