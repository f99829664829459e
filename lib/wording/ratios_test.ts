// test lane: checkout
import assert from "node:assert/strict";
import { describeNoDifference } from "./ratios.ts";

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
