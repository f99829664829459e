/** The state of a study in progress, folded from its events. Views draw this and nothing else. */

import type {
  EventFields,
  MatrixCell,
  Phase,
  RunOutcome,
  RunPlace,
  StudyEvent,
  StudyMatrix,
} from "./events.ts";

export type LiveFigures = Omit<EventFields["live"], "order">;

/** A run that is being made. */
export interface LiveRun extends RunPlace {
  label: string;
  live: LiveFigures | null;
}

export interface CurrentRun extends LiveRun {
  phase: Phase;
  /** Unix time in milliseconds at which it started, and at which its phase did. */
  sinceMs: number;
  phaseSinceMs: number;
  /** Runs that stand beside it. */
  beside: LiveRun[];
}

/** The runs that are being made, side by side. */
export function liveRuns({ current }: Pick<StudyProgress, "current">): LiveRun[] {
  return current === null ? [] : [current, ...current.beside];
}

export type FinishedRun =
  & Pick<EventFields["run_finished"], "round" | "status" | "cause" | "rps" | "p95Ms" | "p95IsBound">
  & { label: string };

export function emptyProgress() {
  return {
    study: "",
    /** Runs of the study, and how many were complete when this start began. */
    runs: 0,
    completeBefore: 0,
    finished: 0,
    /** Runs that failed and that gates rejected, those of earlier starts too where they are known. */
    failed: 0,
    rejected: 0,
    spentS: 0,
    /** Every scenario with its rounds; null when the events do not say. */
    matrix: null as StudyMatrix | null,
    sinceMs: null as number | null,
    setup: null as { text: string; sinceMs: number } | null,
    current: null as CurrentRun | null,
    last: null as FinishedRun | null,
    /** What the comparisons came to at the last look; null before the first. */
    look: null as EventFields["look"] | null,
    /** The report under way; its step is null before the first. */
    report: null as { text: string | null; done: number; total: number; sinceMs: number } | null,
    /** Told to end, and not yet there. */
    stopping: false,
    /** All runs are complete; how long this start took for them. */
    done: false,
    tookS: null as number | null,
    /** Ended before it was done. */
    stopped: false,
  };
}

export type StudyProgress = ReturnType<typeof emptyProgress>;

export function foldEvent(state: StudyProgress, event: StudyEvent): StudyProgress {
  const timeMs = Date.parse(event.time);
  const current = (change: Partial<CurrentRun>): StudyProgress =>
    state.current === null ? state : { ...state, current: { ...state.current, ...change } };
  switch (event.event) {
    case "study_started":
      return startStudy(event, timeMs);
    case "setup": {
      // What is set up within a run belongs to its start.
      if (state.current !== null) return state;
      return { ...state, setup: { text: event.text, sinceMs: state.setup?.sinceMs ?? timeMs } };
    }
    case "run_started": {
      const run = { ...event, live: null };
      const { beside = [] } = state.current ?? {};
      if (state.current !== null) return current({ beside: [...beside, run] });
      const since = { sinceMs: timeMs, phaseSinceMs: timeMs };
      return { ...state, setup: null, current: { ...run, phase: "start", ...since, beside } };
    }
    case "phase":
      return state.current?.phase === event.phase
        ? state
        : current({ phase: event.phase, phaseSinceMs: timeMs });
    case "live": {
      const show = <R extends LiveRun>(run: R): R =>
        run.order === event.order ? { ...run, live: event } : run;
      const shown = state.current && show(state.current);
      return { ...state, current: shown && { ...shown, beside: shown.beside.map(show) } };
    }
    case "run_finished":
      return finishRun(state, event);
    case "run_stopped":
      return { ...state, current: withoutRun(state.current, event.order) };
    case "rounds_added": {
      const { runs, scenarioIds, maxRounds } = event;
      const more = (rounds: Rounds) =>
        Array.from({ length: maxRounds }, (_, i) => rounds[i] ?? null);
      return { ...state, runs, matrix: changeRounds(state.matrix, scenarioIds, more) };
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
      const sinceMs = state.report?.sinceMs ?? timeMs;
      return { ...state, setup: null, report: { ...event, sinceMs } };
    }
    case "report_finished":
    case "report_failed":
      return { ...state, report: null, setup: null };
    case "look":
      return { ...state, look: event };
    case "note":
      return state;
  }
}

function startStudy(event: EventFields["study_started"], sinceMs: number): StudyProgress {
  const { study, runs, complete, matrix } = event;
  const outcomes = matrix?.cells.flatMap((cell) => cell.rounds) ?? [];
  const count = (status: RunOutcome["status"]) =>
    outcomes.filter((outcome) => outcome?.status === status).length;
  return {
    ...emptyProgress(),
    study,
    runs,
    matrix: matrix ?? null,
    completeBefore: complete,
    sinceMs,
    failed: count("failed"),
    rejected: count("rejected"),
  };
}

function finishRun(state: StudyProgress, event: EventFields["run_finished"]): StudyProgress {
  const { scenarioId, round, status, rps, tookS } = event;
  return {
    ...state,
    finished: state.finished + 1,
    failed: state.failed + (status === "failed" ? 1 : 0),
    rejected: state.rejected + (status === "rejected" ? 1 : 0),
    spentS: state.spentS + tookS,
    matrix: changeRounds(
      state.matrix,
      [scenarioId],
      (rounds) => rounds.with(round - 1, { status, tookS, rps }),
    ),
    current: withoutRun(state.current, event.order),
    last: { ...event, label: labelOf(state, event) },
  };
}

/** What is left of the runs that are being made when one has ended. */
function withoutRun(current: CurrentRun | null, order: number): CurrentRun | null {
  if (current === null) return null;
  const beside = current.beside.filter((run) => run.order !== order);
  if (current.order !== order) return { ...current, beside };
  const [next, ...rest] = beside;
  return next === undefined ? null : { ...current, ...next, beside: rest };
}

/** How a run that is being made is called. */
export function labelOf(state: StudyProgress, { order, scenarioId }: RunPlace): string {
  return liveRuns(state).find((run) => run.order === order)?.label ?? scenarioId;
}

function startReport(
  state: StudyProgress,
  { study, runs, failed }: EventFields["report_started"],
  sinceMs: number,
): StudyProgress {
  const report = { text: null, done: 0, total: 1, sinceMs };
  if (state.study === study) return { ...state, report };
  // A study that was complete before this start has said nothing yet.
  return {
    ...emptyProgress(),
    study,
    runs,
    completeBefore: runs,
    failed,
    done: true,
    sinceMs,
    report,
  };
}

type Rounds = MatrixCell["rounds"];

function changeRounds(
  matrix: StudyMatrix | null,
  scenarioIds: string[],
  change: (rounds: Rounds) => Rounds,
): StudyMatrix | null {
  return matrix && {
    ...matrix,
    cells: matrix.cells.map((cell) =>
      scenarioIds.includes(cell.scenarioId) ? { ...cell, rounds: change(cell.rounds) } : cell
    ),
  };
}

/** Runs that are complete, and the part of the study that they are. */
export function countComplete(state: StudyProgress): { complete: number; share: number } {
  const complete = state.completeBefore + state.finished;
  return { complete, share: state.runs === 0 ? 0 : Math.min(1, complete / state.runs) };
}

/**
 * Seconds until the last run's end; null before the first has ended. Each scenario is expected to take
 * the mean of its own runs, drawn to the mean of all as if by one more run of that length.
 */
export function remainingS(state: StudyProgress, nowMs: number): number | null {
  const { matrix, current } = state;
  if (matrix === null) return remainingByMeanS(state, nowMs);
  const measured = matrix.cells.flatMap((cell) => cell.rounds).filter((run) => run !== null);
  if (measured.length === 0) return null;
  // A run that failed early says little about the others.
  const good = measured.filter((run) => run.status !== "failed");
  const typical = good.length > 0 ? good : measured;
  const typicalS = sumS(typical) / typical.length;
  let left = 0;
  for (const { scenarioId, rounds } of matrix.cells) {
    const own = rounds.filter((run) => run !== null);
    const expectedS = (sumS(own) + typicalS) / (own.length + 1);
    left += expectedS * (rounds.length - own.length);
    if (current !== null && liveRuns(state).some((run) => run.scenarioId === scenarioId)) {
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
