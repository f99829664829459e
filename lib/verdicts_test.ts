/** Bottlenecks that are put into real runs: each is named, and its relief raises throughput. */

import { equal, ok } from "node:assert/strict";
import { join } from "node:path";
import { seededDraws } from "./bench/random.ts";
import { drawCases } from "./bench/verdict_cases.ts";
import { InjectingEngine, tryCase } from "./bench/verdicts.ts";
import { LEAST_RISE } from "./diagnose/relief.ts";
import type { Bottleneck } from "./diagnose/verdict.ts";
import { loadPolars } from "./frames/polars.ts";
import { setUp } from "./setup/mod.ts";

const TRIED: Bottleneck[] = ["pgbouncer_queue", "database_locks", "load_limited"];

Deno.test("bottlenecks that are put into runs are named, and light load is not blamed", async (t) => {
  await loadPolars();
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-verdicts-" });
  try {
    await using engine = new InjectingEngine(await setUp(), () => {});
    const cases = drawCases(seededDraws(11), { perBottleneck: 1 });
    for (const truth of TRIED) {
      const one = cases.find((drawn) => drawn.truth === truth)!;
      await t.step(`${truth}: ${one.what}`, async () => {
        const own = join(folder, truth);
        Deno.mkdirSync(own);
        const { signal } = new AbortController();
        const { verdict, gain, text } = await tryCase(one, {
          engine,
          folder: own,
          seed: 11,
          full: false,
          signal,
        });
        console.log(`  ${text}; ×${gain.toFixed(2)}`);
        equal(verdict, truth, text);
        // What relief does to light load is within the noise of this machine.
        ok(truth === "load_limited" || gain >= LEAST_RISE, `×${gain}`);
      });
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
