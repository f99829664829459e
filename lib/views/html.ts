/**
 * A study in progress as HTML for a notebook's display: a pure function of its state and the time.
 * Colours are legible on light and dark pages alike; nothing is loaded or run.
 *
 * @module
 */

import { countComplete, type StudyProgress } from "../store/progress.ts";
import { progressWords as say } from "../wording/progress.ts";
import {
  countsLine,
  MARKS,
  matrixRows,
  phaseText,
  progressLine,
  remainingText,
  renderBlock,
  type Round,
} from "./lines.ts";
import { plainText } from "./text.ts";

/** What a notebook's display is given, by MIME type. */
export type DisplayData = { "text/plain": string; "text/html": string };

/** Columns of the plain text, which a notebook shows in a fixed font. */
const PLAIN_COLUMNS = 100;
/** More rounds than this are counted, not drawn. */
const MAX_MARKS = 20;

const COLORS = {
  ok: "#2e9e5b",
  rejected: "#9b59d0",
  failed: "#d64545",
  running: "#d99000",
  pending: "currentColor",
};

function escape(text: string): string {
  return plainText(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** The study now, or when it has ended, one line with its name, counts and duration. */
export function renderDisplay(
  state: StudyProgress,
  options: { nowMs: number; timeZone?: string },
): DisplayData {
  if ((state.done || state.stopped) && state.report === null) {
    const ended = plainText(progressLine(state, options.nowMs));
    const line = state.tookS === null ? ended : say.took(ended, state.tookS);
    return { "text/plain": line, "text/html": `<div>${escape(line)}</div>` };
  }
  const lines = renderBlock(state, { columns: PLAIN_COLUMNS, rows: 100, ...options });
  return { "text/plain": lines.join("\n"), "text/html": renderHtml(state, options) };
}

/** Title, thin bar, matrix and what runs now. */
export function renderHtml(
  state: StudyProgress,
  { nowMs, timeZone }: { nowMs: number; timeZone?: string },
): string {
  const { share } = countComplete(state);
  const percent = Math.floor(100 * (state.report ? state.report.done / state.report.total : share));
  const left = remainingText(state, { columns: 0, rows: 0, nowMs, timeZone });
  return [
    `<div style="max-width:56em;line-height:1.5">`,
    `<div><b>${escape(state.study)}</b> · ${countsLine(state)}${left ? ` · ${left}` : ""}</div>`,
    `<div role="progressbar" aria-valuenow="${percent}" aria-valuemin="0" aria-valuemax="100" ` +
    `style="height:3px;margin:4px 0;background:rgba(128,128,128,.3)">` +
    `<div style="height:3px;width:${percent}%;background:${COLORS.ok}"></div></div>`,
    ...htmlMatrix(state),
    `<div>${escape(currentText(state, nowMs)) || "&#160;"}</div>`,
    `</div>`,
  ].join("\n");
}

function currentText(state: StudyProgress, nowMs: number): string {
  const { current, setup, report } = state;
  if (current !== null) {
    const figures = current.live === null ? [] : say.live(current.live);
    const phase = phaseText(state, current, nowMs);
    return [say.round(current.label, current.round), phase, ...figures].join(" · ");
  }
  if (setup !== null) return say.step(say.setup, setup.text);
  return report === null ? "" : say.step(say.report, report.text);
}

function htmlMatrix(state: StudyProgress): string[] {
  const { heads, rows } = matrixRows(state);
  if (rows.length === 0) return [];
  const cell = (tag: "td" | "th", content: string) =>
    `<${tag} style="text-align:left;padding:0 1.5em 0 0">${content}</${tag}>`;
  return [
    `<table style="border-collapse:collapse;margin:4px 0">`,
    `<tr>${cell("th", "")}${heads.map((head) => cell("th", escape(head))).join("")}</tr>`,
    ...rows.map(({ arm, cells }) =>
      `<tr>${cell("td", escape(arm))}${
        cells.map(({ rounds, rps }) =>
          cell("td", htmlRounds(rounds) + (rps === null ? "" : ` ${say.rps(rps)}`))
        ).join("")
      }</tr>`
    ),
    `</table>`,
  ];
}

function htmlRounds(rounds: Round[]): string {
  if (rounds.length > MAX_MARKS) {
    const complete = rounds.filter((round) => typeof round === "object" && round !== null);
    const marks = (["rejected", "failed"] as const).map((status) => {
      const count = complete.filter((round) => round.status === status).length;
      return count > 0 ? ` ${MARKS[status]}${count}` : "";
    });
    return `${complete.length}/${rounds.length}${marks.join("")}`;
  }
  return rounds.map((round) => {
    const kind = round === null ? "pending" : round === "running" ? round : round.status;
    return `<span style="color:${COLORS[kind]}">${MARKS[kind]}</span>`;
  }).join("");
}
