/**
 * A study in progress, in a terminal, in a notebook's display and in a log of lines; and notebooks that
 * are executed.
 */

import type { DecidedComparison, EventFields, Phase } from "../store/events.ts";
import type { FinishedRun, LiveFigures } from "../store/progress.ts";
import { formatCount, formatList, formatPart, formatRatioEstimate, formatWhole } from "./format.ts";

/** A span of time for people: `45 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/**
 * Titles, parts of lines and whole lines. A part of which there is nothing to say is left out, such as
 * failures where there are none.
 */
export const progressWords = {
  setup: "setup",
  report: "report",
  stopping: "stopping",
  stoppingRuns: "stopping; complete runs are kept",
  writingReport: "writing the report",
  failedAbove: "failed, see above",
  allLevels: "in all",

  legend: (marks: Record<string, string>) => {
    const named = Object.entries(marks)
      .map(([state, mark]) => `${mark} ${state === "pending" ? "to do" : state}`);
    return `${named.join("  ")}, one mark a round; last RPS`;
  },
  moreArms: (hidden: number) => `… and ${formatCount(hidden, "more arm")}`,

  rps: (value: number, columns = 0) => `${formatWhole(value).padStart(columns)} RPS`,
  users: (users: number) => formatCount(users, "user"),
  due: (arrivalRate: number) => `${arrivalRate}/s due`,
  failures: (perS: number) => `${perS.toFixed(1)} failures/s`,
  /** Runs side by side, by their labels: `Shop direct and Shop pooled, 20 users`. */
  together: (labels: readonly string[]) => {
    const parts = labels.map((label) => /^(.*)(, [^,]*)$/.exec(label) ?? [label, label, ""]);
    const [, , level] = parts[0] ?? [];
    return parts.every((part) => part[2] === level)
      ? formatList(parts.map(([, arm]) => arm!)) + (level ?? "")
      : formatList(labels);
  },
  /** What runs side by side do; P95 and what went wrong is of all. */
  live: (runs: readonly LiveFigures[]): string[] => {
    const [first] = runs;
    if (first === undefined) return [];
    const { p95Ms, failuresPerS, late = 0, dropped = 0 } = first;
    return [
      progressWords.rps(first.rps),
      runs.slice(1).map(({ rps }) => progressWords.rps(rps)),
      p95Ms === null ? [] : `P95 ${formatWhole(p95Ms)} ms`,
      failuresPerS > 0 ? progressWords.failures(failuresPerS) : [],
      late > 0 ? `${formatWhole(late)} late` : [],
      dropped > 0 ? `${formatWhole(dropped)} dropped` : [],
    ].flat();
  },
  outcome: ({ status, cause, rps, p95Ms, p95IsBound }: Omit<FinishedRun, "label">): string => {
    if (status === "failed") return `FAILED: ${cause ?? "unknown reason"}`;
    const p95 = p95Ms === null ? "" : `, P95 ${p95IsBound ? "≥ " : ""}${formatWhole(p95Ms)} ms`;
    const why = status === "rejected" ? `; rejected: ${cause}` : "";
    return (rps == null ? "– RPS" : progressWords.rps(rps)) + p95 + why;
  },

  /** A step with what it does now, as far as that is known. */
  step: (title: string, ...texts: readonly (string | null)[]) =>
    [title, ...texts.filter((text) => text !== null)].join(" · "),
  place: (number: number, runs: number) => `[${number}/${runs}]`,
  round: (label: string, round: number, rounds?: number) =>
    `${label}, round ${round}${rounds === undefined ? "" : ` of ${rounds}`}`,
  phase: (phase: Phase, seconds?: number, wholeS?: number) => {
    if (seconds === undefined) return phase;
    return `${phase}, ${seconds}${wholeS === undefined ? "" : ` of ${wholeS}`} s`;
  },
  lastRun: (run: string, outcome: string) => `last: ${run}: ${outcome}`,

  complete: (complete: number, runs: number) => formatPart(complete, runs, "run"),
  counted: (runs: number, state: "failed" | "rejected") => `${runs} ${state}`,
  counts: (complete: number, runs: number, failed: number, rejected: number): string =>
    [
      `${progressWords.complete(complete, runs)} complete`,
      failed > 0 ? progressWords.counted(failed, "failed") : [],
      rejected > 0 ? progressWords.counted(rejected, "rejected") : [],
    ].flat().join(", "),
  of: (study: string, state: string) => `${study}: ${state}`,
  stopped: (counts: string) => `stopped with ${counts}`,

  soFar: (seconds: number) => `${formatDuration(seconds)} so far`,
  left: (seconds: number) => `${formatDuration(seconds)} left`,
  endNotBefore: (seconds: number) => `at least ${progressWords.ofRunsLeft(seconds)}`,
  end: (seconds: number) => `about ${progressWords.ofRunsLeft(seconds)}`,
  endAt: (seconds: number, unixMs: number, timeZone?: string): string => {
    const format = { hour: "2-digit", minute: "2-digit", timeZone } as const;
    const clock = new Intl.DateTimeFormat("en-GB", format).format(unixMs);
    return `${progressWords.end(seconds)}, until ${clock}`;
  },
  ofRunsLeft: (seconds: number) => `${formatDuration(seconds)} of runs left`,
  took: (what: string, seconds: number) => `${what}; took ${formatDuration(seconds)}`,
} as const;

/** Lines of a log, an event each. */
export const eventWords = {
  studyStarted: (study: string, runs: number, complete: number) =>
    `Study ${study}: ${formatCount(runs, "run")}` +
    (complete > 0 ? `, ${complete} of them complete` : ""),
  runFinished: (place: string, run: string, outcome: string, seconds: number) =>
    `${place} ${run}: ${outcome} (${seconds.toFixed(1)} s)`,
  look: (starts: number, of: number) => {
    const after = starts < of
      ? `After ${starts} of ${of} starts`
      : `After ${formatCount(starts, "start")}`;
    return `${after}${starts === 1 ? ", without what starts differ by" : ""}:`;
  },
  comparison: ({ label, ratio, low, high }: DecidedComparison) =>
    `${label}: ` +
    (ratio === null ? "no ratio yet" : formatRatioEstimate({ value: ratio, low, high })),
  roundsAdded: (
    { rounds, undecided, comparisons, maxRounds }: EventFields["rounds_added"],
    scenarios: number,
    runs: number,
  ) =>
    `After ${formatCount(rounds, "round")} ${formatPart(undecided, comparisons, "comparison")} ` +
    `${undecided === 1 ? "is" : "are"} undecided: up to round ${maxRounds} for ` +
    `${formatCount(scenarios, "scenario")}, ${formatCount(runs, "further run")}`,
  /** Of so many runs where it is a part of the study. */
  reportStarted: (study: string, runs: number | null) =>
    `Writing the report of ${study}` +
    (runs === null ? "" : `, of ${formatCount(runs, "complete run")}`),
  reportEnded: (study: string, files: number, isIncomplete: boolean) =>
    `${isIncomplete ? "Incomplete report" : "Report"} of ${study}: ${formatCount(files, "file")}`,
} as const;
