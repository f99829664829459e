// test lane: checkout
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { readRequests } from "../frames/run_files.ts";
import {
  requestsCsv,
  syntheticManifest,
  syntheticPlan,
  type SyntheticRequest,
} from "../testing/synthetic_study.ts";
import { planRuns } from "../plan.ts";
import { createScenario, PATHS, type Scenario, scenarioId } from "../scenario.ts";
import type { FinalAccount } from "../store/manifest.ts";
import { deliveryTrouble } from "./delivery.ts";
import { percentilesMs, responseTimes } from "./latency.ts";
import { compareScenarios } from "./comparisons.ts";
import { studyContext } from "./context.ts";
import { differingSettings, isLowerBound, summariseRun, summariseScenarios } from "./summarise.ts";
import { NO_CONDITIONS } from "./conditions.ts";
import type { RunSummary } from "./summary.ts";
import { cutWindow } from "./window.ts";

const plan = syntheticPlan({ users: [100], rounds: 1 });
const planned = planRuns(plan)[0]!;
const manifest = syntheticManifest(plan, planned);
const { startUs, endUs } = manifest.window!;

async function frameOf(rows: SyntheticRequest[]): Promise<DataFrame> {
  const folder = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  try {
    writeFileSync(join(folder, "requests.csv"), requestsCsv(rows));
    return await readRequests(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("cutWindow() counts by completion", async () => {
  const frame = await frameOf([
    { startUs: startUs - 50, serviceUs: 49 }, // completed before
    { startUs: startUs - 50, serviceUs: 50 }, // completed at the start: inside
    { startUs: endUs - 50, serviceUs: 49 }, // inside
    { startUs: endUs - 50, serviceUs: 50 }, // completed at the end: too late, unfinished
    { startUs: endUs + 1, serviceUs: 50 }, // began after the window: not its business
    { startUs: endUs - 9, serviceUs: 9, status: 0, error: "unfinished" },
    { startUs: startUs + 1, serviceUs: 5, status: 500, error: "500 Internal Server Error" },
  ]);
  const { correct, failed, unfinished } = cutWindow(frame, manifest.window!);
  assert.deepEqual([correct.length, failed.length, unfinished.length], [2, 1, 2]);
});

Deno.test("cutWindow() of a run with turns counts answers of their settled parts, and times what was sent in them", async () => {
  const turn = (block: number, at: number) => ({
    block,
    place: 2,
    startUs: startUs + at,
    settledUs: startUs + at + 200,
    endUs: startUs + at + 1000,
  });
  const frame = await frameOf([
    { startUs: startUs + 100, serviceUs: 50 }, // answered while it settled: neither
    { startUs: startUs + 150, serviceUs: 100 }, // sent before, answered after: counts
    { startUs: startUs + 300, serviceUs: 100 }, // both
    { startUs: startUs + 990, serviceUs: 60 }, // answered after the end: timed
    { startUs: startUs + 900, serviceUs: 50, status: 500, error: "HTTP 500" },
    { startUs: startUs + 2300, serviceUs: 10 }, // the second turn's
  ]);
  const turns = [turn(0, -2000), turn(1, 0), turn(2, 2000)];
  const cut = cutWindow(frame, { startUs, endUs: startUs + 3000 }, false, turns);
  assert.deepEqual(cut.turns, [
    {
      block: 1,
      place: 2,
      rps: 2 / 0.0008,
      earlyRps: 4 / 0.0008,
      lateRps: 0,
      serviceMs: 0.08,
      timesUs: Float64Array.of(100, 60),
    },
    {
      block: 2,
      place: 2,
      rps: 1 / 0.0008,
      earlyRps: 2 / 0.0008,
      lateRps: 0,
      serviceMs: 0.01,
      timesUs: Float64Array.of(10),
    },
  ]);
  assert.deepEqual(cut.counted, {
    seconds: 0.0016,
    answered: 4,
    correct: 3,
    // 0, 50, 100, 10, 50 and 10 µs of them lie in the counted parts.
    inFlightS: 220 / 1e6,
  });
  assert.deepEqual([...cut.timed].map((i) => cut.requests.serviceUs[i]), [100, 60, 10]);
  assert.equal(cut.correct.length, 5);
  const none = cutWindow(frame, { startUs, endUs: startUs + 3000 });
  assert.deepEqual([none.turns, none.counted.correct, none.timed.length], [null, 5, 5]);
  assert.equal(none.counted.inFlightS, null);
});

Deno.test("cutWindow() of an open loop with turns times what was due in their settled parts", async () => {
  const turn = { block: 1, place: 1, startUs, settledUs: startUs + 300, endUs: startUs + 1000 };
  const due = (intended: number, waited: number, serviceUs: number, error?: string) => ({
    intendedUs: startUs + intended,
    startUs: startUs + intended + waited,
    serviceUs,
    responseUs: waited + serviceUs,
    ...(error !== undefined && { error, status: 0 }),
  });
  const frame = await frameOf([
    due(100, 0, 500), // Due before it had settled, and answered after: throughput alone.
    due(290, 50, 10), // Sent after it had settled, but due before.
    due(300, 0, 100),
    due(990, 500, 600), // Due in it, sent and answered after its end: latency alone.
    due(1000, 0, 50), // Arrivals go on until that.
    due(200, 0, 900, "unfinished"),
    due(700, 0, 900, "unfinished"),
    due(800, 0, 0, "dropped"),
  ]);
  const cut = cutWindow(frame, { startUs, endUs: startUs + 3000 }, true, [turn]);
  const { timed, waiting, requests, turns, counted } = cut;
  assert.deepEqual([...timed].map((i) => requests.responseUs![i]), [100, 1100]);
  assert.deepEqual([...waiting].map((i) => requests.intendedUs![i]! - startUs), [700, 800]);
  assert.deepEqual([...turns![0]!.timesUs], [100, 1100]);
  assert.equal(turns![0]!.serviceMs, 0.35);
  assert.equal(counted.correct, 3);
  assert.deepEqual([cut.correct.length, cut.unfinished.length, cut.dropped.length], [5, 2, 1]);
  const { sorted } = responseTimes(cut);
  assert.deepEqual([...sorted], [0, 100, 900, 1100]);
});

Deno.test("summariseRun() counts correct answers and takes exact percentiles of them", async () => {
  const rows: SyntheticRequest[] = Array.from({ length: 2000 }, (_, i) => ({
    startUs: startUs + 900 * i,
    serviceUs: 50 * (2000 - i),
  }));
  // Failures are slow here: were they in the percentiles, these would show it.
  const failure = { serviceUs: 900_000, status: 503, error: "503" };
  const failures = Array.from({ length: 4 }, (_, i) => ({ startUs: startUs + i, ...failure }));
  const run = summariseRun(manifest, await frameOf([...rows, ...failures]), "the arm");
  assert.equal(run.arm, "the arm");
  assert.equal(run.requests, 2004);
  assert.equal(run.failures, 4);
  assert.equal(run.rps, 1000); // 2000 over a window of 2 s
  assert.equal(run.failuresPerS, 2);
  assert.equal(run.errorRate, 4 / 2004);
  assert.deepEqual([run.p50Ms, run.p95Ms, run.p99Ms], [50, 95, 99]);
  assert.deepEqual(run.serviceMs, { p50: 50, p90: 90, p95: 95, p99: 99, "p99.9": null });
  assert.deepEqual([run.responseMs, run.delivery, run.exactUpTo], [null, null, 100]);
});

Deno.test("percentilesMs() shows no percentile with fewer than 20 values beyond it", () => {
  const shown = (n: number) =>
    Object.entries(percentilesMs(Float64Array.from({ length: n }, (_, i) => i)))
      .flatMap(([name, value]) => value === null ? [] : [name]);
  const needs = { p50: 40, p90: 200, p95: 400, p99: 2000, "p99.9": 20_000 };
  let before: string[] = [];
  for (const [name, n] of Object.entries(needs)) {
    assert.deepEqual(shown(n - 1), before);
    before = [...before, name];
    assert.deepEqual(shown(n), before);
  }
});

const open = createScenario({ ...manifest.scenario, users: null, arrivalRate: 250 });
const openManifest = { ...manifest, scenario: open };

/** 500 requests, one each 4 ms; those due in a stall from 1.5 to 1.9 s are answered at its end. */
function stalledRows(): SyntheticRequest[] {
  return Array.from({ length: 500 }, (_, i) => {
    const intendedUs = startUs + 4000 * i;
    const stallEnd = startUs + 1_900_000;
    const stalled = i >= 375 && intendedUs < stallEnd;
    const responseUs = stalled ? stallEnd - intendedUs : 1000;
    return { intendedUs, startUs: intendedUs, serviceUs: responseUs, responseUs };
  });
}

Deno.test("summariseRun() of an open loop takes the response time, from when requests were due", async () => {
  // The generator has one connection here: what waits for it is sent late, and served fast.
  const rows = stalledRows().map((row) => ({
    ...row,
    startUs: row.intendedUs! + row.responseUs! - 1000,
    serviceUs: 1000,
  }));
  const run = summariseRun(openManifest, await frameOf(rows));
  assert.equal(run.serviceMs.p95, 1);
  // 100 of 500 waited 4, 8, … 400 ms: the 475th of all is the 75th of these.
  assert.deepEqual([run.responseMs!.p50, run.responseMs!.p95, run.p95Ms], [1, 300, 300]);
  assert.equal(run.responseMs!.p99, null);
  assert.deepEqual(run.delivery, { arrivals: 500, late: 98, dropped: 0 });
  assert.equal(run.exactUpTo, 100);
});

Deno.test("summariseRun() of an open loop counts what was due in the window, not what ended in it", async () => {
  const wait = { intendedUs: endUs - 1000, startUs: endUs - 1000, responseUs: 700_000 };
  const run = summariseRun(
    openManifest,
    await frameOf([
      ...stalledRows(),
      { ...wait, serviceUs: 700_000 }, // answered while the load went on: counts
      { intendedUs: endUs, startUs: endUs, serviceUs: 10, responseUs: 10 }, // due after it: not
      { intendedUs: startUs - 1, startUs: startUs - 1, serviceUs: 900, responseUs: 900 }, // before
    ]),
  );
  assert.equal(run.requests, 501);
  assert.equal(run.delivery!.arrivals, 501);
  // Throughput is what came out within the window: all but the 700 ms, and the one due before it.
  assert.equal(run.rps, 501 / 2);
});

Deno.test("summariseRun() of an open loop keeps those without an answer, as lower bounds", async () => {
  const wait = { startUs: endUs - 9, status: 0 };
  const giveUp = (count: number, error: string, responseUs: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...wait,
      error,
      responseUs,
      intendedUs: endUs - 10 - i,
      serviceUs: error === "dropped" ? 0 : responseUs,
    }));
  const rows = stalledRows().slice(0, 370);
  const run = summariseRun(
    openManifest,
    await frameOf([
      ...rows,
      ...giveUp(20, "unfinished", 50_000),
      ...giveUp(10, "dropped", 40_000),
    ]),
  );
  assert.deepEqual([run.requests, run.unfinished, run.failures], [370, 20, 0]);
  assert.deepEqual(run.delivery, { arrivals: 400, late: 0, dropped: 10 });
  assert.equal(run.responseMs!.p95, 40); // the 380th of 400: 370 answered, then those never sent
  assert.equal(run.exactUpTo, 92.5); // 370 of 400
  assert.deepEqual([90, 92.5, 95].map((p) => isLowerBound(run, p)), [false, false, true]);
  assert.match(
    deliveryTrouble(run.delivery)!,
    /could not keep up: 2\.5% of the requests were never/,
  );
});

Deno.test("summariseRun() of an open loop is not in doubt for a few that were just sent", async () => {
  const steady = Array.from({ length: 500 }, (_, i) => {
    const intendedUs = startUs + 4000 * i;
    return { intendedUs, startUs: intendedUs, serviceUs: 50_000 + i, responseUs: 50_000 + i };
  });
  const justSent = [1, 2, 3].map((i) => ({
    intendedUs: endUs - i,
    startUs: endUs - i,
    serviceUs: i,
    responseUs: i,
    status: 0,
    error: "unfinished",
  }));
  const run = summariseRun(openManifest, await frameOf([...steady, ...justSent]));
  assert.equal(run.unfinished, 3);
  // With an answer at once or never, P95 is 50.474 or 50.477 ms; P99.9 is 50.499 ms or anything.
  assert.equal(run.responseMs!.p95, 50.474);
  assert.deepEqual([50, 95, 99, 99.9].map((p) => isLowerBound(run, p)), [
    false,
    false,
    false,
    true,
  ]);
});

Deno.test("deliveryTrouble() is said from 0.5% not sent or 1% late on", () => {
  const trouble = (late: number, dropped: number) =>
    deliveryTrouble({ arrivals: 1000, late, dropped });
  assert.deepEqual([trouble(10, 5), deliveryTrouble(null)], [null, null]);
  assert.match(trouble(11, 0)!, /1\.1% were sent more than 10 ms late/);
  assert.match(trouble(0, 6)!, /0\.6% of the requests were never sent/);
});

Deno.test("summariseScenarios() shows a percentile only where every run has it", () => {
  const [some] = summariseScenarios([run(direct, 1, 100), run(direct, 2, 90, { p99Ms: null })]);
  assert.deepEqual([some!.p95Ms!.value, some!.p99Ms], [190, null]);
});

Deno.test("summariseRun() has lower bounds when unfinished exceed 5% of the completed", async () => {
  const rows = Array.from({ length: 100 }, (_, i) => ({ startUs: startUs + i, serviceUs: 10 }));
  const without = (n: number) =>
    Array.from({ length: n }, () => ({
      startUs: endUs - 5,
      serviceUs: 5,
      status: 0,
      error: "unfinished",
    }));
  assert.equal(summariseRun(manifest, await frameOf([...rows, ...without(5)])).exactUpTo, 100);
  const censored = summariseRun(manifest, await frameOf([...rows, ...without(6)]));
  assert.equal(censored.exactUpTo, 0);
  assert.equal(censored.unfinished, 6);
  assert.equal(censored.requests, 100);
});

Deno.test("the generator's CPU is of the time by the clock, in which it worked for others too", async () => {
  const process = { seed: 1, loadStartUs: startUs, windowStartUs: startUs, requests: 9 };
  const spent = { windowEndUs: endUs + 3 * (endUs - startUs), cpuS: 4, loopLagMaxMs: 1 };
  const final = { ...process, ...spent, processes: [{ ...process, ...spent }] };
  const sources = {
    final: final as unknown as FinalAccount,
    resources: null,
    turns: null,
    idle: null,
    leftOut: 0,
  };
  const { conditions } = summariseRun(manifest, await frameOf([]), "one", null, sources);
  const { busiest, cores } = conditions.generator!;
  assert.deepEqual([busiest, cores], [0.5, 0.5]);
});

Deno.test("summariseRun() of a run without load or without answers", async () => {
  const failed = { ...manifest, status: "failed" as const, cause: "no start", window: null };
  const none = summariseRun(failed, null);
  assert.deepEqual([none.rps, none.errorRate, none.p95Ms], [0, null, null]);
  const empty = summariseRun(manifest, await frameOf([]));
  assert.deepEqual([empty.requests, empty.errorRate, empty.p50Ms], [0, null, null]);
});

function run(scenario: Scenario, round: number, rps: number, rest: Partial<RunSummary> = {}) {
  return {
    scenarioId: scenarioId(scenario),
    scenario,
    arm: `${scenario.framework} ${scenario.path}`,
    round,
    status: "ok",
    cause: null,
    requests: rps,
    failures: 0,
    timed: rps,
    unfinished: 0,
    rps,
    slices: null,
    failuresPerS: 0,
    errorRate: 0,
    p50Ms: rps,
    p95Ms: 2 * rps,
    p99Ms: 3 * rps,
    measured: true,
    counted: true,
    exactUpTo: 100,
    delivery: null,
    serviceMs: percentilesMs(new Float64Array()),
    responseMs: null,
    conditions: NO_CONDITIONS,
    telemetry: null,
    ...rest,
  } satisfies RunSummary as RunSummary;
}

const direct = createScenario({ framework: "flask", path: "direct", users: 100 });
const pooled = createScenario({ framework: "flask", path: "pooled", users: 100 });

Deno.test("summariseScenarios() keeps failed runs out of means and medians", () => {
  const failure = { status: "failed", cause: "it broke", failures: 900, errorRate: 0.9 } as const;
  const [summary] = summariseScenarios([
    run(direct, 1, 100),
    run(direct, 2, 110),
    run(direct, 3, 120),
    run(direct, 4, 1000, { ...failure, failuresPerS: 40 }),
  ]);
  assert.equal(summary!.n, 3);
  assert.equal(summary!.rps!.value, 110);
  assert.deepEqual(summary!.p95Ms, { value: 220, low: 200, high: 240 });
  assert.equal(summary!.failedRuns, 1);
  assert.equal(summary!.failedRps, 1000);
  assert.equal(summary!.cause, "it broke");
  assert.equal(summary!.failuresPerS, 10);
  assert.equal(summary!.errorRate, 900 / 1330);
});

Deno.test("summariseScenarios() of nothing but failures has no values", () => {
  const cause = { status: "failed" as const };
  const [summary] = summariseScenarios([
    run(direct, 1, 5, { ...cause, cause: "a" }),
    run(direct, 2, 7, { ...cause, cause: "b" }),
    run(direct, 3, 9, { ...cause, cause: "b" }),
  ]);
  assert.deepEqual([summary!.n, summary!.rps, summary!.p95Ms], [0, null, null]);
  assert.deepEqual([summary!.cause, summary!.failedRps], ["b", 7]);
});

Deno.test("summariseScenarios() never gives throughput below 0", () => {
  const [summary] = summariseScenarios([run(direct, 1, 1), run(direct, 2, 1000)]);
  assert.equal(summary!.rps!.low, 0);
});

function ratiosOf(runs: RunSummary[]) {
  const scenarios = [...new Map(runs.map((run) => [run.scenarioId, run.scenario])).values()];
  const rounds = Math.max(...runs.map((run) => run.round));
  return compareScenarios({ scenarios, rounds }, summariseScenarios(runs), runs).ratios;
}

Deno.test("compareScenarios() pairs by round and leaves out rounds with a failure", () => {
  const [ratio] = ratiosOf([
    run(direct, 1, 100),
    run(pooled, 1, 200),
    run(pooled, 2, 900),
    run(direct, 2, 100, { status: "failed", cause: "x" }),
    run(direct, 3, 50),
    run(pooled, 3, 100),
  ]);
  assert.equal(ratio!.n, 2);
  assert.ok(Math.abs(ratio!.ratio!.value - 2) < 1e-12);
  assert.deepEqual([ratio!.label, ratio!.reuse, ratio!.differences], ["Flask", "app_pool", []]);
});

Deno.test("compareScenarios() says why there is no ratio", () => {
  const failure = { status: "failed", cause: "Flask direct: too many clients already" } as const;
  const [ratio] = ratiosOf([run(direct, 1, 1, failure), run(pooled, 1, 200)]);
  assert.equal(ratio!.ratio, null);
  assert.equal(ratio!.missing, "direct failed: too many clients already");
  assert.deepEqual(ratio!.failedPaths, ["direct"]);
});

Deno.test("compareScenarios() pairs what differs least, and says in what", () => {
  const off = createScenario({ ...pooled, preparedStatements: false });
  const fewer = createScenario({ ...direct, workers: 1 });
  const ratios = ratiosOf([run(fewer, 1, 10), run(direct, 1, 100), run(off, 1, 150)]);
  assert.equal(ratios.length, 1);
  assert.equal(ratios[0]!.direct, scenarioId(direct));
  assert.deepEqual(ratios[0]!.differences, ["preparedStatements"]);
});

Deno.test("compareScenarios() has none where one path was not run", () => {
  assert.deepEqual(ratiosOf([run(pooled, 1, 100)]), []);
  const other = createScenario({ ...direct, users: 500 });
  assert.deepEqual(ratiosOf([run(pooled, 1, 100), run(other, 1, 100)]), []);
});

Deno.test("differingSettings() ignores what acts on one path only", () => {
  assert.deepEqual(differingSettings(direct, { ...pooled, defaultPoolSize: 3 }), []);
  assert.deepEqual(differingSettings(direct, { ...pooled, dbCpus: null }), ["dbCpus"]);
  // Within one path, PgBouncer's own act where there is a PgBouncer.
  assert.deepEqual(differingSettings(pooled, { ...pooled, defaultPoolSize: 3 }), [
    "defaultPoolSize",
  ]);
  assert.deepEqual(differingSettings(direct, { ...direct, defaultPoolSize: 3 }), []);
  assert.deepEqual(differingSettings(direct, { ...direct, replica: 1 }), []);
});

Deno.test("studyContext() names round-trip times and encryption where there are some", () => {
  const text = (settings: Partial<Scenario>) => {
    const scenarios = PATHS.map((path) =>
      createScenario({ framework: "flask", path, users: 10, ...settings })
    );
    return studyContext({ ...plan, scenarios }, []).network?.replaceAll("\u00a0", " ") ?? null;
  };
  assert.equal(text({}), null);
  assert.equal(
    text({ rttAppDbMs: 2, tlsAppDb: true }),
    "round-trip time app to PostgreSQL 2 ms, app to PgBouncer 2 ms; TLS on every connection",
  );
  assert.equal(
    text({ rttAppDbMs: 0.5, rttAppPgbouncerMs: 0, rttPgbouncerDbMs: 0.5, tlsAppPgbouncer: true }),
    "round-trip time app to PostgreSQL 0.5 ms, PgBouncer to PostgreSQL 0.5 ms; " +
      "TLS from app to PgBouncer",
  );
});

Deno.test("studyContext() tells limits in force from limits asked for", () => {
  const text = (manifests: Parameters<typeof studyContext>[1]) =>
    studyContext(plan, manifests).database.replaceAll("\u00a0", " ");
  assert.equal(text([manifest]), "database: 0.5 CPU, 512 MiB");
  assert.equal(text([]), "database: 0.5 CPU, 512 MiB asked for, not read back");
  const asked = { cpus: 0.5, memoryMiB: 512 };
  const limits = { postgres: { asked, readBack: { cpus: null, memoryMiB: null } } };
  assert.equal(
    text([{ ...manifest, limits }]),
    "database: no limit (0.5 CPU, 512 MiB asked for, not in force)",
  );
});

Deno.test("studyContext() has the window of an arm that stood alone, and else what was planned", () => {
  const alternating = { ...plan, design: "alternating", minutes: 4, windowS: 1 } as const;
  const windowOf = (...runs: Parameters<typeof studyContext>[1]) => {
    const { windowS, turns } = studyContext(alternating, runs);
    return [windowS, turns?.sliceS ?? null];
  };
  assert.deepEqual(windowOf(), [1, 1]);
  assert.deepEqual(windowOf({ ...manifest, windowS: 228 }), [228, null]);
  assert.deepEqual(windowOf({ ...manifest, windowS: 114, slices: 100 }), [1, 1]);
  assert.equal(studyContext({ ...plan, windowS: 20 }, [manifest]).windowS, manifest.windowS);
});
