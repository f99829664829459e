/**
 * A study in progress as lines of text: pure functions of its state, the space and the time.
 *
 * @module
 */

import { compareLevels, levelLabel, loadLevels } from "../scenario.ts";
import type { MatrixCell, RunOutcome, StudyEvent } from "../store/events.ts";
import {
  countComplete,
  type CurrentRun,
  emptyProgress,
  leastRemainingS,
  remainingS,
  type StudyProgress,
} from "../store/progress.ts";
import { eventWords, formatDuration, progressWords as say } from "../wording/progress.ts";
import { cutSpans, cutText, displayWidth, padText, paint, plainText, type Span } from "./text.ts";

/** Where and when a view is drawn. */
export interface Frame {
  columns: number;
  rows: number;
  /** Unix time in milliseconds. */
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
export const MARKS = { ok: "●", rejected: "▲", failed: "✗", running: "▸", pending: "·" } as const;
const RUNNING: Span = [`${MARKS.running} `, "running"];
const LEGEND: Span[] = [[say.legend(MARKS), "dim"]];

/** A row of the matrix: an arm, and for each load level its rounds. */
export interface MatrixRow {
  arm: string;
  cells: { rounds: Round[]; rps: number | null }[];
}

/** A round of a cell; `running` is under way, null is to do. */
export type Round = RunOutcome | "running" | null;

/**
 * The matrix as rows of arms and columns of load levels. Where arms have rates of their own, a
 * column is the first, second, … of each arm, and is named after all that it holds.
 */
export function matrixRows(state: StudyProgress): { heads: string[]; rows: MatrixRow[] } {
  const cells = (state.matrix?.cells ?? []).map(({ arrivalRate = null, ...cell }) => ({
    ...cell,
    head: levelLabel({ users: cell.users, arrivalRate }),
    arrivalRate,
  }));
  const all = loadLevels(cells);
  const ofArm = (arm: string) => loadLevels(cells.filter((cell) => cell.arm === arm));
  const most = Math.max(0, ...cells.map(({ arm }) => ofArm(arm).length));
  if (all.length > most && all.every(({ users }) => users === null)) {
    const ranks = Array.from({ length: most }, (_, i) => {
      const rates = cells.flatMap(({ arm }) => ofArm(arm)[i]?.arrivalRate ?? []);
      const [low, high] = [Math.min(...rates), Math.max(...rates)];
      return low === high ? `${low}/s` : `${low}–${high}/s`;
    });
    for (const cell of cells) {
      const rank = ofArm(cell.arm).findIndex((level) => compareLevels(level, cell) === 0);
      cell.head = ranks[rank]!;
    }
    return matrixOf(state, cells, ranks);
  }
  return matrixOf(state, cells, all.map(levelLabel));
}

function matrixOf(
  state: StudyProgress,
  cells: (MatrixCell & { head: string })[],
  heads: string[],
): { heads: string[]; rows: MatrixRow[] } {
  const arms = [...new Set(cells.map(({ arm }) => arm))];
  const rows = arms.map((arm) => ({
    arm,
    cells: heads.map((head) => {
      const rounds = cells.filter((cell) => cell.arm === arm && cell.head === head)
        .flatMap((cell): Round[] =>
          cell.rounds.map((round, i) =>
            isRunning(state, cell.scenarioId, i + 1) ? "running" : round
          )
        );
      const last = rounds.findLast((round) => typeof round === "object" && round?.status === "ok");
      return { rounds, rps: (last as RunOutcome | undefined)?.rps ?? null };
    }),
  }));
  return { heads, rows };
}

function isRunning({ current }: StudyProgress, scenarioId: string, round: number): boolean {
  return current !== null && current.scenarioId === scenarioId && current.round === round;
}

function styleOf(round: Round): keyof typeof MARKS {
  return round === null ? "pending" : round === "running" ? "running" : round.status;
}

/** One mark for each round, those of one kind in one span. */
function markSpans(rounds: Round[]): Span[] {
  return rounds.map((round): Span => {
    const style = styleOf(round);
    return [MARKS[style], style === "pending" ? "dim" : style];
  });
}

/** Counts instead of marks, for where there are too many rounds. */
function countSpans(rounds: Round[]): Span[] {
  const count = (style: string) => rounds.filter((round) => styleOf(round) === style).length;
  const [failed, rejected] = [count("failed"), count("rejected")];
  return [
    [`${count("ok") + failed + rejected}/${rounds.length}`, "plain"],
    ...(rejected > 0 ? [[` ${MARKS.rejected}${rejected}`, "rejected"] as Span] : []),
    ...(failed > 0 ? [[` ${MARKS.failed}${failed}`, "failed"] as Span] : []),
    ...(count("running") > 0 ? [[` ${MARKS.running}`, "running"] as Span] : []),
  ];
}

type CellDrawer = (cell: MatrixRow["cells"][number]) => Span[];

const withRps: CellDrawer = ({ rounds, rps }) => [
  ...markSpans(rounds),
  [rps === null ? "" : ` ${say.rps(rps, 6)}`, "dim"],
];
const marksOnly: CellDrawer = ({ rounds }) => markSpans(rounds);
const countsOnly: CellDrawer = ({ rounds }) => countSpans(rounds);

function spansWidth(spans: readonly Span[]): number {
  return displayWidth(spans.map(([text]) => text).join(""));
}

/** The widest that a cell may become in the course of the study, so that columns stay put. */
function widestCell(draw: CellDrawer, rounds: number): number {
  if (draw === withRps) return rounds + ` ${say.rps(12_345)}`.length;
  // None is accepted, and one runs: `12/13 ▲6 ✗6 ▸`.
  return draw === marksOnly ? rounds : 4 * String(rounds).length + 7;
}

/** The matrix in as much detail as fits; nothing where not even its totals do. */
function drawMatrix(state: StudyProgress, columns: number): { head: Span[]; rows: Span[][] } {
  const { heads, rows } = matrixRows(state);
  if (rows.length === 0) return { head: [], rows: [] };
  const rounds = Math.max(...rows.flatMap((row) => row.cells.map((cell) => cell.rounds.length)));
  const armColumns = Math.min(
    Math.max(...rows.map(({ arm }) => displayWidth(arm))),
    Math.max(16, Math.floor(columns * 0.45)),
  );
  for (const draw of [withRps, marksOnly, countsOnly]) {
    const cellColumns = Math.max(widestCell(draw, rounds), ...heads.map(displayWidth));
    if (armColumns + heads.length * (cellColumns + 2) > columns) continue;
    return layOut(rows, heads, armColumns, cellColumns, draw);
  }
  // Too many columns: one for all levels together.
  const joined = rows.map(({ arm, cells }) => ({
    arm,
    cells: [{ rounds: cells.flatMap((cell) => cell.rounds), rps: null }],
  }));
  return layOut(joined, [say.allLevels], armColumns, 14, countsOnly);
}

function layOut(
  rows: MatrixRow[],
  heads: string[],
  armColumns: number,
  cellColumns: number,
  draw: CellDrawer,
): { head: Span[]; rows: Span[][] } {
  const head = heads.map((text) => "  " + padText(text, cellColumns)).join("");
  return {
    head: [[" ".repeat(armColumns) + head.trimEnd(), "dim"]],
    rows: rows.map(({ arm, cells }) => {
      const spans: Span[] = [[padText(plainText(arm), armColumns), "plain"]];
      cells.forEach((cell, i) => {
        const drawn = draw(cell);
        const last = i === cells.length - 1;
        const blanks = last ? 0 : Math.max(0, cellColumns - spansWidth(drawn));
        spans.push(["  ", "plain"], ...drawn, [" ".repeat(blanks), "plain"]);
      });
      return spans;
    }),
  };
}

/** A thin bar over so many columns. */
function bar(share: number, columns: number): Span[] {
  const done = Math.floor(share * columns);
  return [["━".repeat(done), "ok"], ["─".repeat(columns - done), "dim"]];
}

/** When it will be over, as far as that is known. */
export function remainingText(state: StudyProgress, frame: Frame): string {
  if (state.stopping) return say.stoppingRuns;
  if (state.report !== null) return say.writingReport;
  const left = remainingS(state, frame.nowMs);
  if (left === null) {
    const least = leastRemainingS(state);
    return least === null ? "" : say.endNotBefore(least);
  }
  if (left < CLOCK_FROM_S) return say.end(left);
  return say.endAt(left, frame.nowMs + left * 1000, frame.timeZone);
}

/** The phase of the run under way, with its seconds where they are known. */
export function phaseText(state: StudyProgress, current: CurrentRun, nowMs: number): string {
  const inPhaseS = Math.max(0, Math.floor((nowMs - current.phaseSinceMs) / 1000));
  const { warmUpS = null, windowS = null } = state.matrix ?? {};
  const wholeS = current.phase === "warm-up"
    ? warmUpS
    : current.phase === "window"
    ? windowS
    : null;
  if (wholeS !== null) return say.phase(current.phase, Math.min(inPhaseS, wholeS), wholeS);
  return say.phase(current.phase, inPhaseS < 2 ? undefined : inPhaseS);
}

/** What is being done now, in one line and its figures in another. */
function drawCurrent(state: StudyProgress, { nowMs }: Frame): Span[][] {
  const { current, setup, report } = state;
  if (current !== null) {
    const rounds = state.matrix?.cells.find(({ scenarioId }) => scenarioId === current.scenarioId)
      ?.rounds.length;
    const run = say.round(plainText(current.label), current.round, rounds);
    const phase = phaseText(state, current, nowMs);
    return [[RUNNING, [`${run} · `, "bold"], [phase, "plain"]], drawLive(current)];
  }
  // A step of the report may have to install something first.
  const step = setup ?? report;
  if (step === null) return [];
  const ms = nowMs - step.sinceMs;
  const title = report === null ? say.setup : say.report;
  const text = say.step("", step.text, ms < 2000 ? null : formatDuration(ms / 1000));
  return [[RUNNING, [title, "bold"], [plainText(text), "plain"]], []];
}

function drawLive({ live }: CurrentRun): Span[] {
  if (live === null) return [];
  const { users, arrivalRate = null } = live;
  const load = arrivalRate === null ? levelLabel({ users, arrivalRate }) : say.due(arrivalRate);
  const parts = [...say.live({ ...live, failuresPerS: 0 }), load].join(" · ");
  const failures: Span = [say.failures(live.failuresPerS), "failed"];
  return [
    [`  ${parts}`, "plain"],
    ...(live.failuresPerS > 0 ? [[" · ", "plain"], failures] : []),
  ] as Span[];
}

/** The run that ended last. */
function drawLast({ last }: StudyProgress): Span[] {
  if (last === null) return [];
  const outcome = last.status === "failed" ? say.failedAbove : say.outcome(last);
  return [[plainText(`  ${say.lastRun(say.round(last.label, last.round), outcome)}`), "dim"]];
}

function drawTitle(state: StudyProgress, nowMs: number): Span[] {
  const spans: Span[] = [
    [state.study, "bold"],
    [` · ${say.complete(countComplete(state).complete, state.runs)}`, "plain"],
  ];
  for (const status of ["failed", "rejected"] as const) {
    if (state[status] > 0) {
      spans.push([" · ", "plain"], [say.counted(state[status], status), status]);
    }
  }
  if (state.sinceMs !== null) {
    spans.push([` · ${say.soFar(Math.max(0, nowMs - state.sinceMs) / 1000)}`, "dim"]);
  }
  return spans;
}

function drawBar(state: StudyProgress, frame: Frame, columns: number): Span[] {
  const { report } = state;
  const share = report === null ? countComplete(state).share : report.done / report.total;
  const text = ` ${String(Math.floor(share * 100)).padStart(3)}% · ${remainingText(state, frame)}`;
  // Of one length, whatever the text says, or it would jump about.
  return [...bar(share, columns < 70 ? 12 : columns < 100 ? 24 : 48), [
    text.replace(/ · $/, ""),
    "plain",
  ]];
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
  const { head, rows } = drawMatrix(state.done ? emptyProgress() : state, columns);
  const matrix = rows.length === 0 ? [] : [head, ...rows];
  const full = [...top, [], ...matrix, LEGEND, [], ...now, drawLast(state)];
  const tight = [...top, ...matrix, ...now];
  const block = rows.length === 0
    ? [...top, ...now]
    : full.length <= budget
    ? full
    : tight.length <= budget
    ? tight
    : [...top, head, ...cropRows(state, rows, budget - top.length - now.length - 1), ...now];
  return trimEnd(block).map((spans) => paint(cutSpans(spans, columns), frame.color ?? false));
}

/** The arms around the one that runs, with a line that says how many are not shown. */
function cropRows(state: StudyProgress, rows: Span[][], room: number): Span[][] {
  const shown = Math.max(1, room - 1);
  const arms = [...new Set(state.matrix?.cells.map(({ arm }) => arm))];
  const current = state.matrix?.cells.find((cell) => cell.scenarioId === state.current?.scenarioId);
  const at = Math.max(0, current === undefined ? 0 : arms.indexOf(current.arm));
  const from = Math.max(0, Math.min(at - Math.floor(shown / 2), rows.length - shown));
  const hidden = rows.length - shown;
  return [...rows.slice(from, from + shown), [[say.moreArms(hidden), "dim"]]];
}

/** Blank lines at the end are not drawn. */
function trimEnd(block: Span[][]): Span[][] {
  const last = block.findLastIndex((spans) => spans.length > 0);
  return block.slice(0, last + 1);
}

/** What stays when all runs are done: the matrix. */
export function renderMatrix(state: StudyProgress, frame: Frame): string[] {
  const { head, rows } = drawMatrix(state, frame.columns - 1);
  return (rows.length === 0 ? [] : [head, ...rows])
    .map((spans) => paint(cutSpans(spans, frame.columns - 1), frame.color ?? false));
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
    case "rounds_added":
      return [eventWords.roundsAdded(event, event.scenarioIds.length, event.runs - before.runs)];
    case "study_finished":
      return [say.took(say.of(before.study, countsLine(before)), event.tookS)];
    case "study_stopped":
      return [say.of(event.study, say.stopped(countsLine(before)))];
    case "report_started":
      return [
        before.done
          ? eventWords.reportStarted(event.study)
          : eventWords.reportOfPartStarted(event.study, event.runs),
      ];
    case "report_finished":
    case "report_failed": {
      const { study, files, tookS } = event;
      const written = event.event === "report_failed"
        ? eventWords.reportFailed(study, files.length)
        : eventWords.reportFinished(study, files.length);
      return [...files.map((file) => `  ${file}`), say.took(written, tookS)];
    }
    default:
      return [];
  }
}

/** How much of the study is done. */
export function countsLine(state: StudyProgress): string {
  return say.counts(countComplete(state).complete, state.runs, state.failed, state.rejected);
}

/** The state as one line of text. */
export function progressLine(state: StudyProgress, nowMs: number): string {
  const { study, current, setup, report } = state;
  if (report !== null) return say.of(study, say.step(say.report, report.text));
  if (state.stopped) return say.of(study, say.stopped(countsLine(state)));
  if (state.done) return say.of(study, countsLine(state));
  const { complete } = countComplete(state);
  const parts = [say.place(Math.min(complete + 1, state.runs), state.runs)];
  if (current !== null) {
    const live = current.live === null ? [] : say.live(current.live);
    parts.push([current.label, say.phase(current.phase), ...live].join(" · "));
  } else if (setup !== null) parts.push(say.step(say.setup, setup.text));
  const left = remainingS(state, nowMs);
  if (state.stopping) parts.push(`· ${say.stopping}`);
  else if (left !== null) parts.push(`· ${say.left(left)}`);
  return parts.join(" ");
}

/** A finished run as a line that stays. */
export function runLine(
  before: StudyProgress,
  event: StudyEvent & { event: "run_finished" },
): string {
  const place = say.place(countComplete(before).complete + 1, before.runs);
  const label = before.current?.label ?? event.scenarioId;
  // Causes often begin with the arm, which the line has just named.
  const [arm, rest] = event.cause?.split(/: (.*)/s) ?? [];
  const cause = rest !== undefined && label.startsWith(arm!) ? rest : event.cause;
  const run = say.round(label, event.round);
  const outcome = say.outcome({ ...event, cause });
  return plainText(eventWords.runFinished(place, run, outcome, event.tookS));
}
