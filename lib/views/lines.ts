/** A study in progress as lines of text: pure functions of its state, the space and the time. */

import { compareLevels, levelLabel, loadLevels } from "../scenario.ts";
import type { EventFields, StudyEvent } from "../store/events.ts";
import {
  countComplete,
  type CurrentRun,
  emptyProgress,
  labelOf,
  leastRemainingS,
  liveRuns,
  remainingS,
  type StudyProgress,
} from "../store/progress.ts";
import { eventWords, formatDuration, progressWords as say } from "../wording/progress.ts";
import {
  cutSpans,
  cutText,
  displayWidth,
  padText,
  paint,
  plainText,
  type Span,
  spansWidth,
} from "./text.ts";

export interface Frame {
  columns: number;
  rows: number;
  nowMs: number;
  /** @default false */
  color?: boolean;
  /** The time zone of clock times. @default {the system's} */
  timeZone?: string;
}

/** Narrower or lower than this, one line has to do. */
const MIN_COLUMNS = 50;
const MIN_ROWS = 8;
/** A clock time helps only who is going to come back. */
const CLOCK_FROM_S = 600;

/** The marks of a round. Without colour they still differ. */
const MARKS = { ok: "●", rejected: "▲", failed: "✗", running: "▸", pending: "·" } as const;
const RUNNING: Span = [`${MARKS.running} `, "running"];
const LEGEND: Span[] = [[say.legend(MARKS), "dim"]];

/** A cell of the matrix: its rounds, and the throughput of the last that was accepted. */
interface Cell {
  rounds: (keyof typeof MARKS)[];
  rps: number | null;
}

/** Arms and load levels; where arms have rates of their own, a column is the i-th of each arm. */
export function matrixRows(state: StudyProgress) {
  const { matrix } = state;
  const live = liveRuns(state);
  const cells = (matrix?.cells ?? []).map((cell) => ({
    ...cell,
    arrivalRate: cell.arrivalRate ?? null,
  }));
  const all = loadLevels(cells);
  const arms = [...Map.groupBy(cells, ({ arm }) => arm)]
    .map(([arm, own]) => ({ arm, own, levels: loadLevels(own) }));
  const most = Math.max(0, ...arms.map(({ levels }) => levels.length));
  const isByRank = all.length > most && all.every(({ users }) => users === null);
  const heads = isByRank
    ? Array.from({ length: most }, (_, i) => {
      const rates = arms.flatMap(({ levels }) => levels[i]?.arrivalRate ?? []);
      const [low, high] = [Math.min(...rates), Math.max(...rates)];
      return low === high ? `${low}/s` : `${low}–${high}/s`;
    })
    : all.map(levelLabel);
  const rows = arms.map(({ arm, own, levels }) => ({
    arm,
    cells: heads.map((_, i): Cell => {
      const level = (isByRank ? levels : all)[i];
      const here = own.filter((cell) => level !== undefined && compareLevels(cell, level) === 0);
      return {
        rounds: here.flatMap(({ scenarioId, rounds }) =>
          rounds.map((round, i) =>
            live.some((run) => run.scenarioId === scenarioId && run.round === i + 1)
              ? "running"
              : round?.status ?? "pending"
          )
        ),
        rps: here.flatMap(({ rounds }) => rounds).findLast((round) => round?.status === "ok")
          ?.rps ?? null,
      };
    }),
  }));
  return { heads, rows };
}

type CellDrawer = (cell: Cell) => Span[];

export const drawMarks: CellDrawer = ({ rounds }) =>
  rounds.map((round): Span => [MARKS[round], round === "pending" ? "dim" : round]);

/** Counts instead of marks, for where there are too many rounds. */
export const drawCounts: CellDrawer = ({ rounds }) => {
  const count = (status: string) => rounds.filter((round) => round === status).length;
  const bad = (["rejected", "failed"] as const).filter((status) => count(status) > 0);
  const complete = rounds.length - count("running") - count("pending");
  return [
    [`${complete}/${rounds.length}`, "plain"],
    ...bad.map((status): Span => [` ${MARKS[status]}${count(status)}`, status]),
    [count("running") > 0 ? ` ${MARKS.running}` : "", "running"],
  ];
};

const drawRps: CellDrawer = (cell) => [
  ...drawMarks(cell),
  [cell.rps === null ? "" : ` ${say.rps(cell.rps, 6)}`, "dim"],
];

/** The matrix in as much detail as fits, below its head; nothing where there is none. */
function drawMatrix(state: StudyProgress, columns: number): Span[][] {
  const { heads, rows } = matrixRows(state);
  if (rows.length === 0) return [];
  const rounds = Math.max(...rows.flatMap((row) => row.cells.map((cell) => cell.rounds.length)));
  const armColumns = Math.min(
    Math.max(...rows.map(({ arm }) => displayWidth(arm))),
    Math.max(16, Math.floor(columns * 0.45)),
  );
  // The widest that a cell may become in the course of the study, so that columns stay put.
  const drawers: [CellDrawer, widest: number][] = [
    [drawRps, rounds + ` ${say.rps(12_345)}`.length],
    [drawMarks, rounds],
    // None is accepted, and one runs: `12/13 ▲6 ✗6 ▸`.
    [drawCounts, 4 * String(rounds).length + 7],
  ];
  for (const [draw, widest] of drawers) {
    const cellColumns = Math.max(widest, ...heads.map(displayWidth));
    if (armColumns + heads.length * (cellColumns + 2) > columns) continue;
    return layOut(rows, heads, armColumns, cellColumns, draw);
  }
  // Too many columns: one for all levels together.
  const joined = rows.map(({ arm, cells }) => ({
    arm,
    cells: [{ rounds: cells.flatMap((cell) => cell.rounds), rps: null }],
  }));
  return layOut(joined, [say.allLevels], armColumns, 14, drawCounts);
}

function layOut(
  rows: { arm: string; cells: Cell[] }[],
  heads: string[],
  armColumns: number,
  cellColumns: number,
  draw: CellDrawer,
): Span[][] {
  const head = heads.map((text) => "  " + padText(text, cellColumns)).join("");
  return [
    [[" ".repeat(armColumns) + head.trimEnd(), "dim"]],
    ...rows.map(({ arm, cells }): Span[] => [
      [padText(plainText(arm), armColumns), "plain"],
      ...cells.map(draw).flatMap((drawn, i): Span[] => {
        const isLast = i === cells.length - 1;
        const blanks = isLast ? 0 : Math.max(0, cellColumns - spansWidth(drawn));
        return [["  ", "plain"], ...drawn, [" ".repeat(blanks), "plain"]];
      }),
    ]),
  ];
}

/** When it will be over, as far as that is known. */
export function remainingText(
  state: StudyProgress,
  { nowMs, timeZone }: Pick<Frame, "nowMs" | "timeZone">,
): string {
  if (state.stopping) return say.stoppingRuns;
  if (state.report !== null) return say.writingReport;
  const left = remainingS(state, nowMs);
  if (left === null) {
    const least = leastRemainingS(state);
    return least === null ? "" : say.endNotBefore(least);
  }
  return left < CLOCK_FROM_S ? say.end(left) : say.endAt(left, nowMs + left * 1000, timeZone);
}

/** The phase of the run under way, with its seconds where they are known. */
export function phaseText(
  { matrix }: StudyProgress,
  { phase, phaseSinceMs }: CurrentRun,
  nowMs: number,
): string {
  const inPhaseS = Math.max(0, Math.floor((nowMs - phaseSinceMs) / 1000));
  const wholeS = new Map([["warm-up", matrix?.warmUpS], ["window", matrix?.windowS]]).get(phase);
  if (wholeS !== undefined) return say.phase(phase, Math.min(inPhaseS, wholeS), wholeS);
  return say.phase(phase, inPhaseS < 2 ? undefined : inPhaseS);
}

/** What is being done now, in one line and its figures in another. */
function drawCurrent(state: StudyProgress, { nowMs }: Frame): Span[][] {
  const { matrix, current, setup, report } = state;
  if (current !== null) {
    const { rounds } = matrix?.cells.find((cell) => cell.scenarioId === current.scenarioId) ?? {};
    const label = say.together(liveRuns(state).map(({ label }) => plainText(label)));
    const run = say.round(label, current.round, rounds?.length);
    const phase = phaseText(state, current, nowMs);
    return [[RUNNING, [`${run} · `, "bold"], [phase, "plain"]], drawLive(state)];
  }
  // A step of the report may have to install something first.
  const step = setup ?? report;
  if (step === null) return [];
  const ms = nowMs - step.sinceMs;
  const title = report === null ? say.setup : say.report;
  const text = say.step("", step.text, ms < 2000 ? null : formatDuration(ms / 1000));
  return [[RUNNING, [title, "bold"], [plainText(text), "plain"]], []];
}

function drawLive(state: StudyProgress): Span[] {
  const all = liveRuns(state).flatMap(({ live }) => live ?? []);
  const [live] = all;
  if (live === undefined) return [];
  const { users, arrivalRate = null, failuresPerS } = live;
  const load = arrivalRate === null ? levelLabel({ users, arrivalRate }) : say.due(arrivalRate);
  const parts = [...say.live(all.map((one) => ({ ...one, failuresPerS: 0 }))), load].join(" · ");
  const failures: Span[] = [[" · ", "plain"], [say.failures(failuresPerS), "failed"]];
  return [[`  ${parts}`, "plain"], ...(failuresPerS > 0 ? failures : [])];
}

function drawLast({ last }: StudyProgress): Span[] {
  if (last === null) return [];
  const outcome = last.status === "failed" ? say.failedAbove : say.outcome(last);
  return [[plainText(`  ${say.lastRun(say.round(last.label, last.round), outcome)}`), "dim"]];
}

function drawTitle(state: StudyProgress, nowMs: number): Span[] {
  const { study, runs, sinceMs } = state;
  const bad = (["failed", "rejected"] as const).filter((status) => state[status] > 0);
  const soFar = sinceMs === null ? "" : ` · ${say.soFar(Math.max(0, nowMs - sinceMs) / 1000)}`;
  return [
    [study, "bold"],
    [` · ${say.complete(countComplete(state).complete, runs)}`, "plain"],
    ...bad.flatMap((status): Span[] => [
      [" · ", "plain"],
      [say.counted(state[status], status), status],
    ]),
    [soFar, "dim"],
  ];
}

function drawBar(state: StudyProgress, frame: Frame, columns: number): Span[] {
  const { report } = state;
  const share = report === null ? countComplete(state).share : report.done / report.total;
  const text = ` ${String(Math.floor(share * 100)).padStart(3)}% · ${remainingText(state, frame)}`;
  // Of one length, whatever the text says, or it would jump about.
  const length = columns < 70 ? 12 : columns < 100 ? 24 : 48;
  const done = Math.floor(share * length);
  return [
    ["━".repeat(done), "ok"],
    ["─".repeat(length - done), "dim"],
    [text.replace(/ · $/, ""), "plain"],
  ];
}

/**
 * The whole view: title, bar, matrix, what runs now. One line where there is no room for it, never
 * more lines than fit, and no line as wide as the terminal, where some would wrap.
 */
export function renderBlock(state: StudyProgress, frame: Frame): string[] {
  const columns = frame.columns - 1;
  const budget = frame.rows - 1;
  if (frame.columns < MIN_COLUMNS || frame.rows < MIN_ROWS) {
    return [cutText(plainText(progressLine(state, frame.nowMs)), columns)];
  }
  const top = [drawTitle(state, frame.nowMs), drawBar(state, frame, columns)];
  const now = drawCurrent(state, frame);
  // The matrix of a study that is done stays above its report.
  const matrix = drawMatrix(state.done ? emptyProgress() : state, columns);
  const full = [...top, [], ...matrix, LEGEND, [], ...now, drawLast(state)];
  const room = budget - top.length - now.length;
  const block = matrix.length > 0 && full.length <= budget
    ? full
    : [...top, ...cropMatrix(state, matrix, room), ...now];
  // Blank lines at the end are not drawn.
  return paintLines(block.slice(0, block.findLastIndex((spans) => spans.length > 0) + 1), frame);
}

/** As much of the matrix as there is room for, around the arm that runs, and how much is not shown. */
function cropMatrix({ matrix, current }: StudyProgress, lines: Span[][], room: number): Span[][] {
  const [head, ...rows] = lines;
  if (head === undefined || lines.length <= room) return lines;
  const shown = Math.max(1, room - 2);
  const arms = [...new Set(matrix?.cells.map(({ arm }) => arm))];
  const running = matrix?.cells.find(({ scenarioId }) => scenarioId === current?.scenarioId);
  const at = Math.max(0, running === undefined ? 0 : arms.indexOf(running.arm));
  const hidden = rows.length - shown;
  const from = Math.max(0, Math.min(at - Math.floor(shown / 2), hidden));
  return [head, ...rows.slice(from, from + shown), [[say.moreArms(hidden), "dim"]]];
}

export function renderMatrix(state: StudyProgress, frame: Frame): string[] {
  return paintLines(drawMatrix(state, frame.columns - 1), frame);
}

function paintLines(lines: Span[][], { columns, color = false }: Frame): string[] {
  return lines.map((spans) => paint(cutSpans(spans, columns - 1), color));
}

/** What the comparisons came to so far, a line each. */
export function lookLines({ starts, of, comparisons }: EventFields["look"]): string[] {
  if (comparisons.length === 0) return [];
  return [
    eventWords.look(starts, of),
    ...comparisons.map((comparison) => `  ${plainText(eventWords.comparison(comparison))}`),
  ];
}

/** What is said of an event in a log of lines, where nothing is drawn in place. */
export function eventLines(before: StudyProgress, event: StudyEvent): string[] {
  switch (event.event) {
    case "study_started":
      return [eventWords.studyStarted(event.study, event.runs, event.complete)];
    case "note":
    case "setup":
      return [plainText(event.text)];
    case "run_finished":
      return [runLine(before, event)];
    case "look":
      return lookLines(event);
    case "rounds_added":
      return [eventWords.roundsAdded(event, event.scenarioIds.length, event.runs - before.runs)];
    case "study_finished":
      return [say.took(say.of(before.study, countsLine(before)), event.tookS)];
    case "study_stopped":
      return [say.of(event.study, say.stopped(countsLine(before)))];
    case "report_started":
      return [eventWords.reportStarted(event.study, before.done ? null : event.runs)];
    case "report_finished":
    case "report_failed": {
      const { study, files, tookS } = event;
      const written = eventWords.reportEnded(study, files.length, event.event === "report_failed");
      return [...files.map((file) => `  ${file}`), say.took(written, tookS)];
    }
    default:
      return [];
  }
}

export function countsLine(state: StudyProgress): string {
  return say.counts(countComplete(state).complete, state.runs, state.failed, state.rejected);
}

export function progressLine(state: StudyProgress, nowMs: number): string {
  const { study, current, setup, report } = state;
  if (report !== null) return say.of(study, say.step(say.report, report.text));
  if (state.stopped) return say.of(study, say.stopped(countsLine(state)));
  if (state.done) return say.of(study, countsLine(state));
  const { complete } = countComplete(state);
  const parts = [say.place(Math.min(complete + 1, state.runs), state.runs)];
  if (current !== null) {
    const live = say.live(liveRuns(state).flatMap(({ live }) => live ?? []));
    const label = say.together(liveRuns(state).map(({ label }) => label));
    parts.push([label, say.phase(current.phase), ...live].join(" · "));
  } else if (setup !== null) parts.push(say.step(say.setup, setup.text));
  const left = remainingS(state, nowMs);
  if (state.stopping) parts.push(`· ${say.stopping}`);
  else if (left !== null) parts.push(`· ${say.left(left)}`);
  return parts.join(" ");
}

export function runLine(
  before: StudyProgress,
  event: StudyEvent & { event: "run_finished" },
): string {
  const place = say.place(countComplete(before).complete + 1, before.runs);
  const label = labelOf(before, event);
  // Causes often begin with the arm, which the line has just named.
  const [arm, rest] = event.cause?.split(/: (.*)/s) ?? [];
  const cause = rest !== undefined && label.startsWith(arm!) ? rest : event.cause;
  const run = say.round(label, event.round);
  const outcome = say.outcome({ ...event, cause });
  return plainText(eventWords.runFinished(place, run, outcome, event.tookS));
}
