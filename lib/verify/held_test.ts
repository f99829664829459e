// test lane: checkout
/** What an app is asked to do beside its statements: CPU time, and transactions that it holds. */

import { equal, ok } from "node:assert/strict";
import { LocalEngine } from "../engine/local.ts";
import { APP_USER } from "../services/database.ts";
import { openServer } from "../telemetry/postgres.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario } from "../scenario.ts";
import { setUp } from "../setup/mod.ts";
import { startOne } from "../testing/one_run.ts";
import { verifyApp } from "./verify.ts";

Deno.test("a transaction that is to be held is open for so long in all three apps", async (t) => {
  const HOLD_MS = 300;
  await using engine = new LocalEngine(await setUp());
  for (const framework of FRAMEWORKS) {
    await t.step(framework, async () => {
      const scenario = createScenario({ framework, path: "direct", users: 1, holdMs: HOLD_MS });
      await using stack = new AsyncDisposableStack();
      const services = stack.use(await startOne(engine, scenario));
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
      await using services = await startOne(engine, scenario);
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
