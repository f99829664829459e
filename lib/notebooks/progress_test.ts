// test lane: checkout
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { studyEvents } from "../testing/study_events.ts";
import type { DisplayData } from "../views/html.ts";
import { displayView } from "./progress.ts";

Deno.test("displayView() updates one display, at most twice a second, and the end always", () => {
  const sent: { data: DisplayData; first: boolean; atMs: number }[] = [];
  let nowMs = 0;
  const show = displayView((data, first) => sent.push({ data, first, atMs: nowMs }), () => nowMs);
  const events = studyEvents();
  for (const event of events) {
    nowMs = Date.parse(event.time);
    show(event);
  }
  deepEqual(sent.map(({ first }) => first), sent.map((_, i) => i === 0));
  const ends = 2; // The study's and the report's.
  const close = sent.filter(({ atMs }, i) => i > 0 && atMs - sent[i - 1]!.atMs < 500);
  ok(close.length <= ends, `${close.length} updates too close`);
  match(
    sent.at(-1)!.data["text/plain"],
    /^\S+: 36 of 36 runs complete, 3 failed; took 6 min 40 s$/,
  );
  equal(sent.length < events.length, true);
});

Deno.test("displayView() shows what came last before a silence", async () => {
  const sent: string[] = [];
  const show = displayView((data) => sent.push(data["text/plain"]));
  const time = new Date().toISOString();
  show({ time, event: "study_started", study: "s", runs: 6, complete: 0 });
  show({ time, event: "setup", text: "Installing PostgreSQL" });
  equal(sent.length, 1);
  await sleep(700);
  match(sent[1] ?? "", /▸ setup · Installing PostgreSQL/);
  show({ time, event: "study_stopped", study: "s" });
  equal(sent[2], "s: stopped with 0 of 6 runs complete");
});
