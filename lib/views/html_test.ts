// test lane: checkout
import { deepEqual, equal, match } from "node:assert/strict";
import { emptyProgress, foldEvent, type StudyProgress } from "../store/progress.ts";
import { studyEvents } from "../testing/study_events.ts";
import { renderDisplay, renderHtml } from "./html.ts";

function stateAfter(count: number): { state: StudyProgress; nowMs: number } {
  const events = studyEvents().slice(0, count);
  const state = events.reduce(foldEvent, emptyProgress());
  return { state, nowMs: Date.parse(events.at(-1)!.time) + 500 };
}

const ALL = studyEvents().length;
const RUNNING = stateAfter(14);

/** A small matrix, so that a snapshot can be read. */
const small: StudyProgress = {
  ...RUNNING.state,
  study: "<b>&study",
  runs: 3,
  completeBefore: 2,
  failed: 1,
  matrix: {
    warmUpS: 3,
    windowS: 6,
    cells: [{
      scenarioId: RUNNING.state.current!.scenarioId,
      arm: "Django direct",
      users: 100,
      rounds: [null, { status: "failed", tookS: 9 }, { status: "ok", tookS: 9, rps: 1234.5 }],
    }],
  },
};

Deno.test("renderHtml() draws title, bar, matrix and what runs, and escapes", () => {
  const td = '<td style="text-align:left;padding:0 1.5em 0 0">';
  const th = td.replace("td", "th");
  deepEqual(renderHtml(small, RUNNING).split("\n"), [
    '<div style="max-width:56em;line-height:1.5">',
    "<div><b>&#60;b&#62;&#38;study</b> · 2 of 3 runs complete, 1 failed · about 5 s of runs left</div>",
    '<div role="progressbar" aria-valuenow="66" aria-valuemin="0" aria-valuemax="100" ' +
    'style="height:3px;margin:4px 0;background:rgba(128,128,128,.3)">' +
    '<div style="height:3px;width:66%;background:#2e9e5b"></div></div>',
    '<table style="border-collapse:collapse;margin:4px 0">',
    `<tr>${th}</th>${th}100 users</th></tr>`,
    `<tr>${td}Django direct</td>${td}<span style="color:#d99000">▸</span>` +
    '<span style="color:#d64545">✗</span><span style="color:#2e9e5b">●</span> 1,235 RPS</td></tr>',
    "</table>",
    "<div>Django direct, 100 users, round 1 · window, 1 of 6 s · 1,235 RPS · P95 88 ms</div>",
    "</div>",
  ]);
});

Deno.test("renderDisplay() gives text and HTML, and ends as one line in both", () => {
  const running = renderDisplay(RUNNING.state, { ...RUNNING, timeZone: "UTC" });
  match(running["text/plain"], /^quick-20260101T220000Z · 0 of 36 runs/);
  match(running["text/plain"], /\n▸ Django direct, 100 users, round 1 of 3 · window/);
  const { state, nowMs } = stateAfter(ALL);
  const line = "quick-20260101T220000Z: 36 of 36 runs complete, 3 failed; took 6 min 40 s";
  deepEqual(renderDisplay(state, { nowMs }), {
    "text/plain": line,
    "text/html": `<div>${line}</div>`,
  });
});

Deno.test("renderHtml() is well-formed at every event", () => {
  for (let count = 1; count <= ALL; count += 7) {
    const { state, nowMs } = stateAfter(count);
    const html = renderHtml(state, { nowMs });
    const open: string[] = [];
    for (const [, close, tag] of html.matchAll(/<(\/?)([a-z]+)[^>]*>/g)) {
      if (close) equal(open.pop(), tag, html);
      else open.push(tag!);
    }
    deepEqual(open, []);
    equal(/https?:|<script/.test(html) || html.includes("\x1b"), false);
  }
});
