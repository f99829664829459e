/** Bottlenecks that are put into real runs: each is named, and its relief raises throughput. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { seededDraws } from "./bench/random.ts";
import { drawCases } from "./bench/verdict_cases.ts";
import { InjectingEngine, tryCase, tryTrial } from "./bench/verdicts.ts";
import { pairEvidence } from "./diagnose/evidence.ts";
import { MIN_RISE } from "./diagnose/relief.ts";
import type { Bottleneck } from "./bottlenecks.ts";
import { judgeBottleneck } from "./diagnose/verdict.ts";
import { loadPolars } from "./frames/polars.ts";
import { explainPairs } from "./report/pooler.ts";
import { createScenario } from "./scenario.ts";
import { setUp } from "./setup/mod.ts";
import type { PathRatio } from "./stats/summary.ts";
import { latencyParts } from "./stats/waterfall.ts";

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
        ok(truth === "load_limited" || gain >= MIN_RISE, `×${gain}`);
      });
    }
    await t.step(
      "session mode: clients without a server are named, and their wait is seen",
      async () => {
        const scenario = createScenario({
          framework: "django",
          path: "pooled",
          users: 64,
          poolMode: "session",
        });
        const { signal } = new AbortController();
        const trial = { scenario, injection: {} };
        const run = await tryTrial(trial, 1, { engine, folder, seed: 11, signal });
        const { verdict, evidence } = judgeBottleneck(run);
        console.log(`  ${verdict}: ${evidence}`);
        equal(verdict, "pgbouncer_queue", evidence);
        const [, starving, all] = /^in session mode (\d+) of (\d+) connections never got a server/
          .exec(evidence)!.map(Number);
        ok(starving! > 25 && starving! <= 44 && all! - starving! <= 21, evidence);
        const starved = latencyParts(run)!.find(({ stage }) => stage === "pgbouncer_starved")!;
        const ratio = { direct: "none", pooled: run.scenarioId, users: 64 } as PathRatio;
        const pairs = pairEvidence({ ratios: [ratio], runs: [run], unequalWork: [] });
        deepEqual(pairs[0]!.claims, ["queueing"]);
        match(explainPairs(pairs).join(), /\d\d client connections never got a server/);
        // Little's law: as many waited as there are answers in the time that one of them waited.
        ok(Math.abs(starved.ms * run.rps / 1000 / starving! - 1) < 0.25, `${starved.ms} ms`);
      },
    );
    for (const framework of ["fastapi", "flask"]) {
      await t.step(
        `${framework}: a held transaction is told from an app that is slow`,
        async () => {
          const pool = { framework, path: "pooled", users: 32, defaultPoolSize: 5 } as const;
          const { signal } = new AbortController();
          const verdictOf = async (own: { holdMs: number } | { appDelayMs: number }) => {
            const trial = { scenario: createScenario({ ...pool, ...own }), injection: {} };
            const run = await tryTrial(trial, 1, { engine, folder, seed: 11, signal });
            const { verdict, evidence } = judgeBottleneck(run);
            console.log(`  ${verdict}: ${evidence}`);
            return verdict;
          };
          equal(await verdictOf({ holdMs: 50 }), "held_transactions");
          ok(
            !["held_transactions", "pgbouncer_queue"].includes(await verdictOf({ appDelayMs: 50 })),
          );
        },
      );
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
