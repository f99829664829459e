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
} from "../frames/testing.ts";
import { planRuns } from "../plan.ts";
import { createScenario, PATHS, type Scenario, scenarioId } from "../scenario.ts";
import { studyContext } from "./context.ts";
import { differingSettings, pathRatios, summariseRun, summariseScenarios } from "./summarise.ts";
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
  const { completed, unfinished } = cutWindow(frame, manifest.window!);
  assert.equal(completed.height, 3);
  assert.equal(unfinished.height, 2);
});

Deno.test("summariseRun() counts correct answers and takes exact percentiles of them", async () => {
  const rows: SyntheticRequest[] = Array.from({ length: 100 }, (_, i) => ({
    startUs: startUs + 1000 * i,
    serviceUs: 1000 * (100 - i),
  }));
  // Failures are slow here: were they in the percentiles, these would show it.
  const failure = { serviceUs: 900_000, status: 503, error: "503" };
  const failures = Array.from({ length: 4 }, (_, i) => ({ startUs: startUs + i, ...failure }));
  const run = summariseRun(manifest, await frameOf([...rows, ...failures]), "the arm");
  assert.equal(run.arm, "the arm");
  assert.equal(run.requests, 104);
  assert.equal(run.failures, 4);
  assert.equal(run.rps, 50); // 100 over a window of 2 s
  assert.equal(run.failuresPerS, 2);
  assert.equal(run.errorRate, 4 / 104);
  assert.deepEqual([run.p50Ms, run.p95Ms, run.p99Ms], [50, 95, 99]);
  assert.equal(run.censored, false);
});

Deno.test("summariseRun() is censored when unfinished exceed 5 % of the completed", async () => {
  const rows = Array.from({ length: 100 }, (_, i) => ({ startUs: startUs + i, serviceUs: 10 }));
  const open = (n: number) =>
    Array.from({ length: n }, () => ({
      startUs: endUs - 5,
      serviceUs: 5,
      status: 0,
      error: "unfinished",
    }));
  assert.equal(summariseRun(manifest, await frameOf([...rows, ...open(5)])).censored, false);
  const censored = summariseRun(manifest, await frameOf([...rows, ...open(6)]));
  assert.equal(censored.censored, true);
  assert.equal(censored.unfinished, 6);
  assert.equal(censored.requests, 100);
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
    unfinished: 0,
    rps,
    failuresPerS: 0,
    errorRate: 0,
    p50Ms: rps,
    p95Ms: 2 * rps,
    p99Ms: 3 * rps,
    measured: true,
    censored: false,
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
  return pathRatios(summariseScenarios(runs), runs);
}

Deno.test("pathRatios() pairs by round and leaves out rounds with a failure", () => {
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
  assert.deepEqual([ratio!.label, ratio!.reuse, ratio!.differences], ["flask", "app_pool", []]);
});

Deno.test("pathRatios() says why there is no ratio", () => {
  const failure = { status: "failed", cause: "flask direct: too many clients already" } as const;
  const [ratio] = ratiosOf([run(direct, 1, 1, failure), run(pooled, 1, 200)]);
  assert.equal(ratio!.ratio, null);
  assert.equal(ratio!.missing, "direct failed: too many clients already");
  assert.deepEqual(ratio!.failedPaths, ["direct"]);
});

Deno.test("pathRatios() pairs what differs least, and says in what", () => {
  const off = createScenario({ ...pooled, preparedStatements: false });
  const fewer = createScenario({ ...direct, workers: 1 });
  const ratios = ratiosOf([run(fewer, 1, 10), run(direct, 1, 100), run(off, 1, 150)]);
  assert.equal(ratios.length, 1);
  assert.equal(ratios[0]!.direct, scenarioId(direct));
  assert.deepEqual(ratios[0]!.differences, ["preparedStatements"]);
});

Deno.test("pathRatios() has none where one path was not run", () => {
  assert.deepEqual(ratiosOf([run(pooled, 1, 100)]), []);
  const other = createScenario({ ...direct, users: 500 });
  assert.deepEqual(ratiosOf([run(pooled, 1, 100), run(other, 1, 100)]), []);
});

Deno.test("differingSettings() ignores what acts on one path only", () => {
  assert.deepEqual(differingSettings(direct, { ...pooled, defaultPoolSize: 3 }), []);
  assert.deepEqual(differingSettings(direct, { ...pooled, dbCpus: null }), ["dbCpus"]);
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
