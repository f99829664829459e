// test lane: checkout
import assert from "node:assert/strict";
import { namedPlan } from "../plan.ts";
import { normal, seededRandom } from "../testing/synthetic_study.ts";
import { drawPoolSizes, makeGrids, throughputOf } from "./pool_size.ts";
import { seededDraws } from "./random.ts";
import type { RecordedStarts } from "./recorded_blocks.ts";

const SIZES = [1, 2, 5, 10, 20, 40, 64];

/** Recorded starts of six arms: what differs from start to start, and from block to block. */
function made(between: number, within: number): RecordedStarts {
  const random = seededRandom(3);
  return Array.from({ length: 6 }, () =>
    Array.from({ length: 20 }, () => {
      const start = Math.exp(between * normal(random));
      return Array.from({ length: 20 }, () => ({
        base: 100 * Math.exp(within * normal(random)),
        other: 100 * start * Math.exp(within * normal(random)),
      }));
    }));
}

Deno.test("throughputOf() has the values that are known", () => {
  const idle = { clients: 64, appMs: 0.001, holdMs: 50, cpuMs: 0.001, cpus: 1, lockMs: 0 };
  // Nothing but the connections is short: as many per second as they are held for.
  for (const size of [1, 5, 40]) {
    assert.ok(Math.abs(throughputOf(idle, size) / (size * 20) - 1) < 0.01, `${size}`);
  }
  // Nothing is ever ahead of the station that needs the most.
  assert.ok(Math.abs(throughputOf({ ...idle, cpuMs: 10 }, 64) - 100) < 0.1);
  assert.ok(Math.abs(throughputOf({ ...idle, lockMs: 20 }, 64) - 50) < 0.1);
  assert.ok(Math.abs(throughputOf({ ...idle, appMs: 5 }, 64) - 200) < 1);
  // One client goes round alone: the sum of all that it needs.
  const alone = { clients: 1, appMs: 2, holdMs: 5, cpuMs: 2, cpus: 2, lockMs: 2 };
  assert.ok(Math.abs(throughputOf(alone, 1) - 100) < 1e-6);
});

Deno.test("makeGrids() has enough workloads of both kinds, all of them different", () => {
  const { kneed, flat } = makeGrids(SIZES);
  assert.ok(kneed.length >= 60, `${kneed.length}`);
  assert.ok(flat.length >= 20, `${flat.length}`);
  const all = [...kneed, ...flat].map((grid) => JSON.stringify(grid));
  assert.equal(new Set(all).size, all.length);
});

Deno.test("drawPoolSizes() finds the smallest size that does, and says less where noise is large", () => {
  const plan = namedPlan("pool-size");
  const quiet = drawPoolSizes(made(0.005, 0.03), plan, seededDraws(1));
  const told = JSON.stringify(quiet);
  assert.ok(quiet.right >= 0.9 * quiet.grids, told);
  assert.ok(quiet.sure > 0 && quiet.sure_right >= 0.9 * quiet.sure, told);
  assert.ok(quiet.flat_called >= 0.9 * quiet.flat_grids, told);
  const noisy = drawPoolSizes(made(0.2, 0.3), plan, seededDraws(1));
  assert.ok(noisy.right < quiet.right, JSON.stringify(noisy));
});
