/**
 * The events of a made-up study, second by second, for tests of its views: three rounds of six arms
 * at two numbers of users, one arm failing with a long cause, setup before and a report after.
 */

import { changePlan, namedPlan, type PlannedRun, planRuns } from "../plan.ts";
import { armLabels, type Scenario } from "../scenario.ts";
import type { MatrixCell, NewEvent, Phase, StudyEvent } from "../store/events.ts";

/** When the made-up study starts. */
export const STUDY_START_MS = Date.parse("2026-01-01T22:00:00Z");

/** Why its failed runs failed. */
export const STUDY_CAUSE =
  "FastAPI direct: PostgreSQL refused connections (too many clients already): 4 workers × 40 > " +
  "max_connections 100 — \x1b[31mログ\x1b[0m in\nlogs/app.log";

const PHASES: [Phase, number][] = [
  ["start", 0.5],
  ["verify", 1],
  ["warm-up", 3],
  ["window", 6],
  ["stop", 0.5],
] as [Phase, number][];

/** Events with the time of a clock that nobody waits for. */
class MadeUpLog {
  readonly events: StudyEvent[] = [];
  nowMs = STUDY_START_MS;

  readonly emit = (event: NewEvent, afterS = 0): void => {
    this.events.push({ time: new Date(this.nowMs).toISOString(), ...event } as StudyEvent);
    this.nowMs += afterS * 1000;
  };
}

/** All events of the study; `complete` runs of it were complete before it. */
export function studyEvents({ complete = 0, study = "quick-20260101T220000Z" } = {}): StudyEvent[] {
  const plan = {
    ...changePlan(namedPlan("frameworks"), { users: [100, 1000], rounds: 3, openLoop: false }),
    warmUpS: 3,
    windowS: 6,
  };
  const runs = planRuns(plan);
  const labels = armLabels(plan.scenarios);
  const log = new MadeUpLog();
  const { emit } = log;
  emit({
    event: "study_started",
    study,
    runs: runs.length,
    complete,
    matrix: {
      warmUpS: plan.warmUpS,
      windowS: plan.windowS,
      cells: matrixCells(plan.scenarios, runs, complete),
    },
  });
  emit({ event: "setup", text: "Installing Python packages: fastapi, django, flask, locust" }, 3);
  emit({ event: "setup", text: "\x1b[2KInstalled 89 packages in 1.18s" }, 1);
  emit({ event: "note", text: "Warning: no CPU limit, no rights for control groups" });
  let failed = 0;
  for (const run of runs.slice(complete)) {
    emitRun(log, run, `${labels.get(run.id)}, ${run.scenario.users} users`);
    if (fails(run)) failed++;
  }
  emit({
    event: "study_finished",
    study,
    accepted: runs.length - failed,
    rejected: 0,
    failed,
    tookS: (log.nowMs - STUDY_START_MS) / 1000,
  }, 0.1);
  emit({ event: "report_started", study, runs: runs.length, failed }, 0.1);
  emit({ event: "report_step", text: "tables and plots", done: 0, total: 2 }, 2);
  for (const cell of [1, 2, 3]) {
    const text = `90_report.ipynb: cell ${cell} of 3`;
    emit({ event: "report_step", text, done: 1 + (cell - 1) / 3, total: 3 }, 1);
  }
  emit({
    event: "report_finished",
    study,
    accepted: runs.length - failed,
    rejected: 0,
    failed,
    answer: "No.",
    comparisons: [],
    files: ["data/runs/x/report/summary.csv"],
    tookS: 5,
  });
  return log.events;
}

/** The cells of the matrix, with the runs that are complete before the study starts. */
function matrixCells(scenarios: Scenario[], runs: PlannedRun[], complete: number): MatrixCell[] {
  const labels = armLabels(scenarios);
  const before = new Set(runs.slice(0, complete));
  const cells = new Map(scenarios.map((scenario) => [scenario, {
    scenarioId: "",
    arm: "",
    users: scenario.users,
    arrivalRate: scenario.arrivalRate,
    rounds: [] as ({ status: "ok" | "failed"; tookS: number } | null)[],
  }]));
  for (const run of runs) {
    const cell = cells.get(run.scenario)!;
    cell.scenarioId = run.id;
    cell.arm = labels.get(run.id)!;
    const status = fails(run) ? "failed" : "ok";
    cell.rounds[run.round - 1] = before.has(run) ? { status, tookS: 12 } : null;
  }
  return [...cells.values()];
}

function emitRun(log: MadeUpLog, run: PlannedRun, label: string): void {
  const { order, id: scenarioId, round, scenario } = run;
  const startedMs = log.nowMs;
  log.emit({ event: "run_started", order, scenarioId, round, label });
  for (const [phase, seconds] of PHASES) {
    log.emit({ event: "phase", order, phase }, seconds % 1);
    for (let s = 0; s < Math.floor(seconds); s++) {
      if (phase === "verify") {
        log.nowMs += 1000;
        continue;
      }
      log.emit({
        event: "live",
        order,
        users: scenario.users!,
        rps: 1234.4 + s,
        p95Ms: 87.6,
        failuresPerS: fails(run) ? 12.25 : 0,
      }, 1);
    }
  }
  log.emit({
    event: "run_finished",
    order,
    scenarioId,
    round,
    ...fails(run)
      ? { status: "failed", cause: STUDY_CAUSE, rps: null, p95Ms: null }
      : { status: "ok", cause: null, rps: 1200 + order, p95Ms: 90 + order },
    tookS: (log.nowMs - startedMs) / 1000,
  });
}

function fails({ scenario: { framework, path, users } }: PlannedRun): boolean {
  return framework === "fastapi" && path === "direct" && users === 1000;
}
