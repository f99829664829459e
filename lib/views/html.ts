/** A study in progress as HTML for a notebook's display, legible on light and dark pages alike. */

import { countComplete, liveRuns, type StudyProgress } from "../store/progress.ts";
import { progressWords as say } from "../wording/progress.ts";
import {
  countsLine,
  drawCounts,
  drawMarks,
  type Frame,
  lookLines,
  matrixRows,
  phaseText,
  progressLine,
  remainingText,
  renderBlock,
} from "./lines.ts";
import { plainText, type Span, type Style } from "./text.ts";

/** What a notebook's display is given, by MIME type. */
export type DisplayData = { "text/plain": string; "text/html": string };

type Moment = Pick<Frame, "nowMs" | "timeZone">;

/** Columns of the plain text, which a notebook shows in a fixed font. */
const PLAIN_COLUMNS = 100;
/** More rounds than this are counted, not drawn. */
const MAX_MARKS = 20;

const COLORS: Partial<Record<Style, string>> = {
  ok: "#2e9e5b",
  rejected: "#9b59d0",
  failed: "#d64545",
  running: "#d99000",
};

function escape(text: string): string {
  return plainText(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

function htmlSpan([text, style]: Span): string {
  const color = COLORS[style];
  return color === undefined || text === "" ? text : `<span style="color:${color}">${text}</span>`;
}

/** The study now, or when it has ended, one line with its name, counts and duration. */
export function renderDisplay(state: StudyProgress, moment: Moment): DisplayData {
  if ((state.done || state.stopped) && state.report === null) {
    const ended = plainText(progressLine(state, moment.nowMs));
    const line = state.tookS === null ? ended : say.took(ended, state.tookS);
    return { "text/plain": line, "text/html": `<div>${escape(line)}</div>` };
  }
  const lines = renderBlock(state, { columns: PLAIN_COLUMNS, rows: 100, ...moment });
  return { "text/plain": lines.join("\n"), "text/html": renderHtml(state, moment) };
}

export function renderHtml(state: StudyProgress, moment: Moment): string {
  const { study, report } = state;
  const share = report === null ? countComplete(state).share : report.done / report.total;
  const percent = Math.floor(100 * share);
  const left = remainingText(state, moment);
  return [
    `<div style="max-width:56em;line-height:1.5">`,
    `<div><b>${escape(study)}</b> · ${countsLine(state)}${left ? ` · ${left}` : ""}</div>`,
    `<div role="progressbar" aria-valuenow="${percent}" aria-valuemin="0" aria-valuemax="100" ` +
    `style="height:3px;margin:4px 0;background:rgba(128,128,128,.3)">` +
    `<div style="height:3px;width:${percent}%;background:${COLORS.ok}"></div></div>`,
    ...htmlMatrix(state),
    `<div>${escape(currentText(state, moment.nowMs)) || "&#160;"}</div>`,
    ...(state.look === null
      ? []
      : lookLines(state.look).map((line) => `<div>${escape(line)}</div>`)),
    `</div>`,
  ].join("\n");
}

function currentText(state: StudyProgress, nowMs: number): string {
  const { current, setup, report } = state;
  if (current !== null) {
    const runs = liveRuns(state);
    const figures = say.live(runs.flatMap(({ live }) => live ?? []));
    const phase = phaseText(state, current, nowMs);
    const label = say.together(runs.map(({ label }) => label));
    return [say.round(label, current.round), phase, ...figures].join(" · ");
  }
  if (setup !== null) return say.step(say.setup, setup.text);
  return report === null ? "" : say.step(say.report, report.text);
}

function htmlMatrix(state: StudyProgress): string[] {
  const { heads, rows } = matrixRows(state);
  if (rows.length === 0) return [];
  const line = (tag: "td" | "th", cells: string[]) => {
    const cell = `<${tag} style="text-align:left;padding:0 1.5em 0 0">`;
    return `<tr>${cells.map((content) => `${cell}${content}</${tag}>`).join("")}</tr>`;
  };
  return [
    `<table style="border-collapse:collapse;margin:4px 0">`,
    line("th", ["", ...heads.map(escape)]),
    ...rows.map(({ arm, cells }) => {
      const drawn = cells.map((cell) => {
        const draw = cell.rounds.length > MAX_MARKS ? drawCounts : drawMarks;
        return draw(cell).map(htmlSpan).join("") +
          (cell.rps === null ? "" : ` ${say.rps(cell.rps)}`);
      });
      return line("td", [escape(arm), ...drawn]);
    }),
    `</table>`,
  ];
}
