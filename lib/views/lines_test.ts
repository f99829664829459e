// test lane: checkout
import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { NewEvent, StudyEvent } from "../store/events.ts";
import { emptyProgress, foldEvent, type StudyProgress } from "../store/progress.ts";
import { studyEvents } from "../testing/study_events.ts";
import { renderHtml } from "./html.ts";
import { eventLines, progressLine, renderBlock, renderMatrix, runLine } from "./lines.ts";
import { displayWidth } from "./text.ts";

/** The state when an event of the made-up study has happened, and half a second later. */
function at(isIt: (event: StudyEvent) => boolean): { state: StudyProgress; nowMs: number } {
  const events = studyEvents();
  const shown = events.slice(0, events.findIndex(isIt) + 1);
  ok(shown.length > 0);
  return {
    state: shown.reduce(foldEvent, emptyProgress()),
    nowMs: Date.parse(shown.at(-1)!.time) + 500,
  };
}

const SET_UP = at(({ event }) => event === "note");
const WINDOW = (() => {
  let runs = 0;
  let windows = false;
  return at((event) => {
    if (event.event === "run_started") runs++;
    if (event.event === "phase") windows = event.phase === "window";
    return runs === 14 && windows && event.event === "live";
  });
})();
const FAILING = (() => {
  let failed = 0;
  let label = "";
  return at((event) => {
    if (event.event === "run_started") label = event.label;
    if (event.event === "run_finished" && event.status === "failed") failed++;
    return failed === 1 && label === "FastAPI direct, 1000 users" && event.event === "live";
  });
})();
const REPORT = at((event) => event.event === "report_step" && event.done > 1.5);

const draw = (
  { state, nowMs }: typeof SET_UP,
  columns: number,
  rows = 24,
) => renderBlock(state, { columns, rows, nowMs, timeZone: "UTC" });

Deno.test("renderBlock() at 80 columns, setting up", () => {
  deepEqual(draw(SET_UP, 80), [
    "quick-20260101T220000Z · 0 of 36 runs · 5 s so far",
    "────────────────────────   0% · at least 5 min 24 s of runs left",
    "",
    "                100 users       1000 users",
    "FastAPI direct  ···             ···",
    "FastAPI pooled  ···             ···",
    "Django direct   ···             ···",
    "Django pooled   ···             ···",
    "Flask direct    ···             ···",
    "Flask pooled    ···             ···",
    "● ok  ▲ rejected  ✗ failed  ▸ running  · to do, one mark a round; last RPS",
    "",
    "▸ setup · Installed 89 packages in 1.18s · 5 s",
  ]);
});

Deno.test("renderBlock() at 80 columns, in a window after a failure", () => {
  deepEqual(draw(WINDOW, 80), [
    "quick-20260101T220000Z · 13 of 36 runs · 1 failed · 2 min 32 s so far",
    "━━━━━━━━────────────────  36% · about 4 min 08 s of runs left",
    "",
    "                100 users       1000 users",
    "FastAPI direct  ●··  1,211 RPS  ✗··",
    "FastAPI pooled  ●··  1,203 RPS  ●··  1,206 RPS",
    "Django direct   ●··  1,201 RPS  ●··  1,210 RPS",
    "Django pooled   ●··  1,204 RPS  ●··  1,212 RPS",
    "Flask direct    ●▸·  1,209 RPS  ●●·  1,213 RPS",
    "Flask pooled    ●··  1,202 RPS  ●··  1,208 RPS",
    "● ok  ▲ rejected  ✗ failed  ▸ running  · to do, one mark a round; last RPS",
    "",
    "▸ Flask direct, 100 users, round 2 of 3 · window, 0 of 6 s",
    "  1,234 RPS · P95 88 ms · 100 users",
    "  last: Flask direct, 1000 users, round 2: 1,213 RPS, P95 103 ms",
  ]);
});

Deno.test("renderBlock() at 120 columns, in a window after a failure", () => {
  deepEqual(draw(WINDOW, 120), [
    "quick-20260101T220000Z · 13 of 36 runs · 1 failed · 2 min 32 s so far",
    "━━━━━━━━━━━━━━━━━───────────────────────────────  36% · about 4 min 08 s of runs left",
    "",
    "                100 users       1000 users",
    "FastAPI direct  ●··  1,211 RPS  ✗··",
    "FastAPI pooled  ●··  1,203 RPS  ●··  1,206 RPS",
    "Django direct   ●··  1,201 RPS  ●··  1,210 RPS",
    "Django pooled   ●··  1,204 RPS  ●··  1,212 RPS",
    "Flask direct    ●▸·  1,209 RPS  ●●·  1,213 RPS",
    "Flask pooled    ●··  1,202 RPS  ●··  1,208 RPS",
    "● ok  ▲ rejected  ✗ failed  ▸ running  · to do, one mark a round; last RPS",
    "",
    "▸ Flask direct, 100 users, round 2 of 3 · window, 0 of 6 s",
    "  1,234 RPS · P95 88 ms · 100 users",
    "  last: Flask direct, 1000 users, round 2: 1,213 RPS, P95 103 ms",
  ]);
});

Deno.test("renderBlock() shows failures as they happen", () => {
  deepEqual(draw(FAILING, 80).slice(-3), [
    "▸ FastAPI direct, 1000 users, round 2 of 3 · warm-up, 0 of 3 s",
    "  1,234 RPS · P95 88 ms · 1000 users · 12.3 failures/s",
    "  last: Django direct, 100 users, round 2: 1,222 RPS, P95 112 ms",
  ]);
});

Deno.test("renderBlock() at 80 and 120 columns, writing the report", () => {
  deepEqual(draw(REPORT, 80), [
    "quick-20260101T220000Z · 36 of 36 runs · 3 failed · 6 min 45 s so far",
    "━━━━━━━━━━━━━───────────  55% · writing the report",
    "▸ report · 90_report.ipynb: cell 3 of 3 · 5 s",
  ]);
  deepEqual(draw(REPORT, 120).slice(1), [
    "━━━━━━━━━━━━━━━━━━━━━━━━━━──────────────────────  55% · writing the report",
    "▸ report · 90_report.ipynb: cell 3 of 3 · 5 s",
  ]);
});

Deno.test("renderBlock() gives up the legend, then arms, then all but one line", () => {
  deepEqual(draw(WINDOW, 80, 12), [
    "quick-20260101T220000Z · 13 of 36 runs · 1 failed · 2 min 32 s so far",
    "━━━━━━━━────────────────  36% · about 4 min 08 s of runs left",
    "                100 users       1000 users",
    "FastAPI direct  ●··  1,211 RPS  ✗··",
    "FastAPI pooled  ●··  1,203 RPS  ●··  1,206 RPS",
    "Django direct   ●··  1,201 RPS  ●··  1,210 RPS",
    "Django pooled   ●··  1,204 RPS  ●··  1,212 RPS",
    "Flask direct    ●▸·  1,209 RPS  ●●·  1,213 RPS",
    "Flask pooled    ●··  1,202 RPS  ●··  1,208 RPS",
    "▸ Flask direct, 100 users, round 2 of 3 · window, 0 of 6 s",
    "  1,234 RPS · P95 88 ms · 100 users",
  ]);
  deepEqual(draw(WINDOW, 80, 9), [
    "quick-20260101T220000Z · 13 of 36 runs · 1 failed · 2 min 32 s so far",
    "━━━━━━━━────────────────  36% · about 4 min 08 s of runs left",
    "                100 users       1000 users",
    "Django pooled   ●··  1,204 RPS  ●··  1,212 RPS",
    "Flask direct    ●▸·  1,209 RPS  ●●·  1,213 RPS",
    "… and 4 more arms",
    "▸ Flask direct, 100 users, round 2 of 3 · window, 0 of 6 s",
    "  1,234 RPS · P95 88 ms · 100 users",
  ]);
  const line = "[14/36] Flask direct, 100 users · window · 1,234 RPS · P95 88 ms · 4 min 08 s left";
  deepEqual([draw(WINDOW, 120, 7), draw(WINDOW, 49, 24)], [[line], [`${line.slice(0, 47)}…`]]);
});

Deno.test("renderBlock() is never wider or higher than the terminal, whatever is in it", () => {
  const { state, nowMs } = WINDOW;
  const cells = state.matrix!.cells.flatMap((cell) =>
    [10, 20, 50, 100, 200, 500].map((users) => ({
      ...cell,
      arm: `${cell.arm}, reuse=日本語の長い名前 \x1b[2J${users}`,
      users,
      rounds: new Array(40).fill(null),
    }))
  );
  const wide: StudyProgress = {
    ...state,
    study: "a-study-with-a-name-".repeat(10),
    matrix: { ...state.matrix!, cells },
    current: { ...state.current!, label: "FastAPI direct, 👩‍💻 and very long ".repeat(9) },
  };
  for (let columns = 1; columns <= 200; columns += 3) {
    for (const rows of [1, 5, 8, 10, 16, 24, 60]) {
      const lines = renderBlock(wide, { columns, rows, nowMs });
      ok(lines.length <= Math.max(1, rows - 1), `${lines.length} lines in ${rows} rows`);
      ok(lines.every((line) => displayWidth(line) < Math.max(2, columns)), `${columns} columns`);
      ok(!lines.join("").includes("\x1b"));
    }
  }
});

Deno.test("renderBlock() counts rounds where there are too many to draw, and joins columns", () => {
  const { state, nowMs } = WINDOW;
  const many = (users: number[], rounds: number): StudyProgress => ({
    ...state,
    matrix: {
      ...state.matrix!,
      cells: users.map((n) => ({
        scenarioId: `x${n}`,
        arm: "Django direct",
        users: n,
        rounds: new Array(rounds).fill(null).with(0, { status: "failed", tookS: 1 })
          .with(1, { status: "ok", tookS: 1, rps: 1234 })
          .with(2, { status: "rejected", tookS: 1 }),
      })),
    },
  });
  const matrix = (state: StudyProgress) => renderMatrix(state, { columns: 80, rows: 24, nowMs });
  deepEqual(matrix(many([10, 100, 500, 1000], 6)), [
    "               10 users    100 users   500 users   1000 users",
    "Django direct  ✗●▲···      ✗●▲···      ✗●▲···      ✗●▲···",
  ]);
  deepEqual(matrix(many([10, 100], 40)), [
    "               10 users         100 users",
    "Django direct  3/40 ▲1 ✗1       3/40 ▲1 ✗1",
  ]);
  deepEqual(matrix(many([1, 2, 3, 4, 5, 6, 7, 8, 9], 6)), [
    "               in all",
    "Django direct  27/54 ▲9 ✗9",
  ]);
});

Deno.test("a clock time is shown to those who will come back", () => {
  const { state, nowMs } = WINDOW;
  const slow = {
    ...state,
    matrix: {
      ...state.matrix!,
      cells: state.matrix!.cells.map((cell) => ({
        ...cell,
        rounds: cell.rounds.map((run) => run && { ...run, tookS: 600 }),
      })),
    },
  };
  const [, bar] = renderBlock(slow, {
    columns: 80,
    rows: 24,
    nowMs,
    timeZone: "UTC",
  });
  equal(bar?.slice(32), "about 3 h 49 min of runs left, until 01:52");
});

/** Two arms at rates of their own, the first running. */
const OPEN: StudyProgress = {
  ...emptyProgress(),
  study: "quick/open-loop",
  runs: 4,
  sinceMs: 0,
  matrix: {
    warmUpS: 3,
    windowS: 5,
    cells: ([
      ["Django direct", 195],
      ["Django direct", 311],
      ["Flask direct", 152.5],
      ["Flask direct", 311],
    ] as const).map(([arm, arrivalRate], i) => ({
      scenarioId: `x${i}`,
      arm,
      users: null,
      arrivalRate,
      rounds: [i === 3 ? { status: "ok", tookS: 9, rps: 300 } : null],
    })),
  },
  current: {
    order: 1,
    scenarioId: "x0",
    label: "Django direct, 195/s",
    round: 1,
    phase: "window",
    sinceMs: 0,
    phaseSinceMs: 4000,
    beside: [],
    live: { users: 1, rps: 190, failuresPerS: 0, p95Ms: 12, arrivalRate: 195, late: 3, dropped: 0 },
  },
};

Deno.test("renderBlock() of an open loop has each arm's own rates, and what is late", () => {
  const lines = renderBlock(OPEN, { columns: 100, rows: 30, nowMs: 6000 });
  deepEqual(lines.slice(3, 6), [
    "               152.5–195/s   311/s",
    "Django direct  ▸             ·",
    "Flask direct   ·             ●    300 RPS",
  ]);
  deepEqual(lines.slice(-2), [
    "▸ Django direct, 195/s, round 1 of 1 · window, 2 of 5 s",
    "  190 RPS · P95 12 ms · 3 late · 195/s due",
  ]);
});

Deno.test("progressLine() shows place, phase, live figures and time left", () => {
  const nowMs = Date.parse("2026-01-01T00:00:00Z");
  const fold = (...events: NewEvent[]) =>
    events.reduce(
      (state, event) =>
        foldEvent(state, { time: new Date(nowMs).toISOString(), ...event } as StudyEvent),
      emptyProgress(),
    );
  const line = (...events: NewEvent[]) => progressLine(fold(...events), nowMs);
  const begun: NewEvent = { event: "study_started", study: "s", runs: 4, complete: 1 };
  const run = { order: 2, scenarioId: "x", round: 1 };
  const started: NewEvent = { ...run, event: "run_started", label: "Flask direct, 10 users" };
  const failed = { status: "failed", cause: "c", rps: null, p95Ms: null, tookS: 10 } as const;
  const finished: NewEvent = { ...run, ...failed, event: "run_finished" };
  const figures = { users: 10, rps: 412.4, failuresPerS: 1.25, p95Ms: 33.3 };
  equal(
    line(begun, started, finished, started, { event: "live", order: 2, ...figures }),
    "[3/4] Flask direct, 10 users · start · 412 RPS · P95 33 ms · 1.3 failures/s · 20 s left",
  );
  const counts = { accepted: 1, rejected: 0, failed: 1 };
  equal(
    line(begun, started, finished, { event: "study_finished", study: "s", tookS: 3, ...counts }),
    "s: 2 of 4 runs complete, 1 failed",
  );
  const report: NewEvent = { event: "report_started", study: "old", runs: 6, failed: 1 };
  const step: NewEvent = { event: "report_step", text: "HTML", done: 4, total: 5 };
  deepEqual([line(report), line(report, step)], ["old: report", "old: report · HTML"]);
  equal(
    line(begun, started, { event: "interrupted" }),
    "[2/4] Flask direct, 10 users · start · stopping",
  );
});

Deno.test("runLine() says lower bounds, and why a run was rejected", () => {
  const line = runLine(OPEN, {
    time: "2026-01-01T00:00:00Z",
    event: "run_finished",
    order: 1,
    scenarioId: "x0",
    round: 1,
    status: "rejected",
    cause: "load not delivered: 2.0% of the requests were never sent",
    rps: 150,
    p95Ms: 3210,
    p95IsBound: true,
    tookS: 11,
  });
  equal(
    line,
    "[1/4] Django direct, 195/s, round 1: 150 RPS, P95 ≥ 3,210 ms; rejected: load not delivered: " +
      "2.0% of the requests were never sent (11.0 s)",
  );
});

Deno.test("eventLines() says how many comparisons are undecided, and what that costs", () => {
  const time = new Date(0).toISOString();
  const before = { ...emptyProgress(), runs: 150 };
  const event = {
    event: "rounds_added" as const,
    time,
    rounds: 6,
    maxRounds: 12,
    undecided: 3,
    comparisons: 13,
    scenarioIds: ["a", "b", "c", "d"],
    runs: 174,
  };
  deepEqual(eventLines(before, event), [
    "After 6 rounds 3 of 13 comparisons are undecided: up to round 12 for 4 scenarios, 24 further runs",
  ]);
  deepEqual(eventLines({ ...before, runs: 173 }, { ...event, undecided: 1 }), [
    "After 6 rounds 1 of 13 comparisons is undecided: up to round 12 for 4 scenarios, 1 further run",
  ]);
});

Deno.test("eventLines() says what each pair has come to so far", () => {
  const one = { label: "Flask, pooled to direct at 10 users", n: 2, verdict: "lower" };
  const event = {
    event: "look" as const,
    time: "2026-01-01T00:00:00Z",
    starts: 2,
    of: 3,
    comparisons: [
      { ...one, ratio: 0.906, low: 0.874, high: 0.939 },
      { ...one, label: "Django, pooled to direct at 10 users", ratio: null, low: null, high: null },
    ],
  };
  deepEqual(eventLines(OPEN, event), [
    "After 2 of 3 starts:",
    "  Flask, pooled to direct at 10 users: 0.91× [0.87, 0.94]",
    "  Django, pooled to direct at 10 users: no ratio yet",
  ]);
  deepEqual(eventLines(OPEN, { ...event, comparisons: [] }), []);
  match(renderHtml({ ...OPEN, look: event }, { nowMs: 6000 }), /0\.91× \[0\.87, 0\.94\]/);
});
