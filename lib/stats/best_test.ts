// test lane: checkout
import assert from "node:assert/strict";
import { normal, seededRandom } from "../testing/synthetic_study.ts";
import { selectSmallest, type StartOfCandidates } from "./best.ts";

/** Starts of sizes with these true rates, with noise of blocks, of slices and of starts. */
function draw(
  truths: readonly number[],
  random: () => number,
  { starts = 3, blocks = 12, noise = 0.05, between = 0 } = {},
): StartOfCandidates[] {
  return Array.from({ length: starts }, () => {
    const factors = truths.map(() => Math.exp(between * normal(random)));
    return Array.from({ length: blocks }, () => {
      const machine = Math.exp(0.1 * normal(random));
      return truths.map((truth, i) =>
        truth * factors[i]! * machine * Math.exp(noise * normal(random))
      );
    });
  });
}

Deno.test("selectSmallest() takes the first that is shown to be near the best", () => {
  const random = seededRandom(1);
  const truths = [40, 80, 99, 100, 98];
  const selection = selectSmallest(draw(truths, random, { noise: 0.01 }), { uniform: random });
  assert.equal(selection.smallest, 2);
  assert.deepEqual(selection.possible, [2, 3, 4]);
  assert.equal(selection.isFlat, false);
  selection.candidates.forEach(({ share }, i) => {
    assert.ok(share.low! <= share.value && share.value <= share.high! && share.high! <= 1);
    assert.ok(share.low! <= truths[i]! / 100 && truths[i]! / 100 <= share.high!);
  });
  const probabilities = selection.candidates.map(({ probability }) => probability);
  assert.deepEqual(probabilities.map((p) => p > 0.9), [false, false, true, true, true]);
});

Deno.test("selectSmallest() promises nothing that noise hides, and sees what is flat", () => {
  const random = seededRandom(2);
  const noisy = selectSmallest(draw([100, 100, 100], random, { noise: 0.5, blocks: 4 }), {
    uniform: random,
  });
  assert.deepEqual([noisy.smallest, noisy.possible, noisy.isFlat], [null, [0, 1, 2], false]);
  const flat = selectSmallest(draw([97, 99, 100], random, { noise: 0.01 }), { uniform: random });
  assert.deepEqual([flat.smallest, flat.isFlat], [0, true]);
});

Deno.test("selectSmallest() refuses a single candidate", () => {
  assert.throws(() => selectSmallest([[[1]]], { uniform: Math.random }), /two are needed/);
});

for (const between of [0, 0.02]) {
  Deno.test(`selectSmallest() keeps its promise where starts differ by ${100 * between}%`, () => {
    const random = seededRandom(3);
    const studies = 400;
    let broken = 0;
    let promised = 0;
    let missed = 0;
    for (let study = 0; study < studies; study++) {
      const truths = Array.from({ length: 7 }, (_, i) => 100 * (1 - Math.exp(-(i + 1) * random())));
      const best = Math.max(...truths);
      const { smallest, candidates } = selectSmallest(
        draw(truths, random, { between, blocks: 20 }),
        { uniform: random },
      );
      const isCovered = candidates.every(({ share }, i) =>
        share.low! <= truths[i]! / best + 1e-12 && truths[i]! / best <= share.high! + 1e-12
      );
      if (!isCovered) missed++;
      if (smallest === null) continue;
      promised++;
      if (truths[smallest]! < 0.95 * best) broken++;
    }
    const margin = 3 * Math.sqrt(0.05 * 0.95 / studies);
    assert.ok(promised > studies / 4, `${promised} promises`);
    assert.ok(missed / studies <= 0.05 + margin, `${missed} of ${studies} with a wrong bound`);
    assert.ok(broken / studies <= 0.05 + margin, `${broken} of ${promised} promises broken`);
  });
}
