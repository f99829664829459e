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

/** Something that happened, `time` being ISO 8601 in UTC. */
export type StudyEvent =
  & { time: string }
  & (
    | { event: "study_started"; study: string; runs: number; complete: number }
    | { event: "note"; text: string }
    | { event: "run_started"; order: number; scenarioId: string; round: number; label: string }
    | { event: "phase"; order: number; phase: Phase }
    | {
      event: "live";
      order: number;
      users: number;
      rps: number;
      failuresPerS: number;
      p95Ms: number | null;
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
      tookS: number;
    }
    | { event: "study_finished"; study: string; failed: number; tookS: number }
  );

/** A {@linkcode StudyEvent} before it is given its time. */
export type NewEvent = StudyEvent extends infer E ? E extends { time: string } ? Omit<E, "time">
  : never
  : never;

/** Writes events to a study's file and hands them to the views. */
export class EventLog {
  #file: string;
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
    const stamped = { time: new Date().toISOString(), ...event } as StudyEvent;
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
}
