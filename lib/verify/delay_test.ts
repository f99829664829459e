import { equal, ok } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { LocalEngine } from "../engine/local.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario } from "../scenario.ts";
import { setUp } from "../setup/mod.ts";
import { percentile } from "../stats/percentile.ts";
import { startOne } from "../testing/one_run.ts";
import { SleeplessCores } from "../testing/sleepless_cores.ts";
import { verifyApp } from "./verify.ts";

Deno.test("a delay that is asked for is kept by all three apps, beside the contract", async (t) => {
  const DELAY_MS = 30;
  await using _sleepless = new SleeplessCores();
  await using engine = new LocalEngine(await setUp());
  for (const framework of FRAMEWORKS) {
    await t.step(framework, async () => {
      const slept: number[] = [];
      await using both = new AsyncDisposableStack();
      const urls: string[] = [];
      for (const [place, appDelayMs] of [0, DELAY_MS].entries()) {
        const scenario = createScenario({ framework, path: "direct", users: 1, appDelayMs });
        const services = both.use(await startOne(engine, scenario, { place }));
        equal((await verifyApp(services, scenario)).ok, true);
        urls.push(services.appUrl);
      }
      // In turns, so that nothing else of the machine decides.
      const times: number[][] = urls.map(() => []);
      for (let i = 0; i < 40; i++) {
        for (const [place, url] of urls.entries()) {
          const before = performance.now();
          await sleep(DELAY_MS);
          slept.push(performance.now() - before);
          const begun = performance.now();
          const response = await fetch(`${url}/posts/${1 + i}`);
          await response.text();
          times[place]!.push(performance.now() - begun);
        }
      }
      const [without, delayed] = times as [number[], number[]];
      // No request is spared, and the quicker half is slower by what a rest of this length takes here.
      ok(Math.min(...delayed) >= DELAY_MS, `${Math.min(...delayed)} ms`);
      const added = percentile(delayed, 25)! - percentile(without, 25)!;
      const rest = percentile(slept, 25)!;
      ok(
        added > DELAY_MS - 2 && added < rest + 8,
        `${framework}: ${added} ms were added, a rest of ${DELAY_MS} ms takes ${rest}`,
      );
    });
  }
});
