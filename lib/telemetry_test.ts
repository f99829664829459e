/** The samplers against real services of the local engine. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { DataFrame } from "nodejs-polars";
import { LocalEngine } from "./engine/local.ts";
import { listProcesses } from "./hosts/linux/proc.ts";
import type { LocalInstance } from "./hosts/local/instance.ts";
import { readAppTimes, readPgbouncer, readPostgres, readResources } from "./frames/run_files.ts";
import { createScenario, type Scenario, scenarioId } from "./scenario.ts";
import { setUp } from "./setup/mod.ts";
import { findFault } from "./stats/readings.ts";
import {
  appActivity,
  PGBOUNCER_COUNTERS,
  pgbouncerActivity,
  POSTGRES_COUNTERS,
  postgresActivity,
} from "./stats/telemetry.ts";
import { nowUs } from "./telemetry/sample_loop.ts";
import { Sampler } from "./telemetry/sampler.ts";
import { SleeplessCores } from "./testing/sleepless_cores.ts";
import { verifyApp } from "./verify/verify.ts";

const tools = await setUp();

/** A verified run that is sampled while `work` goes on. */
async function sampled(
  changes: Partial<Scenario>,
  intervalMs: number,
  work: (run: { url: string; sampler: Sampler; process(name: string): LocalInstance }) => unknown,
  check: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-telemetry-" });
  mkdirSync(join(folder, "logs"));
  try {
    await using _sleepless = new SleeplessCores();
    await using engine = new LocalEngine(tools);
    const scenario = createScenario({ framework: "django", path: "direct", users: 4, ...changes });
    const run = { id: scenarioId(scenario), scenario, round: 1, order: 1 };
    await using services = await engine.startRun(run, folder);
    await verifyApp(services, scenario);
    {
      await using sampler = await Sampler.start(services, folder, intervalMs);
      await work({
        url: services.appUrl,
        sampler,
        process: (name) => services.services.get(name) as LocalInstance,
      });
    }
    await check(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function ask(url: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    // With the connection kept, a single thread would wait a second for more.
    const headers = { connection: "close" };
    const response = await fetch(`${url}/users/${i + 1}`, { headers });
    equal(response.status, 200);
    await response.body?.cancel();
  }
}

/** How long after a point in time the next reading was taken, in milliseconds. */
function delayMs(frame: DataFrame, timeUs: number): number {
  const times = frame.getColumn("time_us").toArray().map(Number);
  return (times.find((time) => time >= timeUs)! - timeUs) / 1000;
}

/** How late the readings at a window's ends may be on a machine with other things to do. */
const MAX_LATE_MS = 300;

/** The requests of a window. */
const REQUESTS = 40;

/** Asks for a window that holds as many requests, with others before and after it. */
async function windowOf(run: { url: string; sampler: Sampler }) {
  await ask(run.url, 7);
  // PostgreSQL's backends report once a second.
  await sleep(1100);
  const startUs = nowUs() + 50_000;
  const window = { startUs, endUs: startUs + 5e6 };
  run.sampler.expectWindow(window);
  await sleep((startUs - nowUs()) / 1000 + MAX_LATE_MS);
  await ask(run.url, REQUESTS);
  ok(nowUs() < window.endUs, `${REQUESTS} requests took longer than the window`);
  await sleep((window.endUs - nowUs()) / 1000 + MAX_LATE_MS);
  await ask(run.url, 7);
  return window;
}

Deno.test("sampler counts sessions and transactions of the window, and reads at its very ends", async () => {
  let window = { startUs: 0, endUs: 0 };
  await sampled(
    { reuse: "per_request" },
    30_000,
    async (run) => window = await windowOf(run),
    async (folder) => {
      const postgres = await readPostgres(folder);
      equal(findFault(postgres, POSTGRES_COUNTERS, window), null);
      const { sessions, transactions, maxConnections } = postgresActivity(postgres, window);
      // At this interval, all readings but the first and the last are those that were asked for.
      equal(postgres.height, 4);
      ok(Math.abs(sessions - REQUESTS) <= 1, `${sessions} sessions`);
      ok(Math.abs(transactions - REQUESTS) <= 1, `${transactions} transactions`);
      ok(maxConnections <= 4, `${maxConnections} connections`);
      const app = appActivity(await readAppTimes(folder), window);
      ok(typeof app !== "string", String(app));
      equal(app.requests, REQUESTS);
      equal(app.connections, REQUESTS);
      const { handlerMs, connectMs, databaseMs, poolWaitMs } = app;
      // Reconnecting costs this app more than anything else.
      ok(connectMs > databaseMs && databaseMs > 0, `${connectMs} ms, ${databaseMs} ms`);
      ok(handlerMs > connectMs + databaseMs && poolWaitMs === 0, `${handlerMs}, ${poolWaitMs}`);
      equal((await readPgbouncer(folder)).height, 0);
      const resources = await readResources(folder);
      for (const frame of [postgres, resources]) {
        for (const timeUs of [window.startUs, window.endUs]) {
          const late = delayMs(frame, timeUs);
          ok(late >= 0 && late < MAX_LATE_MS, `${late} ms late`);
        }
      }
    },
  );
});

Deno.test("sampler counts PgBouncer's queries and logins, of clients that come and of those that stay", async () => {
  for (const [reuse, logins] of [["per_request", REQUESTS], ["persistent", 0]] as const) {
    let window = { startUs: 0, endUs: 0 };
    await sampled(
      { path: "pooled", reuse, workers: 1, threads: 1 },
      200,
      async (run) => window = await windowOf(run),
      async (folder) => {
        const pgbouncer = await readPgbouncer(folder);
        equal(findFault(pgbouncer, PGBOUNCER_COUNTERS, window), null);
        const { sessions } = postgresActivity(await readPostgres(folder), window);
        const seen = pgbouncerActivity(pgbouncer, sessions, window);
        equal(seen.transactions, REQUESTS);
        equal(seen.queries, REQUESTS);
        equal(sessions, 0);
        ok(seen.maxServers >= 1 && seen.maxServers <= 20, `${seen.maxServers} servers`);
        equal(seen.maxClients, reuse === "persistent" ? 1 : seen.maxClients);
        ok(Math.abs(seen.logins! - logins) <= (logins === 0 ? 0 : 1), `${seen.logins} logins`);
        ok(pgbouncer.height > 20 && pgbouncer.height < 60, `${pgbouncer.height} readings`);
      },
    );
  }
});

Deno.test("sampler keeps what was written when a server hangs or is killed, and goes on with the rest", async () => {
  await sampled(
    { path: "pooled" },
    100,
    async ({ process, url }) => {
      await ask(url, 3);
      await sleep(500);
      const { pid } = process("postgres");
      // Its backends as well: they answer by themselves.
      const all = [pid, ...listProcesses().filter((of) => of.parent === pid).map((of) => of.pid)];
      for (const member of all) Deno.kill(member, "SIGSTOP");
      await sleep(1000);
      for (const member of all) Deno.kill(member, "SIGKILL");
      await sleep(300);
    },
    async (folder) => {
      const heights = await Promise.all(
        [readPostgres, readPgbouncer].map(async (read) => (await read(folder)).height),
      );
      ok(heights[0]! >= 4 && heights[0]! <= 8, `${heights} readings`);
      ok(heights[1]! >= 13, `${heights} readings`);
      const resources = await readResources(folder);
      const ofApp = resources.toRecords().filter(({ service }) => service === "app");
      ok(ofApp.length >= 13, `${ofApp.length} readings of the app`);
      deepEqual(resources.columns.slice(0, 3), ["time_us", "service", "cpu_s"]);
    },
  );
});
