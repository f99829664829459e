import type { ENGINES } from "../run_study.ts";
import type { StudyEvent } from "../store/events.ts";

/** What every benchmark is given. */
export interface BenchOptions {
  /** The full set instead of the default, which takes at most three minutes. */
  full: boolean;
  /** Where services run. */
  engine: typeof ENGINES[number];
  /** Seed of everything that is drawn. */
  seed: number;
  /** Ends the benchmark, everything stopped. */
  signal: AbortSignal;
  /** Receives a line to show. */
  log: (line: string) => void;
  /** Receives the events of the studies that are run. */
  onEvent: (event: StudyEvent) => void;
}
