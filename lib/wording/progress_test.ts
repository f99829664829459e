// test lane: checkout
import { deepEqual } from "node:assert/strict";
import { formatDuration } from "./progress.ts";

Deno.test("formatDuration() writes seconds, minutes and hours", () => {
  deepEqual([0.4, 59.6, 61, 3599, 7500].map(formatDuration), [
    "0 s",
    "1 min 00 s",
    "1 min 01 s",
    "59 min 59 s",
    "2 h 05 min",
  ]);
});
