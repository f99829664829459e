// test lane: checkout
import { deepEqual, equal, throws } from "node:assert/strict";
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { PoolscopeError, UsageError } from "../errors.ts";
import { syntheticManifest } from "../testing/synthetic_study.ts";
import { changePlan, namedPlan, type Plan, planRuns } from "../plan.ts";
import { EventLog, type NewEvent, type StudyEvent } from "./events.ts";
import { hashFile, readManifest, writeAtomic } from "./files.ts";
import { lockFile } from "./lock.ts";
import { openLoopFolder, runFolder, SCHEMA_VERSION, studyFolder, studyName } from "./layout.ts";
import {
  discardRefused,
  findStudy,
  followUpStudy,
  isComplete,
  isOpenLoopComplete,
  knownRuns,
  listStudies,
  markDecided,
  openStudyFolder,
  readPlan,
} from "./studies.ts";

const plan = changePlan(namedPlan("smoke"), { frameworks: ["flask"] });
const now = new Date("2026-01-02T03:04:05Z");

/** Gives runs of a study their manifests, all of them and no open loop unless told how many. */
function complete(folder: string, runs = Infinity): void {
  if (runs === Infinity) markDecided(folder, { openLoop: false });
  for (const run of planRuns(plan).slice(0, runs)) {
    const place = runFolder(folder, run.id, run.round);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, "manifest.json"), JSON.stringify({ schemaVersion: SCHEMA_VERSION }));
  }
}

Deno.test("openStudyFolder() resumes what is incomplete and begins anew when all is complete", () => {
  const root = Deno.makeTempDirSync();
  const first = openStudyFolder(plan, { root, now });
  deepEqual([first.name, first.resumed], ["smoke-20260102T030405Z", false]);
  complete(first.folder, 1);
  deepEqual(openStudyFolder(plan, { root, now }), { ...first, resumed: true });
  complete(first.folder);
  equal(isComplete(first.folder), true);
  const second = openStudyFolder(plan, { root, now });
  deepEqual([second.name, second.resumed], ["smoke-20260102T030405Z-2", false]);
});

Deno.test("openStudyFolder() leaves an unfinished study of another plan alone", () => {
  const root = Deno.makeTempDirSync();
  const first = openStudyFolder(plan, { root, now });
  const other = openStudyFolder({ ...plan, seed: 2 }, { root, now });
  equal(other.name === first.name, false);
});

Deno.test("openStudyFolder() refuses a named study of which another plan has run", () => {
  const root = Deno.makeTempDirSync();
  const open = (plan: Plan) => openStudyFolder(plan, { root, study: "mine" });
  const other = { ...plan, rounds: 2 };
  const { folder } = open(other);
  // Somebody works on it.
  writeFileSync(lockFile(folder), "");
  throws(() => open(plan), PoolscopeError);
  rmSync(lockFile(folder));
  // The other plan's start was refused before anything ran.
  deepEqual([open(plan).resumed, readPlan(folder).rounds], [false, plan.rounds]);
  complete(folder, 1);
  equal(open(plan).resumed, true);
  throws(() => open(other), PoolscopeError);
  throws(() => openStudyFolder(plan, { root, study: "../mine" }), UsageError);
});

Deno.test("discardRefused() removes a study of which nothing has run, and no other", () => {
  const root = Deno.makeTempDirSync();
  const left = (error: Error, ran = false) => {
    const { folder } = openStudyFolder(plan, { root, study: "mine" });
    if (ran) complete(folder, 1);
    throws(() => discardRefused(folder, error), error);
    return existsSync(folder);
  };
  equal(left(new UsageError("Cannot set it")), false);
  equal(left(new PoolscopeError("Cannot find it")), false);
  equal(left(new Error("interrupted")), true);
  equal(left(new UsageError("Cannot set it"), true), true);
});

Deno.test("findStudy() gives the newest complete study, or says what to do", () => {
  const root = Deno.makeTempDirSync();
  throws(() => findStudy("newest", root), /there is no complete one in data\/runs; run `deno task/);
  const times: [string, number, boolean][] = [["old", 1, true], ["new", 2, true], [
    "half",
    3,
    false,
  ]];
  for (const [study, time, whole] of times) {
    const { folder } = openStudyFolder(plan, { root, study });
    if (whole) complete(folder);
    utimesSync(join(folder, "plan.json"), time, time);
  }
  deepEqual(listStudies(root), ["half", "new", "old"]);
  equal(findStudy("newest", root), "new");
  equal(findStudy("half", root), "half");
  throws(
    () => findStudy("none", root),
    /"none": there is none in data\/runs; known are half, new, old/,
  );
});

Deno.test("studyFolder() keeps to folders below data/runs", () => {
  for (const bad of ["", ".", "..", "a/b", "-x", "a b"]) {
    throws(() => studyFolder(bad, "/r"), UsageError, bad);
  }
  equal(studyFolder("quick-1", "/r"), "/r/data/runs/quick-1");
});

Deno.test("readManifest() is null without one, and refuses another schema version", () => {
  const folder = Deno.makeTempDirSync();
  equal(readManifest(folder), null);
  writeFileSync(join(folder, "manifest.json"), `{"schemaVersion": 99}`);
  throws(() => readManifest(folder), /schema version is 99, this Poolscope reads 1/);
  writeFileSync(join(folder, "manifest.json"), "{");
  throws(() => readManifest(folder), /it is not JSON/);
});

Deno.test("writeAtomic() leaves no temporary file, hashFile() is SHA-256", async () => {
  const folder = Deno.makeTempDirSync();
  const file = join(folder, "x");
  writeAtomic(file, "abc");
  deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["x"]);
  // FIPS 180-2, appendix B.1.
  equal(await hashFile(file), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

Deno.test("EventLog keeps every event but the live figures", () => {
  const file = join(Deno.makeTempDirSync(), "events.jsonl");
  const seen: string[] = [];
  const log = new EventLog(file, [(event) => seen.push(event.event)]);
  log.emit({ event: "note", text: "x" });
  log.emit({ event: "live", order: 1, users: 1, rps: 1, failuresPerS: 0, p95Ms: 1 });
  deepEqual(seen, ["note", "live"]);
  const kept = Deno.readTextFileSync(file).trim().split("\n").map((line) => JSON.parse(line));
  deepEqual(kept.map(({ event }) => event), ["note"]);
});

Deno.test("EventLog ends what has begun, in its order", () => {
  const told = (events: NewEvent[]) => {
    const seen: StudyEvent[] = [];
    const file = join(Deno.makeTempDirSync(), "events.jsonl");
    {
      using log = new EventLog(file, [(event) => seen.push(event)]);
      for (const event of events) log.emit(event);
    }
    return seen.slice(events.length).map(({ time: _, ...event }) => event);
  };
  const run = { order: 1, scenarioId: "x", round: 1 };
  const begun: NewEvent[] = [
    { event: "study_started", study: "s", runs: 2, complete: 0 },
    { event: "run_started", ...run, label: "X" },
  ];
  const stopped = { event: "study_stopped", study: "s" };
  deepEqual(told(begun), [{ event: "run_stopped", ...run }, stopped]);
  const result = { status: "ok", cause: null, rps: 1, p95Ms: 1, tookS: 1 } as const;
  const finished: NewEvent = { event: "run_finished", ...run, ...result };
  deepEqual(told([...begun, finished]), [stopped]);
  const counts = { accepted: 1, rejected: 0, failed: 0 };
  deepEqual(
    told([...begun, finished, { event: "study_finished", study: "s", ...counts, tookS: 1 }]),
    [],
  );
});

Deno.test("isComplete() waits for the open loop, unless the numbers allow none", () => {
  const root = Deno.makeTempDirSync();
  const { folder } = openStudyFolder(plan, { root, now });
  const finish = (target: string, of: Plan) => {
    for (const run of planRuns(of)) {
      const place = runFolder(target, run.id, run.round);
      mkdirSync(place, { recursive: true });
      const manifest = syntheticManifest(of, run);
      writeFileSync(join(place, "manifest.json"), JSON.stringify(manifest));
    }
  };
  finish(folder, plan);
  equal(isComplete(folder), false);
  markDecided(folder, { openLoop: false });
  equal(isComplete(folder), true);
  markDecided(folder, { openLoop: true });
  equal(isComplete(folder), false);
  // The same command goes on with it.
  equal(openStudyFolder(plan, { root, now }).folder, folder);
  const followUp = changePlan(plan, { arrivalRates: [20] });
  let derived = 0;
  const derive = () => {
    derived++;
    return followUp;
  };
  const opened = followUpStudy(openLoopFolder(folder), derive)!;
  equal(studyName(opened.folder), `${basename(folder)}/open-loop`);
  equal(isComplete(folder), false);
  finish(opened.folder, followUp);
  equal(isComplete(folder), true);
  // Its plan stays, whatever the study would say by now.
  deepEqual(followUpStudy(openLoopFolder(folder), derive)!.plan, followUp);
  equal(derived, 1);
  equal(
    followUpStudy(openLoopFolder(openStudyFolder(plan, { root, study: "x" }).folder), () => null),
    null,
  );
  // It is part of its study, and none of its own.
  deepEqual(listStudies(root).filter((name) => name.includes("open-loop")), []);
});

Deno.test("isComplete() waits for the word that no further rounds are wanted", () => {
  const root = Deno.makeTempDirSync();
  const extensible = changePlan(plan, { maxRounds: 3, openLoop: false });
  const { folder } = openStudyFolder(extensible, { root, now });
  complete(folder);
  equal(isOpenLoopComplete(folder), true);
  markDecided(folder, null);
  equal(isComplete(folder), false);
  equal(openStudyFolder(extensible, { root, now }).folder, folder);
  markDecided(folder, { openLoop: false, looks: [1] });
  equal(isComplete(folder), true);
  markDecided(folder, null);
  equal(isComplete(folder), false);
});

Deno.test("knownRuns() are the plan's, and of further rounds what is there", () => {
  const root = Deno.makeTempDirSync();
  const extensible = changePlan(plan, { maxRounds: 3 });
  const { folder } = openStudyFolder(extensible, { root, now });
  deepEqual(knownRuns(folder, extensible), planRuns(plan));
  const further = planRuns(plan, 3).at(-1)!;
  const place = runFolder(folder, further.id, further.round);
  mkdirSync(place, { recursive: true });
  deepEqual(knownRuns(folder, extensible), planRuns(plan));
  writeFileSync(join(place, "manifest.json"), "{}");
  deepEqual(knownRuns(folder, extensible), [...planRuns(plan), further]);
});
