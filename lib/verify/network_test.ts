import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunServices } from "../engine/run_services.ts";
import { LocalEngine } from "../engine/local.ts";
import { type NetworkAccount, readNetwork } from "../services/network.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario, PATHS, type Scenario } from "../scenario.ts";
import { setUp } from "../setup/mod.ts";
import { lowScenario, startOne } from "../testing/one_run.ts";
import { SleeplessCores } from "../testing/sleepless_cores.ts";
import { deliveriesBetween, verifyNetwork } from "./network.ts";
import { verifyApp } from "./verify.ts";

function quantile(values: number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)]!;
}

/** Sends a request and reads its answer to the end; gives the time in milliseconds. */
async function ask(services: RunServices, path: string): Promise<number> {
  const begun = performance.now();
  const response = await fetch(services.appUrl + path);
  await response.bytes();
  equal(response.status, 200);
  return performance.now() - begun;
}

/** Round trips that are over when a request's answer is there; what follows it costs no one time. */
async function countRoundTrips(services: RunServices, path: string): Promise<number> {
  const all = async () =>
    (await readNetwork(services.network!.control)).legs.reduce((n, leg) => n + leg.roundTrips, 0);
  const counts: number[] = [];
  for (let i = 0; i < 9; i++) {
    const before = await all();
    await ask(services, path);
    counts.push(await all() - before);
    // A rollback may follow the answer.
    await sleep(15);
  }
  return quantile(counts, 0.5);
}

/**
 * Passes the time until what follows an answer, such as a rollback, is over; with requests without
 * the database, for after a rest everything would be slower, and by more than what is measured.
 */
async function keepBusy(services: RunServices, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) await ask(services, "/ping");
}

const ROUTES = ["/users/7", "/posts/77", "/ping"];
const RTT_MS = 2;
const PAIRS = 300;
/**
 * The way is longer for every request, so that every quantile moves by as much. A low one is moved by
 * nothing else: what the machine does beside this makes requests only slower.
 */
const LOW_SHARE = 0.1;

/** Minutes on an idle machine: a busy one makes the longer way longer still. */
const FULL = Deno.env.get("POOLSCOPE_FULL") === "1";

Deno.test({
  name: "a round-trip time of 2 ms is seen in the service time, in all arms",
  ignore: !FULL,
  fn: seeRoundTrips,
});

async function seeRoundTrips(t: Deno.TestContext): Promise<void> {
  const tools = await setUp();
  // Two environments, asked in turns, so that nothing else of the machine decides.
  await using near = new LocalEngine(tools);
  await using far = new LocalEngine(tools);
  for (const framework of FRAMEWORKS) {
    for (const path of PATHS) {
      await t.step(`${framework} ${path}`, async () => {
        const scenario = lowScenario({ framework, path, rttAppDbMs: RTT_MS });
        await using without = await startOne(near, lowScenario({ framework, path }));
        await using within = await startOne(far, scenario);
        for (const services of [without, within]) {
          await verifyApp(services, scenario);
          for (let i = 0; i < 20; i++) for (const route of ROUTES) await ask(services, route);
        }
        // All routes together: what a scenario's service time is made of.
        let [grown, expected] = [0, 0];
        for (const route of ROUTES) {
          const trips = await countRoundTrips(within, route);
          equal(trips > 0, route !== "/ping", `${route} has ${trips} round trips`);
          const took = { without: [] as number[], within: [] as number[] };
          for (let i = 0; i < PAIRS; i++) {
            await keepBusy(without, 4);
            took.without.push(await ask(without, route));
            await keepBusy(within, 4);
            took.within.push(await ask(within, route));
          }
          const by = (share: number) =>
            quantile(took.within, share) - quantile(took.without, share);
          console.log(
            `${framework} ${path} ${route}: ${trips} round trips make it ` +
              `${by(LOW_SHARE).toFixed(3)} ms longer, at the median ${by(0.5).toFixed(3)} ` +
              `(n = ${PAIRS} each)`,
          );
          grown += by(LOW_SHARE);
          expected += trips * RTT_MS;
        }
        const off = grown / expected - 1;
        console.log(`${framework} ${path}: ${(100 * off).toFixed(1)}% off`);
        ok(Math.abs(off) <= 0.1, `${grown} ms longer instead of ${expected}`);
      });
    }
  }
}

Deno.test("every leg is as the scenario asks, or the run ends before the load", async (t) => {
  await using _sleepless = new SleeplessCores();
  await using engine = new LocalEngine(await setUp());
  const legs = { rttAppDbMs: 1, rttAppPgbouncerMs: 0.5, rttPgbouncerDbMs: 1, tlsAppDb: true };
  for (const framework of FRAMEWORKS) {
    for (const path of PATHS) {
      await t.step(`${framework} ${path}`, async () => {
        const scenario = lowScenario({ framework, path, ...legs });
        await using services = await startOne(engine, scenario);
        const { throughPgbouncer } = await verifyApp(services, scenario);
        equal(throughPgbouncer, path === "pooled");
        const { method, legs: seen } = await verifyNetwork(services, scenario);
        equal(method, "relay");
        const asked = path === "direct" ? { appDb: 1 } : { appPgbouncer: 0.5, pgbouncerDb: 1 };
        deepEqual(
          Object.fromEntries(Object.entries(seen).map(([name, leg]) => [name, leg.rttMs.asked])),
          asked,
        );
        for (const { rttMs, tls } of Object.values(seen)) {
          ok(Math.abs(rttMs.measured! - rttMs.asked) <= 0.25);
          equal(tls.asked, true);
          match(tls.inForce!, /^TLSv1\.[23] \w+/);
        }
        // The same services, for scenarios that ask for something else, which no noise adds.
        const other = (change: Partial<Scenario>) =>
          verifyNetwork(services, createScenario({ ...scenario, ...change }));
        await rejects(
          other({ rttAppDbMs: 10, rttAppPgbouncerMs: 10 }),
          /adds \d\.\d\d ms to a question, not the 10 ms asked for/,
        );
        await rejects(
          other({ tlsAppDb: false, tlsAppPgbouncer: false }),
          /is encrypted \(TLSv1\.[23] .*\), the scenario asks for none/,
        );
      });
    }
  }
  await t.step("without TLS, a new connection for each request", async () => {
    for (const path of PATHS) {
      const scenario = lowScenario({ framework: "django", path, reuse: "per_request" });
      await using services = await startOne(engine, scenario);
      await verifyApp(services, scenario);
      const { method, legs: seen } = await verifyNetwork(services, scenario);
      equal(method, null);
      for (const leg of Object.values(seen)) {
        deepEqual(leg, {
          rttMs: { asked: 0, measured: null },
          tls: { asked: false, inForce: null },
        });
      }
      await rejects(
        verifyNetwork(services, { ...scenario, tlsAppDb: true, tlsAppPgbouncer: true }),
        /is not encrypted, the scenario asks for TLS/,
      );
    }
  });
});

Deno.test("deliveriesBetween() counts what came between two accounts", () => {
  const account = (chunks: number, lateMs: number, lateCounts: number[]): NetworkAccount => ({
    cpuS: 0,
    legs: [{
      name: "appDb",
      connections: 1,
      bytes: 1,
      clients: [],
      refused: 0,
      roundTrips: chunks / 2,
      chunks,
      lateMs,
      lateMaxMs: 9,
      lateCounts,
    }],
  });
  deepEqual(
    deliveriesBetween(account(100, 50, [0, 50, 50, 0]), account(300, 80, [0, 240, 59, 1])),
    { appDb: { chunks: 200, roundTrips: 100, lateMeanMs: 0.15, lateP99Ms: 0.004 } },
  );
  const none = account(0, 0, [0, 0]);
  deepEqual(
    deliveriesBetween(none, none),
    { appDb: { chunks: 0, roundTrips: 0, lateMeanMs: 0, lateP99Ms: 0 } },
  );
});
