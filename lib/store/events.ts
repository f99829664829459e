/**
 * What happens in a study, one JSON object per line in `events.jsonl` and on the standard output of
 * `--json`. Every view of a study in progress, in the terminal or in a notebook, is drawn from these.
 * `docs/events.md` holds the types below as they are here.
 */

/** The steps of a run, in their order. */
export const PHASES = ["start", "verify", "warm-up", "window", "stop"] as const;

/** One of {@linkcode PHASES}. */
export type Phase = typeof PHASES[number];

/** `failed`: no result; `rejected`: measured, but a gate says that the numbers support no sentence. */
export type RunStatus = "ok" | "rejected" | "failed";

/** How a run ended, as far as a view needs it. */
export interface RunOutcome {
  status: RunStatus;
  /** Wall clock of the whole run, in seconds. */
  tookS: number;
  /** Throughput of its window; absent or null where it was not worked out or there is none. */
  rps?: number | null;
}

/** One scenario of the matrix, and what of it was complete when a start began. */
export interface MatrixCell {
  scenarioId: string;
  /** The label of its arm, such as `Shop pooled`. */
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

/** How many runs of a study ended in which way. */
export interface RunCounts {
  accepted: number;
  rejected: number;
  failed: number;
}

/** A comparison of two arms, or of an arm's direct and pooled path, as it was decided. */
export interface DecidedComparison {
  /** What is compared, and at which load: `Shop (per_request), pooled to direct at 500 users`. */
  label: string;
  /** Rounds behind it. */
  n: number;
  /** Ratio of throughputs, with its simultaneous 95% interval; null where there is none. */
  ratio: number | null;
  low: number | null;
  high: number | null;
  /** What may be said of it. */
  verdict: string;
}

/** A run in its study: its place in the order, its scenario, and the round from 1. */
export interface RunPlace {
  order: number;
  scenarioId: string;
  round: number;
}

/** What each event says beside its name and time. */
export interface EventFields {
  /** A study starts or is resumed: it has `runs` runs, of which `complete` were done before. */
  study_started: { study: string; runs: number; complete: number; matrix?: StudyMatrix };
  /**
   * All runs of a study are done; the counts are of all of them, those of earlier starts too, and
   * `tookS` is the wall clock of this start.
   */
  study_finished: RunCounts & { study: string; tookS: number };
  /** The study was interrupted or could not be continued; complete runs are kept. */
  study_stopped: { study: string };
  /** The study was told to end; what runs is being stopped. */
  interrupted: object;
  /** Something worth keeping in sight, such as a warning. */
  note: { text: string };
  /** A line of the setup, worth no more than a glance. */
  setup: { text: string };
  /** A run begins. */
  run_started: RunPlace & { label: string };
  /** A run enters its next step. */
  phase: { order: number; phase: Phase };
  /** The load's figures of the last second; not kept in `events.jsonl`. */
  live: {
    order: number;
    users: number;
    rps: number;
    failuresPerS: number;
    p95Ms: number | null;
    /** Of an open loop: requests due per second, and sent late or never so far. */
    arrivalRate?: number;
    late?: number;
    dropped?: number;
  };
  /** A run has ended, and its files are written. */
  run_finished: RunPlace & RunOutcome & {
    /** Why it failed or was rejected, in one sentence; null when it is ok. */
    cause: string | null;
    rps: number | null;
    p95Ms: number | null;
    /** Whether `p95Ms` is a lower bound. */
    p95IsBound?: boolean;
  };
  /** A run was interrupted; nothing of it is kept. */
  run_stopped: RunPlace;
  /**
   * Comparisons are undecided after `rounds` rounds: these scenarios get as many more as make
   * `maxRounds`. `runs` counts all runs of the study with them.
   */
  rounds_added: {
    rounds: number;
    maxRounds: number;
    undecided: number;
    comparisons: number;
    scenarioIds: string[];
    runs: number;
  };
  /**
   * Every pair of arms that take turns has had so many of its starts, after which the data are looked
   * at: what the comparisons come to so far. Their intervals become narrower from look to look.
   */
  look: { starts: number; of: number; comparisons: DecidedComparison[] };
  /** A report is being written, of a study of so many runs. */
  report_started: { study: string; runs: number; failed: number };
  /** `done` counts steps of `total`; within a notebook it goes up by fractions. */
  report_step: { text: string; done: number; total: number };
  /** The report is written. The exit status is 3 where `accepted` is 0. */
  report_finished: RunCounts & {
    study: string;
    /** The answer to the question, in Markdown, as the report has it. */
    answer: string;
    /** Every comparison of throughput. */
    comparisons: DecidedComparison[];
    /** The report's files, relative to the project. */
    files: string[];
    tookS: number;
  };
  /**
   * The report could not be written, or not all of it: why, in one sentence, and the files that were
   * written all the same, relative to the project.
   */
  report_failed: { study: string; cause: string; files: string[]; tookS: number };
}

/** Something that happened, `time` being ISO 8601 in UTC. */
export type StudyEvent = {
  [E in keyof EventFields]: { time: string; event: E } & EventFields[E];
}[keyof EventFields];

/** A {@linkcode StudyEvent} before it is given its time. */
export type NewEvent = {
  [E in keyof EventFields]: { event: E } & EventFields[E];
}[keyof EventFields];

export type RunFinished = EventFields["run_finished"];

/** Gives an event its time. */
export function stampEvent(event: NewEvent): StudyEvent {
  return { time: new Date().toISOString(), ...event } as StudyEvent;
}

/**
 * Writes events to a study's file and hands them to the views. Disposed of between the start of a
 * study or a run and its end, it says that these were stopped, so that no view waits for more.
 */
export class EventLog implements Disposable {
  #file: string;
  #study: string | null = null;
  #runs: RunPlace[] = [];
  #views: ((event: StudyEvent) => void)[];
  #unwritable = false;

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
    if (event.event === "interrupted" && this.#study === null) return;
    const stamped = stampEvent(event);
    if (stamped.event === "study_started") this.#study = stamped.study;
    if (stamped.event === "study_finished") this.#study = null;
    if (stamped.event === "run_started") this.#runs.push(stamped);
    if (stamped.event === "run_finished") {
      this.#runs = this.#runs.filter(({ order }) => order !== stamped.order);
    }
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
    for (const { order, scenarioId, round } of this.#runs.splice(0)) {
      this.emit({ event: "run_stopped", order, scenarioId, round });
    }
    if (this.#study !== null) this.emit({ event: "study_stopped", study: this.#study });
    this.#study = null;
  }
}
