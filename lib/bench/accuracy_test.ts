// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { excess, trueResponsesUs } from "./accuracy.ts";

Deno.test("trueResponsesUs() holds what is due in a stall to its end", () => {
  const log = {
    stalls: [[10_000, 20_000]] as [number, number][],
    pauses: [],
    requests: [
      [1_000, 5_000, 6_000], // due at 6,000
      [4_900, 5_000, 9_950], // was due at 9,900 and left 50 later
      [5_100, 5_000, 20_010], // due in the stall
      [12_000, 5_000, 20_030], // sent and due in it
      [16_000, 5_000, 21_000], // due after it
    ] as [number, number, number][],
  };
  deepEqual(trueResponsesUs([1_000, 4_900, 5_100, 12_000, 16_000], log, []), [
    5_000,
    5_050,
    14_910,
    8_030,
    5_000,
  ]);
});

Deno.test("trueResponsesUs() does not know when the generator sent a request", () => {
  // Intended for 4,000 and sent at 7,000, too late to be answered before the stall.
  const log = {
    stalls: [[10_000, 20_000]] as [number, number][],
    pauses: [],
    requests: [[7_000, 5_000, 20_000]] as [number, number, number][],
  };
  deepEqual(trueResponsesUs([4_000], log, []), [5_000]);
});

Deno.test("trueResponsesUs() adds the time in which the server did not look", () => {
  const log = {
    stalls: [],
    pauses: [[1_000, 3_000], [4_000, 9_000]] as [number, number][],
    requests: [
      [500, 100, 600],
      [3_000, 100, 3_100], // came in the first pause
      [9_000, 100, 9_110], // came in the second, and was answered 10 late
      [9_500, 100, 9_600], // intended for the second, and sent after it
      [9_000, 100, 9_100], // intended for its end
    ] as [number, number, number][],
  };
  deepEqual(trueResponsesUs([500, 1_500, 4_000, 8_000, 9_000], log, []), [
    100,
    1_600,
    5_110,
    1_100,
    100,
  ]);
});

Deno.test("trueResponsesUs() adds the time in which the generator's core stood still", () => {
  const log = {
    stalls: [],
    pauses: [[2_500, 4_000]] as [number, number][],
    requests: [[4_000, 100, 4_100], [9_000, 100, 9_100]] as [number, number, number][],
  };
  // The first could be sent at 3,000, in the server's pause.
  deepEqual(trueResponsesUs([1_500, 7_000], log, [[1_000, 3_000], [6_000, 7_000]]), [2_600, 100]);
});

Deno.test("excess() is at most 1 within 1% or within 2 ms", () => {
  equal(excess(101, 100), 0.5);
  equal(excess(505, 500), 1);
  ok(Math.abs(excess(1_030, 1_000) - 3) < 1e-9);
  equal(excess(3, 1), 1);
});
