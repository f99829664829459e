// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { divideCores } from "./cpu_sets.ts";

/** The cores of a text such as `2-4`. */
function coresOf(text: string): number[] {
  const [from = 0, to = from] = text.split("-").map(Number);
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

Deno.test("divideCores() gives every core to one service, and none where there are too few", () => {
  for (let cores = 1; cores < 4; cores++) equal(divideCores(cores, 0.5), null);
  for (let cores = 4; cores <= 64; cores++) {
    for (const dbCpus of [0.5, 1, 2, 3.5, 100, null]) {
      const sets = divideCores(cores, dbCpus)!;
      deepEqual(Object.keys(sets), ["locust", "pgbouncer", "postgres", "app"]);
      const all = Object.values(sets).flatMap(coresOf);
      deepEqual(all, Array.from({ length: cores }, (_, i) => i), `${cores} cores, ${dbCpus}`);
      if (dbCpus === 0.5) equal(coresOf(sets.postgres!).length, 1);
    }
  }
  deepEqual(divideCores(8, null), { locust: "0", pgbouncer: "1", postgres: "2-4", app: "5-7" });
});
