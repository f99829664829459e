import { equal, ok } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { LocalEngine } from "../engine/local.ts";
import { APP_USER } from "../services/database.ts";
import { openServer } from "../telemetry/postgres.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario, scenarioId } from "../scenario.ts";
import { setUp } from "../setup/mod.ts";
import { percentile } from "../stats/percentile.ts";
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
        const folder = Deno.makeTempDirSync();
        Deno.mkdirSync(`${folder}/logs`);
        const run = { id: scenarioId(scenario), scenario, round: 1, order: 1 };
        const services = both.use(await engine.startRun(run, folder, place));
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

Deno.test("a transaction that is to be held is open for so long in all three apps", async (t) => {
  const HOLD_MS = 300;
  await using engine = new LocalEngine(await setUp());
  for (const framework of FRAMEWORKS) {
    await t.step(framework, async () => {
      const scenario = createScenario({ framework, path: "direct", users: 1, holdMs: HOLD_MS });
      const folder = Deno.makeTempDirSync();
      Deno.mkdirSync(`${folder}/logs`);
      const run = { id: scenarioId(scenario), scenario, round: 1, order: 1 };
      await using stack = new AsyncDisposableStack();
      const services = stack.use(await engine.startRun(run, folder));
      equal((await verifyApp(services, scenario)).ok, true);
      const database = openServer(services.postgres);
      stack.defer(() => database.end());
      const held = async () => {
        const [row] = await database`
          select count(*)::int as n from pg_stat_activity
          where usename = ${APP_USER} and state = 'idle in transaction'`;
        return row!.n as number;
      };
      const post = JSON.stringify({ author_id: 1, title: "t", body: "b" });
      const headers = { "content-type": "application/json" };
      for (
        const [path, init] of [
          ["/posts/1", {}],
          ["/posts?limit=20", {}],
          ["/users/1", {}],
          ["/users/1/summary", {}],
          ["/posts", { method: "POST", body: post, headers }],
        ] as const
      ) {
        const begun = performance.now();
        let seen = 0;
        const answer = fetch(services.appUrl + path, init).then((response) => response.text());
        const watch = setInterval(async () => seen = Math.max(seen, await held()), 20);
        await answer.finally(() => clearInterval(watch));
        ok(performance.now() - begun >= HOLD_MS, `${path} was answered sooner`);
        equal(seen, 1, `connections idle in a transaction during ${path}`);
      }
      const begun = performance.now();
      await (await fetch(`${services.appUrl}/ping`)).text();
      ok(performance.now() - begun < HOLD_MS, "nothing is held without a statement");
    });
  }
});

Deno.test("CPU time that is asked for is used by all three apps, for each request", async (t) => {
  const CPU_MS = 20;
  const REQUESTS = 20;
  await using engine = new LocalEngine(await setUp());
  for (const framework of FRAMEWORKS) {
    await t.step(framework, async () => {
      const scenario = createScenario({ framework, path: "direct", users: 1, appCpuMs: CPU_MS });
      const folder = Deno.makeTempDirSync();
      Deno.mkdirSync(`${folder}/logs`);
      const run = { id: scenarioId(scenario), scenario, round: 1, order: 1 };
      await using services = await engine.startRun(run, folder);
      equal((await verifyApp(services, scenario)).ok, true);
      const used = async () =>
        (await services.usage()).find(({ service }) => service === "app")!.cpuS;
      const before = await used();
      for (let i = 0; i < REQUESTS; i++) {
        const begun = performance.now();
        await (await fetch(`${services.appUrl}/posts/${1 + i}`)).text();
        ok(performance.now() - begun >= CPU_MS);
      }
      const ms = 1000 * (await used() - before) / REQUESTS;
      ok(ms >= CPU_MS && ms < CPU_MS + 15, `${framework}: ${ms} ms of CPU a request`);
    });
  }
});
