// test lane: checkout
import { deepEqual } from "node:assert/strict";
import { loadPolars } from "../frames/polars.ts";
import { cpuSeries } from "./readings.ts";

Deno.test("cpuSeries() takes no rate between readings that lie too close to tell it", async () => {
  const { DataFrame } = await loadPolars();
  const series = (times: number[], cpu_s: number[]) =>
    cpuSeries(
      DataFrame({
        time_us: times.map((second) => 1e6 * second),
        service: times.map(() => "app"),
        cpu_s,
        throttled_s: times.map(() => 0),
      }),
      0,
    ).map(({ timeS, cores }) => [timeS, Number(cores.toFixed(6))]);
  deepEqual(series([0, 1, 2], [0, 0.5, 1]), [[1, 0.5], [2, 0.5]]);
  // 10 ms after a reading it has used 9 ms: that is no 0.9 cores.
  deepEqual(series([0, 1, 1.01, 2], [0, 0.5, 0.509, 1]), [[1, 0.5], [2, 0.5]]);
  // In another's turn its own time stands still, and what it used there is none of its own.
  deepEqual(series([0, 1, 1, 2], [0, 0.5, 0.7, 1.2]), [[1, 0.5], [2, 0.5]]);
});
