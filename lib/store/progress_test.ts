import { deepEqual, equal } from "node:assert/strict";
import type { NewEvent, StudyEvent } from "./events.ts";
import {
  emptyProgress,
  foldEvent,
  formatDuration,
  progressLine,
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
  ...{ event: "run_started", order: 2, scenarioId: "x", round: 1, label: "flask direct, 10 users" },
};
const finished: NewEvent = {
  ...{ event: "run_finished", order: 2, scenarioId: "x", round: 1, status: "failed" },
  ...{ cause: "c", rps: null, p95Ms: null, tookS: 10 },
};

Deno.test("foldEvent() counts finished and failed runs and follows the current one", () => {
  const state = fold([begun, started, { event: "phase", order: 2, phase: "window" }]);
  deepEqual([state.current?.label, state.current?.phase], ["flask direct, 10 users", "window"]);
  const after = fold([begun, started, finished]);
  deepEqual([after.finished, after.failed, after.spentS, after.current], [1, 1, 10, null]);
});

Deno.test("remainingS() goes by what runs took so far, and is unknown before the first", () => {
  equal(remainingS(fold([begun, started]), START), null);
  equal(remainingS(fold([begun, started, finished]), START), 20);
  equal(remainingS(fold([begun, started, finished, started]), START + 4000), 16);
  equal(remainingS(fold([begun, started, finished, started]), START + 60_000), 10);
});

Deno.test("progressLine() shows place, phase, live figures and time left", () => {
  const live: NewEvent = {
    ...{ event: "live", order: 2, users: 10, rps: 412.4, failuresPerS: 1.25, p95Ms: 33.3 },
  };
  equal(
    progressLine(fold([begun, started, finished, started, live]), START),
    "[3/4] flask direct, 10 users · start · 412 RPS · P95 33 ms · 1.3 failures/s · 20 s left",
  );
  const done: NewEvent = { event: "study_finished", study: "s", failed: 1, tookS: 3 };
  equal(
    progressLine(fold([begun, started, finished, done]), START),
    "s: 2 of 4 runs complete, 1 failed",
  );
});

Deno.test("formatDuration() writes seconds, minutes and hours", () => {
  deepEqual([0.4, 59.6, 61, 3599, 7500].map(formatDuration), [
    ...["0 s", "1 min 00 s", "1 min 01 s", "59 min 59 s", "2 h 05 min"],
  ]);
});
