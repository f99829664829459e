import { equal, ok } from "node:assert/strict";
import { LocalEngine } from "../engine/local.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario, scenarioId } from "../scenario.ts";
import { setUp } from "../setup/mod.ts";
import { percentile } from "../stats/percentile.ts";
import { verifyApp } from "./verify.ts";

Deno.test("a delay that is asked for is kept by all three apps, beside the contract", async (t) => {
  const DELAY_MS = 30;
  await using engine = new LocalEngine(await setUp());
  for (const framework of FRAMEWORKS) {
    await t.step(framework, async () => {
      const times: number[][] = [];
      for (const appDelayMs of [0, DELAY_MS]) {
        const scenario = createScenario({ framework, path: "direct", users: 1, appDelayMs });
        await engine.startDatabase(scenario);
        const folder = Deno.makeTempDirSync();
        Deno.mkdirSync(`${folder}/logs`);
        const run = { id: scenarioId(scenario), scenario, round: 1, order: 1 };
        await using services = await engine.startRun(run, folder);
        equal((await verifyApp(services, scenario)).ok, true);
        const own: number[] = [];
        for (let i = 0; i < 40; i++) {
          const begun = performance.now();
          const response = await fetch(`${services.appUrl}/posts/${1 + i}`);
          await response.text();
          own.push(performance.now() - begun);
        }
        times.push(own);
      }
      const [without, delayed] = times as [number[], number[]];
      // No request is spared, and the quicker half is slower by this much and no more.
      ok(Math.min(...delayed) >= DELAY_MS, `${Math.min(...delayed)} ms`);
      const added = percentile(delayed, 25)! - percentile(without, 25)!;
      ok(added > DELAY_MS - 2 && added < DELAY_MS + 8, `${framework}: ${added} ms were added`);
    });
  }
});
