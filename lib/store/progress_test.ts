// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import type { NewEvent, StudyEvent } from "./events.ts";
import {
  emptyProgress,
  foldEvent,
  leastRemainingS,
  liveRuns,
  remainingS,
  type StudyProgress,
} from "./progress.ts";

const START = Date.parse("2026-01-01T00:00:00Z");

function fold(events: NewEvent[]): StudyProgress {
  return events.reduce(
    (state, event) =>
      foldEvent(state, { time: new Date(START).toISOString(), ...event } as StudyEvent),
    emptyProgress(),
  );
}

const begun: NewEvent = { event: "study_started", study: "s", runs: 4, complete: 1 };
const started: NewEvent = {
  event: "run_started",
  order: 2,
  scenarioId: "x",
  round: 1,
  label: "Flask direct, 10 users",
};
const STOPPED = { order: 2, scenarioId: "x", round: 1 };
const finished: NewEvent = {
  event: "run_finished",
  order: 2,
  scenarioId: "x",
  round: 1,
  status: "failed",
  cause: "c",
  rps: null,
  p95Ms: null,
  tookS: 10,
};

Deno.test("foldEvent() counts finished and failed runs and follows the current one", () => {
  const state = fold([begun, started, { event: "phase", order: 2, phase: "window" }]);
  deepEqual([state.current?.label, state.current?.phase], ["Flask direct, 10 users", "window"]);
  const after = fold([begun, started, finished]);
  deepEqual([after.finished, after.failed, after.spentS, after.current], [1, 1, 10, null]);
  const rejected = fold([begun, started, { ...finished, status: "rejected" } as NewEvent]);
  deepEqual([rejected.finished, rejected.failed, rejected.rejected], [1, 0, 1]);
  equal(fold([begun, started, { ...STOPPED, event: "run_stopped" }]).current, null);
});

Deno.test("remainingS() goes by what runs took so far, and is unknown before the first", () => {
  equal(remainingS(fold([begun, started]), START), null);
  equal(remainingS(fold([begun, started, finished]), START), 20);
  equal(remainingS(fold([begun, started, finished, started]), START + 4000), 16);
  equal(remainingS(fold([begun, started, finished, started]), START + 60_000), 10);
});

const ok = (tookS: number) => ({ status: "ok" as const, tookS });
const cell = (scenarioId: string, ...rounds: (ReturnType<typeof ok> | null)[]) => ({
  scenarioId,
  arm: scenarioId,
  users: 10,
  rounds,
});
const matrix = (...cells: ReturnType<typeof cell>[]): NewEvent => ({
  event: "study_started",
  study: "s",
  runs: 4,
  complete: 0,
  matrix: { warmUpS: 2, windowS: 6, cells },
});

Deno.test("remainingS() expects of each scenario its own time, drawn to that of all", () => {
  // All together took 15 s on average; a: (10 + 15) / 2, b: (20 + 15) / 2.
  equal(remainingS(fold([matrix(cell("a", ok(10), null), cell("b", ok(20), null))]), START), 30);
  // Two more of a, none of b.
  const uneven = fold([matrix(cell("a", ok(10), null, null), cell("b", ok(20)))]);
  equal(remainingS(uneven, START), 25);
  // What was measured by an earlier start counts; nothing measured is nothing known.
  equal(remainingS(fold([matrix(cell("a", null))]), START), null);
});

Deno.test("remainingS() does not take a run that failed early for what others take", () => {
  const failed = { status: "failed" as const, tookS: 1 };
  const state = fold([{
    ...matrix(cell("a", ok(11), null), cell("b", ok(11), null)),
    matrix: {
      warmUpS: 2,
      windowS: 6,
      cells: [
        { scenarioId: "a", arm: "a", users: 1, rounds: [failed, null] },
        { scenarioId: "b", arm: "b", users: 1, rounds: [ok(11), null] },
      ],
    },
  } as NewEvent]);
  equal(remainingS(state, START), (1 + 11) / 2 + 11);
});

Deno.test("remainingS() never promises less than warm-up and window still need", () => {
  const begun = matrix(cell("a", ok(10), null));
  const run: NewEvent = {
    event: "run_started",
    order: 2,
    scenarioId: "a",
    round: 2,
    label: "a",
  };
  const phase = (phase: "verify" | "warm-up" | "window" | "stop"): NewEvent => ({
    event: "phase",
    order: 2,
    phase,
  });
  equal(remainingS(fold([begun, run]), START + 1000), 9);
  equal(remainingS(fold([begun, run]), START + 60_000), 8);
  equal(remainingS(fold([begun, run, phase("window")]), START + 2000), 8);
  const late = fold([begun, run, phase("warm-up")]);
  equal(remainingS(late, START + 7000), 3);
  equal(remainingS(fold([begun, run, phase("stop")]), START + 60_000), 0);
});

Deno.test("leastRemainingS() counts the warm-ups and windows to come", () => {
  equal(leastRemainingS(fold([matrix(cell("a", null))])), 32);
  equal(leastRemainingS(fold([begun])), null);
});

Deno.test("foldEvent() keeps outcomes in the matrix and counts earlier failures", () => {
  const state = fold([
    matrix(cell("x", null, null), cell("y", null)),
    started,
    { ...finished, round: 2 } as NewEvent,
  ]);
  deepEqual(state.matrix?.cells.map(({ rounds }) => rounds), [
    [null, { status: "failed", tookS: 10, rps: null }],
    [null],
  ]);
  const earlier = fold([matrix(cell("x", { status: "failed", tookS: 1 } as never, null))]);
  equal(earlier.failed, 1);
});

Deno.test("foldEvent() goes from setup to runs to the report and to an end", () => {
  const setup: NewEvent = { event: "setup", text: "Installing" };
  equal(fold([begun, setup]).setup?.text, "Installing");
  deepEqual([fold([begun, setup, started]).setup, fold([begun, started, setup]).setup], [
    null,
    null,
  ]);
  const step: NewEvent = { event: "report_step", text: "HTML", done: 4, total: 5 };
  const report: NewEvent = { event: "report_started", study: "old", runs: 6, failed: 1 };
  const reporting = fold([report, step]);
  deepEqual([reporting.done, reporting.runs, reporting.completeBefore], [true, 6, 6]);
  const { stopping, stopped: ended, current } = fold([
    begun,
    started,
    { event: "interrupted" },
    { event: "study_stopped", study: "s" },
  ]);
  deepEqual([stopping, ended, current], [false, true, null]);
});

Deno.test("foldEvent() adds further rounds to the cells that get them, and to what is left", () => {
  const further: NewEvent = {
    event: "rounds_added",
    rounds: 2,
    maxRounds: 4,
    undecided: 1,
    comparisons: 2,
    scenarioIds: ["b"],
    runs: 6,
  };
  const state = fold([
    matrix(cell("a", ok(10), ok(10)), cell("b", ok(10), ok(10))),
    further,
  ]);
  deepEqual(state.matrix?.cells.map(({ rounds }) => rounds), [
    [ok(10), ok(10)],
    [ok(10), ok(10), null, null],
  ]);
  deepEqual([state.runs, remainingS(state, START)], [6, 20]);
});

Deno.test("foldEvent() follows runs that stand side by side until the last has ended", () => {
  const run = (order: number, scenarioId: string): NewEvent => ({
    event: "run_started",
    order,
    scenarioId,
    round: 1,
    label: `${scenarioId}, 9 users`,
  });
  const live = (order: number, rps: number): NewEvent => ({
    event: "live",
    order,
    users: 9,
    rps,
    failuresPerS: 0,
    p95Ms: null,
  });
  const finished = (order: number, scenarioId: string): NewEvent => ({
    event: "run_finished",
    order,
    scenarioId,
    round: 1,
    cause: null,
    p95Ms: null,
    rps: 1,
    status: "ok",
    tookS: 1,
  });
  const begun = [run(7, "a"), run(8, "b"), live(7, 70), live(8, 80)];
  deepEqual(liveRuns(fold(begun)).map(({ label, live }) => [label, live?.rps]), [
    ["a, 9 users", 70],
    ["b, 9 users", 80],
  ]);
  const one = fold([...begun, finished(7, "a")]);
  deepEqual([liveRuns(one).map(({ scenarioId }) => scenarioId), one.last?.label], [
    ["b"],
    "a, 9 users",
  ]);
  const both = fold([...begun, finished(7, "a"), finished(8, "b")]);
  deepEqual([liveRuns(both), both.last?.label, both.finished], [[], "b, 9 users", 2]);
});
