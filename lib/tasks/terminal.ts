/**
 * The progress of a study in the terminal: finished runs stay as lines, the current one is a
 * status line that is rewritten in place. Without a terminal only the lines are printed.
 *
 * @module
 */

import type { StudyEvent } from "../store/events.ts";
import { emptyProgress, foldEvent, formatDuration, progressLine } from "../store/progress.ts";

/** A view of a study for the terminal. */
export class TerminalView {
  #state = emptyProgress();
  #tty = Deno.stdout.isTerminal();
  #encoder = new TextEncoder();

  #write(text: string): void {
    Deno.stdout.writeSync(this.#encoder.encode(text));
  }

  /** Prints a line that stays. */
  line = (text: string): void => {
    this.#write(this.#tty ? `\r\x1b[2K${text}\n` : `${text}\n`);
  };

  /** Shows a line that the next one replaces; nothing without a terminal. */
  status = (text: string): void => {
    if (!this.#tty) return;
    const { columns } = Deno.consoleSize();
    this.#write(`\r\x1b[2K${text.slice(0, columns - 1)}`);
  };

  /** Takes in one event. */
  show = (event: StudyEvent): void => {
    const before = this.#state;
    this.#state = foldEvent(before, event);
    switch (event.event) {
      case "study_started":
        this.line(
          `Study ${event.study}: ${event.runs} runs` +
            (event.complete > 0 ? `, ${event.complete} of them complete` : ""),
        );
        break;
      case "note":
        this.line(event.text);
        break;
      case "run_finished": {
        const place = `[${before.completeBefore + before.finished + 1}/${before.runs}]`;
        const label = before.current?.label ?? event.scenarioId;
        const result = event.status === "failed"
          ? `FAILED ${event.cause}`
          : `${Math.round(event.rps ?? 0)} RPS, P95 ${formatMs(event.p95Ms)}`;
        this.line(
          `${place} ${label}, round ${event.round}: ${result} (${event.tookS.toFixed(1)} s)`,
        );
        break;
      }
      case "study_finished":
        this.line(
          `${progressLine(this.#state, Date.now())} in ${formatDuration(event.tookS)}`,
        );
        return;
    }
    this.status(progressLine(this.#state, Date.now()));
  };
}

function formatMs(ms: number | null): string {
  return ms === null ? "–" : `${Math.round(ms).toLocaleString("en")} ms`;
}
