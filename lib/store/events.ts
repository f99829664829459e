/**
 * What happens in a study, one JSON object per line in `events.jsonl`. Every view of a study in
 * progress, in the terminal or in a notebook, is drawn from these.
 *
 * @module
 */

/** The steps of a run, in their order. */
export const PHASES = ["start", "verify", "warm-up", "window", "stop"] as const;
/** One of {@linkcode PHASES}. */
export type Phase = typeof PHASES[number];

/** How a run ended, as far as a view needs it. */
export interface RunOutcome {
  status: "ok" | "failed";
  /** Wall clock of the whole run, in seconds. */
  tookS: number;
  /** Throughput of its window; absent or null where it was not worked out or there is none. */
  rps?: number | null;
}

/** One scenario of the matrix, and what of it was complete when a start began. */
export interface MatrixCell {
  scenarioId: string;
  /** The label of its arm, such as `Django pooled`. */
  arm: string;
  users: number | null;
  /** Absent in the events of a time without open loops. */
  arrivalRate?: number | null;
  /** By round, the first at index 0; null is still to do. */
  rounds: (RunOutcome | null)[];
}

/** What a study is made of, for a view of what is done. */
export interface StudyMatrix {
  warmUpS: number;
  windowS: number;
  cells: MatrixCell[];
}

/** Something that happened, `time` being ISO 8601 in UTC. */
export type StudyEvent =
  & { time: string }
  & (
    | {
      event: "study_started";
      study: string;
      runs: number;
      complete: number;
      matrix?: StudyMatrix;
    }
    /** Something worth keeping in sight, such as a warning. */
    | { event: "note"; text: string }
    /** A line of the set-up, worth no more than a glance. */
    | { event: "setup"; text: string }
    | { event: "run_started"; order: number; scenarioId: string; round: number; label: string }
    | { event: "phase"; order: number; phase: Phase }
    | {
      event: "live";
      order: number;
      users: number;
      rps: number;
      failuresPerS: number;
      p95Ms: number | null;
      /** Of an open loop: requests due per second, and sent late or never so far. */
      arrivalRate?: number;
      late?: number;
      dropped?: number;
    }
    | {
      event: "run_finished";
      order: number;
      scenarioId: string;
      round: number;
      status: "ok" | "failed";
      cause: string | null;
      rps: number | null;
      p95Ms: number | null;
      /** Whether `p95Ms` is a lower bound. */
      p95IsBound?: boolean;
      /** What was wrong with an open loop's load; absent or null where nothing was. */
      trouble?: string | null;
      tookS: number;
    }
    /**
     * Comparisons are undecided after `rounds` rounds: these scenarios get as many more as make
     * `maxRounds`. `runs` counts all runs of the study with them.
     */
    | {
      event: "rounds_added";
      rounds: number;
      maxRounds: number;
      undecided: number;
      comparisons: number;
      scenarioIds: string[];
      runs: number;
    }
    | { event: "study_finished"; study: string; failed: number; tookS: number }
    /** The study was told to end; what runs is being stopped. */
    | { event: "interrupted" }
    /** The start ended before its study did. */
    | { event: "study_stopped"; study: string }
    | { event: "report_started"; study: string; runs: number; failed: number }
    /** `done` counts steps of `total`; within a notebook it goes up by fractions. */
    | { event: "report_step"; text: string; done: number; total: number }
    /** `files` are the report's, relative to the project. */
    | { event: "report_finished"; study: string; files: string[]; tookS: number }
  );

/** A {@linkcode StudyEvent} before it is given its time. */
export type NewEvent = StudyEvent extends infer E ? E extends { time: string } ? Omit<E, "time">
  : never
  : never;

/** Gives an event its time. */
export function stampEvent(event: NewEvent): StudyEvent {
  return { time: new Date().toISOString(), ...event } as StudyEvent;
}

/**
 * Writes events to a study's file and hands them to the views. Disposed of between a study's start
 * and its end, it says that the study was stopped, so that no view waits for more.
 */
export class EventLog implements Disposable {
  #file: string;
  #underway: string | null = null;
  #views: ((event: StudyEvent) => void)[];
  #unwritable = false;

  /**
   * @param file The study's `events.jsonl`.
   * @param views Called with every event.
   */
  constructor(file: string, views: ((event: StudyEvent) => void)[] = []) {
    this.#file = file;
    this.#views = views;
  }

  /**
   * Records an event. Live figures are shown and not kept: they would outgrow the results. A file
   * that cannot be written is told once and ends nothing: no result depends on it.
   */
  emit(event: NewEvent): void {
    // The signal may outlive the study.
    if (event.event === "interrupted" && this.#underway === null) return;
    const stamped = stampEvent(event);
    if (stamped.event === "study_started") this.#underway = stamped.study;
    if (stamped.event === "study_finished") this.#underway = null;
    const refusal = stamped.event === "live" ? null : this.#append(stamped);
    for (const view of this.#views) view(stamped);
    if (refusal !== null && !this.#unwritable) {
      this.#unwritable = true;
      this.emit({ event: "note", text: `Warning: cannot write events.jsonl: ${refusal}` });
    }
  }

  #append(event: StudyEvent): string | null {
    try {
      Deno.writeTextFileSync(this.#file, JSON.stringify(event) + "\n", { append: true });
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  }

  [Symbol.dispose](): void {
    if (this.#underway === null) return;
    this.emit({ event: "study_stopped", study: this.#underway });
    this.#underway = null;
  }
}
