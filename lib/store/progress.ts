/**
 * The state of a study in progress, folded from its events. Views draw this and nothing else.
 *
 * @module
 */

import type { Phase, StudyEvent } from "./events.ts";

/** What a view shows. */
export interface StudyProgress {
  study: string;
  /** Runs of the study, and how many were complete when this start began. */
  runs: number;
  completeBefore: number;
  /** Runs finished by this start, and how many of them failed. */
  finished: number;
  failed: number;
  /** Seconds that the finished runs took together. */
  spentS: number;
  /** The run under way, or null. */
  current: {
    label: string;
    round: number;
    phase: Phase;
    /** Unix time in milliseconds at which it started. */
    sinceMs: number;
    live: { users: number; rps: number; failuresPerS: number; p95Ms: number | null } | null;
  } | null;
  done: boolean;
}

/** The state before the first event. */
export function emptyProgress(): StudyProgress {
  return {
    ...{ study: "", runs: 0, completeBefore: 0, finished: 0, failed: 0, spentS: 0 },
    ...{ current: null, done: false },
  };
}

/** The state after one more event. */
export function foldEvent(state: StudyProgress, event: StudyEvent): StudyProgress {
  switch (event.event) {
    case "study_started":
      return {
        ...emptyProgress(),
        ...{ study: event.study, runs: event.runs, completeBefore: event.complete },
      };
    case "run_started": {
      const { label, round } = event;
      const sinceMs = Date.parse(event.time);
      return { ...state, current: { label, round, phase: "start", sinceMs, live: null } };
    }
    case "phase":
      return state.current === null
        ? state
        : { ...state, current: { ...state.current, phase: event.phase } };
    case "live": {
      const { users, rps, failuresPerS, p95Ms } = event;
      const live = { users, rps, failuresPerS, p95Ms };
      return state.current === null ? state : { ...state, current: { ...state.current, live } };
    }
    case "run_finished":
      return {
        ...state,
        finished: state.finished + 1,
        failed: state.failed + (event.status === "failed" ? 1 : 0),
        spentS: state.spentS + event.tookS,
        current: null,
      };
    case "study_finished":
      return { ...state, done: true };
    case "note":
      return state;
  }
}

/**
 * Seconds until the study's end, from what the runs so far took; null before the first has ended.
 */
export function remainingS(state: StudyProgress, nowMs: number): number | null {
  if (state.finished === 0) return null;
  const perRun = state.spentS / state.finished;
  const left = state.runs - state.completeBefore - state.finished;
  const running = state.current === null ? 0 : (nowMs - state.current.sinceMs) / 1000;
  return Math.max(0, left * perRun - Math.min(running, perRun));
}

/** A span of time for people: `45 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** The state as one line of text. */
export function progressLine(state: StudyProgress, nowMs: number): string {
  const done = state.completeBefore + state.finished;
  if (state.done) {
    const failed = state.failed > 0 ? `, ${state.failed} failed` : "";
    return `${state.study}: ${done} of ${state.runs} runs complete${failed}`;
  }
  const parts = [`[${Math.min(done + 1, state.runs)}/${state.runs}]`];
  if (state.current !== null) {
    const { label, phase, live } = state.current;
    parts.push(label, `· ${phase}`);
    if (live !== null) {
      parts.push(`· ${Math.round(live.rps)} RPS`);
      if (live.p95Ms !== null) parts.push(`· P95 ${Math.round(live.p95Ms)} ms`);
      if (live.failuresPerS > 0) parts.push(`· ${live.failuresPerS.toFixed(1)} failures/s`);
    }
  }
  const left = remainingS(state, nowMs);
  if (left !== null) parts.push(`· ${formatDuration(left)} left`);
  return parts.join(" ");
}
