/** The samplers against real services of the local engine. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { DataFrame } from "nodejs-polars";
import { LocalEngine } from "./engine/local.ts";
import { listProcesses } from "./hosts/linux/proc.ts";
import type { LocalInstance } from "./hosts/local/instance.ts";
import { readAppTimes, readPgbouncer, readPostgres, readResources } from "./frames/run_files.ts";
import { waitUntil } from "./hosts/wait.ts";
import { createScenario, type Scenario } from "./scenario.ts";
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
import { rowsOf } from "./testing/run_shape.ts";
import { SleeplessCores } from "./testing/sleepless_cores.ts";
import { startOne } from "./testing/one_run.ts";
import { verifyApp } from "./verify/verify.ts";

const tools = await setUp();

interface Sampled {
  url: string;
  sampler: Sampler;
  process(name: string): LocalInstance;
}

/** A verified run that is sampled while `work` goes on. */
async function sampled(
  changes: Partial<Scenario>,
  intervalMs: number,
  work: (run: Sampled) => unknown,
  check: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-telemetry-" });
  try {
    await using _sleepless = new SleeplessCores();
    await using engine = new LocalEngine(tools);
    const scenario = createScenario({ framework: "django", path: "direct", users: 4, ...changes });
    await using services = await startOne(engine, scenario, { folder });
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

/** Waits until each file with readings has as many that were taken after a point in time. */
async function waitForReadings(files: string[], timeUs: number, { sampler }: Sampled, count = 1) {
  const after = (file: string) =>
    new Set(rowsOf(sampler.folder, file).map(([at]) => Number(at)).filter((at) => at >= timeUs));
  await waitUntil(() => files.every((file) => after(file).size >= count) || null, {
    what: `readings in ${files}`,
  });
}

/** When the next reading after a point in time was taken. */
function nextReading(frame: DataFrame, timeUs: number): number {
  return frame.getColumn("time_us").toArray().map(Number).find((time) => time >= timeUs)!;
}

/** How much later than a timer of ours the readings at a window's ends may be. */
const MAX_LATE_MS = 300;

/** The requests of a window. */
const REQUESTS = 40;

/** Asks for a window that holds as many requests, with others before and after it. */
async function windowOf(run: Sampled, files: string[]) {
  await ask(run.url, 7);
  // PostgreSQL's backends report once a second.
  await sleep(1100);
  const startUs = nowUs() + 50_000;
  const window = { startUs, endUs: startUs + 5e6, timerLateMs: 0 };
  const pass = async (timeUs: number) => {
    await sleep((timeUs - nowUs()) / 1000);
    window.timerLateMs = Math.max(window.timerLateMs, (nowUs() - timeUs) / 1000);
    await waitForReadings(files, timeUs, run);
  };
  run.sampler.expectWindow(window);
  await pass(startUs);
  await ask(run.url, REQUESTS);
  ok(nowUs() < window.endUs, `${REQUESTS} requests took longer than the window`);
  await pass(window.endUs);
  await ask(run.url, 7);
  return window;
}

Deno.test("sampler counts sessions and transactions of the window, and reads at its very ends", async () => {
  let window = { startUs: 0, endUs: 0, timerLateMs: 0 };
  await sampled(
    { reuse: "per_request" },
    30_000,
    async (run) => window = await windowOf(run, ["resources.csv", "postgres.csv", "app.csv"]),
    async (folder) => {
      // Exact from reading to reading: between them, all that is known is how much it was by then.
      const readIn = (frame: DataFrame) => ({
        startUs: nextReading(frame, window.startUs),
        endUs: nextReading(frame, window.endUs),
      });
      const postgres = await readPostgres(folder);
      equal(findFault(postgres, POSTGRES_COUNTERS, window), null);
      const { sessions, transactions, maxConnections } = postgresActivity(
        postgres,
        readIn(postgres),
      );
      // At this interval, all readings but the first and the last are those that were asked for.
      equal(postgres.height, 4);
      ok(Math.abs(sessions - REQUESTS) <= 1, `${sessions} sessions`);
      ok(Math.abs(transactions - REQUESTS) <= 1, `${transactions} transactions`);
      ok(maxConnections <= 4, `${maxConnections} connections`);
      const times = await readAppTimes(folder);
      const app = appActivity(times, readIn(times));
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
          const late = (nextReading(frame, timeUs) - timeUs) / 1000;
          ok(late < window.timerLateMs + MAX_LATE_MS, `${late} ms late`);
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
      async (run) => window = await windowOf(run, ["postgres.csv", "pgbouncer.csv"]),
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
  let [readingUs, stoppedUs] = [0, 0];
  await sampled(
    { path: "pooled" },
    100,
    async (run) => {
      const others = ["resources.csv", "pgbouncer.csv", "app.csv"];
      await ask(run.url, 3);
      readingUs = nowUs();
      await waitForReadings([...others, "postgres.csv"], readingUs, run, 4);
      const { pid } = run.process("postgres");
      // Its backends as well: they answer by themselves.
      const all = [pid, ...listProcesses().filter((of) => of.parent === pid).map((of) => of.pid)];
      for (const member of all) Deno.kill(member, "SIGSTOP");
      stoppedUs = nowUs();
      await waitForReadings(others, stoppedUs, run, 5);
      for (const member of all) Deno.kill(member, "SIGKILL");
      await waitForReadings(others, nowUs(), run, 2);
    },
    async (folder) => {
      const times = (await readPostgres(folder)).getColumn("time_us").toArray().map(Number);
      ok(times.filter((at) => at >= readingUs).length >= 4, `${times}`);
      ok(times.at(-1)! <= stoppedUs, `${times}, stopped at ${stoppedUs}`);
      const resources = await readResources(folder);
      const ofApp = resources.toRecords().filter((row) =>
        row.service === "app" && Number(row.time_us) > stoppedUs
      );
      ok(ofApp.length >= 7, `${ofApp.length} readings of the app`);
      deepEqual(resources.columns.slice(0, 3), ["time_us", "service", "cpu_s"]);
    },
  );
});
