// test lane: checkout
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { cpSync, existsSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { InputsChangedError, UsageError } from "./errors.ts";
import { exportStudy } from "./export_study.ts";
import { syntheticPlan, type SyntheticRun, syntheticStudy } from "./testing/synthetic_study.ts";
import { EXPORTED_STUDY } from "./notebooks/guard.ts";
import type { Plan, PlannedRun } from "./plan.ts";
import { runConfirmation, runOpenLoop, runStudy, type RunStudyOptions } from "./run_study.ts";
import { loadStudy } from "./report/study.ts";
import { createScenario } from "./scenario.ts";
import { hashInputs } from "./setup/inputs.ts";
import { readManifest } from "./store/files.ts";
import type { RunInputs } from "./store/manifest.ts";
import { runFolder, runsFolder, studyFolder } from "./store/layout.ts";

const scenarios = (["direct", "pooled"] as const).map((path) =>
  createScenario({ framework: "flask", path, users: 10 })
);

/**
 * A study under `data/runs/` that was never run, older than any real one, so that it is nobody else's
 * newest; it is removed afterwards.
 */
function placeStudy(
  name: string,
  describe?: (run: PlannedRun) => SyntheticRun,
  day = 1,
): { plan: Plan; folder: string } & Disposable {
  const plan = syntheticPlan({ name, rounds: 2, windowS: 40, scenarios });
  const folder = studyFolder(name);
  using made = syntheticStudy(plan, describe);
  cpSync(made.folder, folder, { recursive: true });
  const time = new Date(2001, 0, day);
  utimesSync(join(folder, "plan.json"), time, time);
  return { plan, folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

/** The last round of the pooled path is to come. */
const unfinished = ({ scenario, round }: PlannedRun): SyntheticRun => ({
  rps: 50,
  medianMs: 10,
  absent: round === 2 && scenario.path === "pooled",
});

Deno.test("runStudy() takes no slip for a wish: unknown names and options start nothing", async () => {
  const folders = () => existsSync(runsFolder()) ? readdirSync(runsFolder()) : [];
  const cases: [object, RegExp][] = [
    [{ plan: "quick", study: "newset" }, /study "newset": .*did you mean "newest"\?.*start: true/],
    [{ studdy: "newest" }, /option "studdy" of runStudy\(\): .*did you mean "study"\?/],
    [{ plan: "quikc", study: "newest" }, /plan "quikc": no such plan \(did you mean "quick"\?\)/],
    [{ changes: { framework: ["flask"] } }, /option "framework" .*did you mean "frameworks"\?/],
    [{ changes: { frameworks: ["falsk"] } }, /"falsk" \(did you mean "flask"\?\): choose from/],
    [{ changes: { settings: { poolmode: "session" } } }, /did you mean "poolMode"\?/],
    [{ engine: "dokcer" }, /engine "dokcer" \(did you mean "docker"\?\)/],
    [{ plan: `none-${Deno.pid}.json` }, /Cannot read plan/],
    [
      { plan: { ...syntheticPlan({ name: `none-${Deno.pid}` }) }, study: "newest", start: false },
      /none in data\/runs is complete, and start is false; .*60 runs, 3 min/,
    ],
  ];
  const before = folders().filter((name) => name.includes(String(Deno.pid)));
  for (const [options, message] of cases) {
    const asked = options as RunStudyOptions;
    await rejects(runStudy({ ...asked, onEvent: () => ok(false, "it begins") }), (error: Error) => {
      ok(error instanceof UsageError, `${error}`);
      match(error.message, message);
      return true;
    });
  }
  deepEqual(folders().filter((name) => name.includes(String(Deno.pid))), before);
  ok(!existsSync(studyFolder("newset")));
});

Deno.test("runStudy() opens the newest of the plan that is given, and runs nothing when told so", async () => {
  using older = placeStudy(`older-${Deno.pid}`, undefined, 2);
  using newer = placeStudy(`newer-${Deno.pid}`, undefined, 3);
  using open = placeStudy(`open-${Deno.pid}`, unfinished, 4);
  const newest = async (plan: Plan) =>
    (await runStudy({ plan, study: "newest", start: false })).name;
  equal(await newest(older.plan), older.plan.name);
  equal(await newest(newer.plan), newer.plan.name);
  equal((await runStudy({ study: older.plan.name, plan: null, start: false })).runs.length, 4);
  await rejects(
    runStudy({ study: open.plan.name, start: false }),
    /open-\d+": 1 run, 41 s of load .* to come, and start is false; .*openStudy\("open-/,
  );
  await rejects(
    runStudy({ study: older.plan.name, changes: { users: [20] } }),
    /Cannot use changes with study "older-/,
  );
  ok(!existsSync(join(open.folder, "events.jsonl")));
  await rejects(
    runOpenLoop(await runStudy({ study: older.plan.name }), { strat: false } as RunStudyOptions),
    /option "strat" of runOpenLoop\(\): .*did you mean "start"\?/,
  );
});

Deno.test("in a notebook, more than a minute of load is announced before anything starts", async () => {
  // Runs of 41 s each: one is to come, or two.
  const bothPooled = (run: PlannedRun): SyntheticRun => ({
    ...unfinished(run),
    absent: run.scenario.path === "pooled",
  });
  using short = placeStudy(`short-${Deno.pid}`, unfinished);
  using long = placeStudy(`long-${Deno.pid}`, bothPooled);
  using stay = placeStudy(`stay-${Deno.pid}`, bothPooled);
  /** What a call prints until its load would start, and `started` where events begin. */
  const begin = async ({ plan }: { plan: Plan }, options: RunStudyOptions, ends: RegExp) => {
    const printed: string[] = [];
    const { log } = console;
    const onEvent = () => printed.includes("started") || printed.push("started");
    const signal = AbortSignal.abort(new Error("past all checks"));
    console.log = (text: string) => printed.push(text);
    try {
      await rejects(runStudy({ study: plan.name, onEvent, signal, ...options }), ends);
    } finally {
      console.log = log;
    }
    return printed;
  };
  deepEqual(await begin(long, {}, /past all checks/), ["started"]);
  const namespace = Deno as unknown as { jupyter: unknown };
  namespace.jupyter = {};
  try {
    deepEqual(await begin(short, {}, /past all checks/), ["started"]);
    const name = long.plan.name;
    deepEqual(await begin(long, {}, /past all checks/), [
      `Running study ${name} of plan ${name}: 2 runs, 1 min 22 s of load and some seconds around each run. Stop ends it and keeps complete runs; with start: false this call only opens studies.`,
      "started",
    ]);
    deepEqual(
      await begin(stay, { start: false }, /: 2 runs, 1 min 22 s .*, and start is false/),
      [],
    );
  } finally {
    namespace.jupyter = undefined;
  }
  ok(!existsSync(join(stay.folder, "events.jsonl")));
});

Deno.test("runStudy() continues a study only with the inputs that it was begun with", async () => {
  using open = placeStudy(`inputs-${Deno.pid}`, unfinished);
  const { folder, plan } = open;
  const resume = () =>
    runStudy({ study: plan.name, signal: AbortSignal.abort(new Error("past all checks")) });
  const [direct, pooled] = ["direct", "pooled"].map((path) =>
    readdirSync(folder).find((name) => name.includes(`-${path}-`))!
  ) as [string, string];
  const rewrite = (id: string, inputs?: RunInputs) => {
    const place = runFolder(folder, id, 1);
    const text = JSON.stringify({ ...readManifest(place)!, inputs });
    writeFileSync(join(place, "manifest.json"), text);
  };
  /** Gives a run the inputs of this checkout, changed in one file. */
  const begin = (id: string, part: string, file: string, hash?: string) => {
    const { scenario } = readManifest(runFolder(folder, id, 1))!;
    const files = hashInputs(scenario, { name: "local" });
    if (hash !== undefined) files[part]![file] = hash;
    rewrite(id, { files, settings: null });
  };
  // Runs of earlier versions do not say what they were made of.
  for (const id of [direct, pooled]) rewrite(id);
  await rejects(resume(), /past all checks/);
  const cases: [string, string, string][] = [
    [pooled, "pgbouncer", "pgbouncer/pgbouncer.ini"],
    [direct, "apps/flask_app", "apps/flask_app/app.json"],
    [direct, "apps/flask_app", "apps/flask_app/removed.py"],
    [direct, "apps", "apps/timings/wsgi.py"],
    [direct, "locust", "locust/locustfile.py"],
    [direct, "data", "data/seed.sql"],
  ];
  rmSync(join(folder, "events.jsonl"));
  for (const [id, part, file] of cases) {
    begin(id, part, file, "0");
    await rejects(resume(), (error: Error) => {
      ok(error instanceof InputsChangedError, `${error}`);
      match(error.message, new RegExp(`Cannot continue ${plan.name}: .* differ in ${file}, `));
      match(error.message, /another study \(--study NAME\)$/);
      return true;
    });
    ok(!existsSync(join(folder, "events.jsonl")), "something was begun");
    begin(id, part, file);
  }
  await rejects(resume(), /past all checks/);
  await rejects(
    runStudy({ study: plan.name, engine: "docker" }),
    /differ in engine \(docker, local\), /,
  );
  writeFileSync(join(folder, "plan.json"), JSON.stringify({ ...plan, windowS: 50 }));
  await rejects(resume(), /differ in plan\.json/);
});

Deno.test("an export shows a study as far as it has come, and its notebooks start nothing", async () => {
  const name = `exported-${Deno.pid}`;
  using exported = placeStudy(name, unfinished);
  Deno.env.set(EXPORTED_STUDY, exported.folder);
  try {
    const study = await runStudy({ study: name, start: false });
    equal(study.missing.length, 1);
    equal(await runConfirmation(study, { start: false }), null);
  } finally {
    Deno.env.delete(EXPORTED_STUDY);
  }
  await rejects(runStudy({ study: name, start: false }), /1 run, .* are to come/);

  // Its open loop is to come.
  const openLoop = { shares: [0.5], rounds: 1, warmUpS: 1, windowS: 2 };
  using complete = syntheticStudy(syntheticPlan({ rounds: 2, scenarios, openLoop }));
  const study = await loadStudy(complete.folder);
  const [report] = await exportStudy(study, { notebooks: false });
  match(await Deno.readTextFile(report!), /No open loop was run yet: all runs of it are to come\./);
});
