// test lane: checkout
import assert from "node:assert/strict";
import { formatRounds } from "./format.ts";
import { describeNoDifference, ratioWords } from "./ratios.ts";

Deno.test("describeNoDifference() says what would have been found", () => {
  const at = { verdict: "indistinguishable", open: false, detectable: 0.823 } as const;
  assert.equal(
    describeNoDifference(at),
    "indistinguishable: a slowdown of 18% would have been found",
  );
  assert.match(describeNoDifference({ ...at, open: true })!, /^not decided yet: /);
  assert.match(describeNoDifference({ ...at, detectable: null })!, /no difference would have been/);
  assert.equal(describeNoDifference({ ...at, verdict: "higher" }), null);
  assert.match(describeNoDifference({ ...at, verdict: "single" })!, /one round decides nothing/);
});

Deno.test("formatRounds() counts the blocks of starts, or rounds where some have none", () => {
  assert.equal(formatRounds([{ n: 1, blocks: 0 }]), "1 round");
  assert.equal(formatRounds([{ n: 5 }, { n: 3, blocks: 12 }]), "3 to 5 rounds");
  const [some, more] = [{ n: 2, blocks: 26 }, { n: 3, blocks: 39 }];
  assert.equal(formatRounds([more]), "39 blocks in 3 starts");
  assert.equal(formatRounds([some, more]), "26 to 39 blocks in 2 to 3 starts");
});

Deno.test("ratioWords.rounds() says when differences between starts are not in the interval", () => {
  const of = (n: number, blocks: number, starts: number) =>
    ratioWords.rounds("1.10×", { n, blocks, starts });
  assert.equal(of(5, 0, 0), "1.10×; 5 rounds");
  assert.equal(of(3, 39, 3), "1.10×; over 39 blocks in 3 starts");
  assert.equal(
    of(1, 13, 1),
    "1.10×; over 13 blocks in 1 start, without the differences from one start to another",
  );
});
