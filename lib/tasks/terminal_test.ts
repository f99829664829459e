// test lane: checkout
import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { StudyEvent } from "../store/events.ts";
import { Screen } from "../testing/screen.ts";
import { STUDY_START_MS, studyEvents } from "../testing/study_events.ts";
import { displayWidth } from "../views/text.ts";
import { type Output, TerminalView } from "./terminal.ts";

const PROMPT = "$ deno task run-all";

/** A view on a made-up terminal, and everything that it wrote. */
class Recording implements Disposable {
  writes: string[] = [];
  screen: Screen;
  nowMs = STUDY_START_MS;
  view: TerminalView;

  constructor(columns: number, rows: number, tty = true) {
    this.screen = new Screen(columns, rows);
    this.screen.write(`${PROMPT}\r\n`);
    const output: Output = {
      color: true,
      size: () => tty ? { columns: this.screen.columns, rows: this.screen.height } : null,
      write: (text) => {
        this.writes.push(text);
        if (tty) this.screen.write(text);
      },
    };
    this.view = new TerminalView({ output, now: () => this.nowMs, timeZone: "UTC" });
  }

  /** Shows events in their own time, with a tick after each, and looks after every write. */
  play(events: StudyEvent[], look: (event: StudyEvent) => void = () => {}): void {
    for (const event of events) {
      this.nowMs = Date.parse(event.time);
      this.view.show(event);
      this.nowMs += 250;
      this.view.tick();
      look(event);
    }
  }

  [Symbol.dispose](): void {
    this.view[Symbol.dispose]();
  }
}

/** How often a line that begins so is on the screen. */
function count(lines: string[], begin: string): number {
  return lines.filter((line) => line.startsWith(begin)).length;
}

for (const [columns, rows] of [[80, 24], [120, 40], [80, 12], [40, 24], [132, 7]] as const) {
  Deno.test(`the live view at ${columns} × ${rows} wraps nothing, leaves nothing stale, ends clean`, () => {
    using recording = new Recording(columns, rows);
    const { screen, view } = recording;
    recording.play(studyEvents(), (event) => {
      equal(screen.updating, false);
      ok(screen.lines.every((line) => displayWidth(line) < columns), screen.lines.join("\n"));
      equal(screen.cursorVisible, false);
      if (columns < 50 || rows < 8 || event.event.startsWith("report")) return;
      const { visible } = screen;
      const running = event.event !== "study_finished";
      equal(count(visible, "quick-20260101T220000Z · "), running ? 1 : 0, visible.join("\n"));
      equal(count(visible, "                100 users"), 1, visible.join("\n"));
    });
    view[Symbol.dispose]();
    deepEqual([screen.wraps, screen.cursorVisible, screen.updating], [0, true, false]);
    deepEqual([screen.cursor.x, screen.lines[0]], [0, PROMPT]);
    // The next prompt comes right below the last line.
    equal(screen.cursor.y, screen.visible.length);
    const text = screen.lines.join("\n");
    equal(/▸|[━─]{3}|so far|left/.test(text), false, text);
    match(text.replaceAll("\n  ", " "), /Z: 36 of 36 runs complete, 3 failed; took/);
    equal([...text.replaceAll("\n  ", " ").matchAll(/FAILED: PostgreSQL refused/g)].length, 3);
  });
}

Deno.test("each frame is one write between the marks of a synchronized update", () => {
  using recording = new Recording(80, 24);
  recording.play(studyEvents());
  const frames = recording.writes.filter((text) => text.includes("\n"));
  const [begin, end] = ["\x1b[?2026h", "\x1b[?2026l"];
  ok(frames.every((text) => text.startsWith(begin) && text.endsWith(end)));
  // Nothing is blanked before it is drawn: lines are overwritten, the rest of each is erased.
  for (const blank of ["2J", "2K", "H"]) {
    ok(frames.every((text) => !text.includes(`\x1b[${blank}`)));
  }
});

Deno.test("nothing is written when nothing has changed", () => {
  using recording = new Recording(80, 24);
  recording.play(studyEvents().slice(0, 12));
  const before = recording.writes.length;
  recording.view.tick();
  recording.view.tick();
  equal(recording.writes.length, before);
});

for (const reflow of [true, false]) {
  const kind = reflow ? "wraps its lines anew" : "cuts its lines";
  Deno.test(`a terminal that ${kind} on resize keeps no stale line`, () => {
    using recording = new Recording(120, 30);
    const { screen } = recording;
    const sizes = [[80, 24], [60, 20], [120, 30], [55, 24], [100, 40]] as const;
    let looked = 0;
    recording.play(studyEvents(), (event) => {
      if (event.event !== "run_finished") return;
      const [columns, rows] = sizes[looked++ % sizes.length]!;
      screen.resize(columns, rows, reflow);
      recording.view.redraw();
      const { visible } = screen;
      equal(count(screen.lines, "quick-20260101T220000Z · "), 1, screen.lines.join("\n"));
      equal(count(visible, "▸ ") <= 1, true, visible.join("\n"));
    });
    equal(looked, 36);
    // Lines that are no longer taken for one stay apart for good.
    screen.resize(500, 40, reflow);
    ok(screen.lines.every((line) => displayWidth(line) < 120), screen.lines.join("\n"));
    equal(count(screen.lines, "quick-20260101T220000Z · "), 0);
  });
}

Deno.test("without a terminal there are plain lines: start, setup, notes, runs, end", () => {
  using recording = new Recording(80, 24, false);
  recording.play(studyEvents({ complete: 33 }));
  deepEqual(recording.writes.join("").split("\n"), [
    "Study quick-20260101T220000Z: 36 runs, 33 of them complete",
    "Installing Python packages: fastapi, django, flask, locust",
    "Installed 89 packages in 1.18s",
    "Warning: no CPU limit, no rights for control groups",
    "[34/36] Django direct, 1000 users, round 3: 1,234 RPS, P95 124 ms (11.0 s)",
    "[35/36] Django direct, 100 users, round 3: 1,235 RPS, P95 125 ms (11.0 s)",
    "[36/36] FastAPI direct, 100 users, round 3: 1,236 RPS, P95 126 ms (11.0 s)",
    "quick-20260101T220000Z: 36 of 36 runs complete, 3 failed; took 37 s",
    "Writing the report of quick-20260101T220000Z",
    "  data/runs/x/report/summary.csv",
    "Report of quick-20260101T220000Z: 1 file; took 5 s",
    "",
  ]);
  equal(recording.writes.some((text) => text.includes("\x1b")), false);
});

Deno.test("an interrupted study gives the terminal back and says how far it came", () => {
  using recording = new Recording(80, 24);
  const { screen, view } = recording;
  const events = studyEvents().slice(0, 60);
  recording.play(events);
  const { time } = events.at(-1)!;
  view.show({ time, event: "interrupted" });
  match(screen.visible.join("\n"), /stopping; complete runs are kept/);
  view.show({ time, event: "study_stopped", study: "quick-20260101T220000Z" });
  view[Symbol.dispose]();
  equal(screen.cursorVisible, true);
  equal(screen.lines.at(-1), "quick-20260101T220000Z: stopped with 3 of 36 runs complete");
});

Deno.test("a status line is replaced in place and leaves with the view", () => {
  using recording = new Recording(80, 24);
  const { screen, view } = recording;
  view.status("notebook 1: cell 3 of 12");
  view.status("notebook 2");
  view.line("done");
  deepEqual(screen.lines, [PROMPT, "done", "notebook 2"]);
  view[Symbol.dispose]();
  deepEqual([screen.lines, screen.cursor], [[PROMPT, "done"], { x: 0, y: 2 }]);
});

/** Runs a script that draws, in a process of its own. */
async function script(env: Record<string, string>, body: string) {
  const module = new URL("./terminal.ts", import.meta.url).href;
  const events = new URL("../testing/study_events.ts", import.meta.url).href;
  const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { TerminalView } from ${JSON.stringify(module)};
       import { studyEvents } from ${JSON.stringify(events)};
       ${body}`,
    ],
    env,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { stdout: text(stdout), stderr: text(stderr), code };
}

Deno.test("--json writes every event to stdout and nothing else, lines to stderr", async () => {
  const { stdout, stderr, code } = await script(
    {},
    `using view = new TerminalView({ json: true });
     for (const event of studyEvents()) view.show(event);`,
  );
  equal(code, 0, stderr);
  deepEqual(stdout.trim().split("\n").map((line) => JSON.parse(line)), studyEvents());
  match(stderr, /^Study quick-20260101T220000Z: 36 runs\n/);
  match(stderr, /: 36 of 36 runs complete, 3 failed; took /);
});
