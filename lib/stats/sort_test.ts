// test lane: checkout
import assert from "node:assert/strict";
import { seededRandom } from "../testing/synthetic_study.ts";
import { sortWholeNumbers } from "./sort.ts";

Deno.test("sortWholeNumbers() sorts as a sort by comparison does", () => {
  const random = seededRandom(9);
  for (const most of [1, 2000, 2 ** 11, 2 ** 22, 2 ** 31, 2 ** 32 - 1, 2 ** 40]) {
    for (const n of [0, 1, 2, 1000]) {
      const values = Float64Array.from({ length: n }, () => Math.floor(most * random()));
      const before = values.slice();
      assert.deepEqual(sortWholeNumbers(values), before.toSorted(), `${n} up to ${most}`);
      assert.deepEqual(values, before);
    }
  }
});

Deno.test("sortWholeNumbers() sorts what is not whole, or negative, all the same", () => {
  const values = Float64Array.of(2.5, -1, 7, 2 ** 32, 0);
  assert.deepEqual(sortWholeNumbers(values), Float64Array.of(-1, 0, 2.5, 7, 2 ** 32));
});
