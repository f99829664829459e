/**
 * The state of a study in progress, folded from its events. Views draw this and nothing else.
 *
 * @module
 */

import type {
  Live,
  Phase,
  ReportStarted,
  RunFinished,
  RunOutcome,
  RunStarted,
  StudyEvent,
  StudyMatrix,
  StudyStarted,
} from "./events.ts";

/** The load's figures of the last second. */
export type LiveFigures = Omit<Live, "event" | "order">;

/** The run under way. */
export interface CurrentRun {
  scenarioId: string;
  label: string;
  round: number;
  phase: Phase;
  /** Unix time in milliseconds at which it started, and at which its phase did. */
  sinceMs: number;
  phaseSinceMs: number;
  live: LiveFigures | null;
}

/** A run that has ended, as it is announced. */
export interface FinishedRun extends RunOutcome {
  label: string;
  round: number;
  cause: string | null;
  p95Ms: number | null;
  /** Whether `p95Ms` is a lower bound. */
  p95IsBound?: boolean;
}

/** What a view shows. */
export interface StudyProgress {
  study: string;
  /** Runs of the study, and how many were complete when this start began. */
  runs: number;
  completeBefore: number;
  /** Runs finished by this start. */
  finished: number;
  /** Failed runs, those of earlier starts too where they are known. */
  failed: number;
  /** Runs that gates rejected, likewise. */
  rejected: number;
  /** Seconds that the finished runs took together. */
  spentS: number;
  /** Every scenario with its rounds; null when the events do not say. */
  matrix: StudyMatrix | null;
  /** Unix time in milliseconds of the study's start. */
  sinceMs: number | null;
  /** The last line of the setup under way, or null. */
  setup: { text: string; sinceMs: number } | null;
  /** The run under way, or null. */
  current: CurrentRun | null;
  /** The run that ended last, or null. */
  last: FinishedRun | null;
  /** The report under way, or null; its step is null before the first. */
  report: { text: string | null; done: number; total: number; sinceMs: number } | null;
  /** Told to end, and not yet there. */
  stopping: boolean;
  /** All runs are complete; how long this start took for them. */
  done: boolean;
  tookS: number | null;
  /** Ended before it was done. */
  stopped: boolean;
}

/** The state before the first event. */
export function emptyProgress(): StudyProgress {
  return {
    study: "",
    runs: 0,
    completeBefore: 0,
    finished: 0,
    failed: 0,
    rejected: 0,
    spentS: 0,
    matrix: null,
    sinceMs: null,
    setup: null,
    current: null,
    last: null,
    report: null,
    stopping: false,
    done: false,
    tookS: null,
    stopped: false,
  };
}

/** The state after one more event. */
export function foldEvent(state: StudyProgress, event: StudyEvent): StudyProgress {
  const timeMs = Date.parse(event.time);
  const current = (change: Partial<CurrentRun>): StudyProgress =>
    state.current === null ? state : { ...state, current: { ...state.current, ...change } };
  switch (event.event) {
    case "study_started":
      return startStudy(event, timeMs);
    case "setup":
      // What is set up within a run belongs to its start.
      return state.current !== null ? state : {
        ...state,
        setup: { text: event.text, sinceMs: state.setup?.sinceMs ?? timeMs },
      };
    case "run_started":
      return { ...state, setup: null, current: startRun(event, timeMs) };
    case "phase":
      return current({ phase: event.phase, phaseSinceMs: timeMs });
    case "live": {
      const { event: _event, time: _time, order: _order, ...live } = event;
      return current({ live });
    }
    case "run_finished":
      return finishRun(state, event);
    case "run_stopped":
      return { ...state, current: null };
    case "rounds_added": {
      const { runs, scenarioIds, maxRounds } = event;
      return { ...state, runs, matrix: withRounds(state.matrix, scenarioIds, maxRounds) };
    }
    case "study_finished":
      return { ...state, current: null, done: true, tookS: event.tookS };
    case "interrupted":
      return { ...state, stopping: true };
    case "study_stopped":
      return { ...state, current: null, setup: null, stopping: false, stopped: true };
    case "report_started":
      return startReport(state, event, timeMs);
    case "report_step": {
      const { text, done, total } = event;
      return {
        ...state,
        setup: null,
        report: { text, done, total, sinceMs: state.report?.sinceMs ?? timeMs },
      };
    }
    case "report_finished":
    case "report_failed":
      return { ...state, report: null, setup: null };
    case "note":
      return state;
  }
}

function startStudy(event: StudyStarted, sinceMs: number): StudyProgress {
  const { study, runs, complete, matrix = null } = event;
  const outcomes = matrix?.cells.flatMap((cell) => cell.rounds) ?? [];
  return {
    ...emptyProgress(),
    study,
    runs,
    matrix,
    completeBefore: complete,
    sinceMs,
    failed: outcomes.filter((outcome) => outcome?.status === "failed").length,
    rejected: outcomes.filter((outcome) => outcome?.status === "rejected").length,
  };
}

function startRun({ scenarioId, label, round }: RunStarted, sinceMs: number): CurrentRun {
  return {
    scenarioId,
    label,
    round,
    phase: "start",
    live: null,
    sinceMs,
    phaseSinceMs: sinceMs,
  };
}

function finishRun(state: StudyProgress, event: RunFinished): StudyProgress {
  const { scenarioId, round, status, rps, tookS } = event;
  const { cause, p95Ms, p95IsBound } = event;
  const label = state.current?.label ?? scenarioId;
  return {
    ...state,
    finished: state.finished + 1,
    failed: state.failed + (status === "failed" ? 1 : 0),
    rejected: state.rejected + (status === "rejected" ? 1 : 0),
    spentS: state.spentS + tookS,
    matrix: withOutcome(state.matrix, scenarioId, round, { status, tookS, rps }),
    current: null,
    last: { label, round, status, cause, rps, p95Ms, p95IsBound, tookS },
  };
}

function startReport(state: StudyProgress, event: ReportStarted, sinceMs: number): StudyProgress {
  // A study that was complete before this start has said nothing yet.
  const known = state.study === event.study ? state : {
    ...emptyProgress(),
    study: event.study,
    runs: event.runs,
    completeBefore: event.runs,
    failed: event.failed,
    done: true,
    sinceMs,
  };
  return { ...known, report: { text: null, done: 0, total: 1, sinceMs } };
}

function withOutcome(
  matrix: StudyMatrix | null,
  scenarioId: string,
  round: number,
  outcome: RunOutcome,
): StudyMatrix | null {
  if (matrix === null) return null;
  const cells = matrix.cells.map((cell) =>
    cell.scenarioId === scenarioId
      ? { ...cell, rounds: cell.rounds.with(round - 1, outcome) }
      : cell
  );
  return { ...matrix, cells };
}

/** The matrix with so many rounds of some scenarios, the new ones to do. */
function withRounds(
  matrix: StudyMatrix | null,
  scenarioIds: string[],
  rounds: number,
): StudyMatrix | null {
  if (matrix === null) return null;
  const cells = matrix.cells.map((cell) =>
    scenarioIds.includes(cell.scenarioId)
      ? { ...cell, rounds: Array.from({ length: rounds }, (_, i) => cell.rounds[i] ?? null) }
      : cell
  );
  return { ...matrix, cells };
}

/** Runs that are complete, and the part of the study that they are. */
export function countComplete(state: StudyProgress): { complete: number; share: number } {
  const complete = state.completeBefore + state.finished;
  return { complete, share: state.runs === 0 ? 0 : Math.min(1, complete / state.runs) };
}

/**
 * Seconds until the last run's end, from what the runs so far took, those of earlier starts too;
 * null before the first has ended. Each scenario is expected to take the mean of its own runs,
 * drawn to the mean of all runs as if by one more run of that length: a scenario that fails early
 * or starts slowly is seen for what it is, and one run does not decide.
 */
export function remainingS(state: StudyProgress, nowMs: number): number | null {
  const { matrix, current } = state;
  if (matrix === null) return remainingByMeanS(state, nowMs);
  const measured = matrix.cells.flatMap((cell) => cell.rounds).filter((run) => run !== null);
  if (measured.length === 0) return null;
  // A run that failed early says little about the others.
  const good = measured.filter((run) => run.status !== "failed");
  const typicalS = meanS(good.length > 0 ? good : measured);
  let left = 0;
  for (const { scenarioId, rounds } of matrix.cells) {
    const own = rounds.filter((run) => run !== null);
    const expectedS = (sumS(own) + typicalS) / (own.length + 1);
    left += expectedS * (rounds.length - own.length);
    if (scenarioId === current?.scenarioId) {
      left -= expectedS - currentRemainingS(current, matrix, expectedS, nowMs);
    }
  }
  return Math.max(0, left);
}

/** What is left of the run under way: never less than its warm-up and window still need. */
function currentRemainingS(
  { phase, sinceMs, phaseSinceMs }: CurrentRun,
  { warmUpS, windowS }: StudyMatrix,
  expectedS: number,
  nowMs: number,
): number {
  const inPhaseS = (nowMs - phaseSinceMs) / 1000;
  const loadS = phase === "warm-up" || phase === "window"
    ? Math.max(0, (phase === "warm-up" ? warmUpS + windowS : windowS) - inPhaseS)
    : phase === "stop"
    ? 0
    : warmUpS + windowS;
  return Math.max(loadS, expectedS - (nowMs - sinceMs) / 1000);
}

function remainingByMeanS(state: StudyProgress, nowMs: number): number | null {
  if (state.finished === 0) return null;
  const perRun = state.spentS / state.finished;
  const left = state.runs - state.completeBefore - state.finished;
  const running = state.current === null ? 0 : (nowMs - state.current.sinceMs) / 1000;
  return Math.max(0, left * perRun - Math.min(running, perRun));
}

/** Seconds of warm-ups and windows that are still to come: the least that the study can take. */
export function leastRemainingS(state: StudyProgress): number | null {
  if (state.matrix === null) return null;
  const { warmUpS, windowS } = state.matrix;
  return (state.runs - countComplete(state).complete) * (warmUpS + windowS);
}

function sumS(runs: RunOutcome[]): number {
  return runs.reduce((sum, { tookS }) => sum + tookS, 0);
}

function meanS(runs: RunOutcome[]): number {
  return sumS(runs) / runs.length;
}
