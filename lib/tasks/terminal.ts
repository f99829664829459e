/**
 * The progress of a study in the terminal: a block that is redrawn in place, above which stay failures
 * with their causes, and notes. Without a terminal there are lines only, one for each finished run.
 */

import { isDeepStrictEqual } from "node:util";

import type { StudyEvent } from "../store/events.ts";
import { emptyProgress, foldEvent, type StudyProgress } from "../store/progress.ts";
import { eventLines, renderBlock, renderMatrix } from "../views/lines.ts";
import { paint, plainText, wrapText } from "../views/text.ts";

export interface Output {
  write(text: string): void;
  /** Columns and rows; null when this is no terminal that can move its cursor. */
  size(): { columns: number; rows: number } | null;
  color: boolean;
}

export interface TerminalOptions {
  /** Write events as JSON lines to standard output, and lines for people to standard error. */
  json?: boolean;
  /** @default {standard output, or standard error beside JSON} */
  output?: Output;
  /** The time, in milliseconds. @default {Date.now} */
  now?: () => number;
  /** The time zone of clock times. @default {the system's} */
  timeZone?: string;
}

const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
/** Terminals that know these show a frame at once; others ignore them. */
const BEGIN_FRAME = "\x1b[?2026h";
const END_FRAME = "\x1b[?2026l";
const ERASE_REST_OF_LINE = "\x1b[K";
const ERASE_BELOW = "\x1b[J";

const USUAL_SIZE = { columns: 80, rows: 24 };
/** Clocks and figures are redrawn this often; what happens is drawn at once. */
const TICK_MS = 500;

/** A view of a study for the terminal. Dispose of it to give the terminal back. */
export class TerminalView implements Disposable {
  #json: boolean;
  #output: Output;
  #clock: { now: () => number; timeZone?: string };
  #state = emptyProgress();
  #status: string | null = null;
  /** The block on the screen; the cursor stands at its first line's beginning. */
  #drawn: string[] = [];
  #release: (() => void) | null = null;

  constructor({ json = false, output, now = Date.now, timeZone }: TerminalOptions = {}) {
    this.#json = json;
    this.#output = output ?? standardOutput(json ? Deno.stderr : Deno.stdout, json);
    this.#clock = { now, timeZone };
  }

  /** Whether it draws in place; else it writes lines. */
  get draws(): boolean {
    return this.#output.size() !== null;
  }

  show = (event: StudyEvent): void => {
    if (this.#json) write(Deno.stdout, JSON.stringify(event) + "\n");
    const before = this.#state;
    this.#state = foldEvent(before, event);
    if (!this.draws) {
      for (const line of eventLines(before, event)) this.line(line);
      return;
    }
    this.#hold();
    if (event.event === "live") return; // Drawn by the next tick.
    const keeps = stays(event) ? eventLines(before, event) : [];
    if (event.event === "study_finished" || event.event === "study_stopped") {
      this.#print(["", ...renderMatrix(this.#state, this.#frame()), "", ...this.#wrap(keeps)], []);
      return;
    }
    // Of finished runs only those are kept that went wrong.
    const style = event.event === "run_finished" ? "failed" : "plain";
    this.#print(this.#wrap(keeps).map((line) => paint([[line, style]], this.#output.color)));
  };

  /** Prints a line that stays. */
  line = (text: string): void => {
    if (this.draws) this.#print(this.#wrap([text]));
    else this.#output.write(plainText(text) + "\n");
  };

  /** Shows a line that the next one replaces; nothing without a terminal. */
  status = (text: string): void => {
    if (!this.draws) return;
    this.#status = text;
    this.#hold();
    this.#print([]);
  };

  /** Draws all of it anew, after the terminal has been resized and has moved what was drawn. */
  redraw = (): void => {
    if (this.#release !== null) this.#print([], this.#block(), true);
  };

  /** Draws what has changed with time alone. */
  tick = (): void => {
    if (this.#release !== null) this.#print([]);
  };

  /** Takes the block away and gives the cursor back; lines that stay are left. */
  [Symbol.dispose](): void {
    if (this.#release === null) return;
    this.#release();
    this.#release = null;
    this.#print([], []);
    this.#output.write(SHOW_CURSOR);
  }

  /** Takes the terminal: hides the cursor, redraws with time and on resize. */
  #hold(): void {
    if (this.#release !== null) return;
    this.#output.write(HIDE_CURSOR);
    const timer = setInterval(this.tick, TICK_MS);
    Deno.unrefTimer(timer);
    // A second Ctrl-C ends the process where it stands.
    const leave = () => this[Symbol.dispose]();
    Deno.addSignalListener("SIGWINCH", this.redraw);
    globalThis.addEventListener("unload", leave);
    this.#release = () => {
      clearInterval(timer);
      Deno.removeSignalListener("SIGWINCH", this.redraw);
      globalThis.removeEventListener("unload", leave);
    };
  }

  #frame() {
    const { now, timeZone } = this.#clock;
    const size = this.#output.size() ?? USUAL_SIZE;
    return { ...size, color: this.#output.color, nowMs: now(), timeZone };
  }

  #block(): string[] {
    if (isShown(this.#state)) return renderBlock(this.#state, this.#frame());
    return this.#status === null ? [] : this.#wrap([this.#status]).slice(0, 1);
  }

  #wrap(lines: string[]): string[] {
    const { columns } = this.#frame();
    return lines.flatMap((line) => wrapText(plainText(line), columns - 1));
  }

  /**
   * Writes lines that stay and the block below them, all in one write. The cursor goes back to the
   * block's first line: a terminal that is resized moves both alike, whether it wraps its lines anew
   * or cuts them, so that the next frame covers all of this one. After that the old rows must be
   * erased, not overwritten, or the terminal goes on taking some of them for wrapped ones.
   */
  #print(lines: string[], block = this.#block(), erase = false): void {
    if (!erase && lines.length === 0 && isDeepStrictEqual(block, this.#drawn)) return;
    const text = [...lines, ...block].map((line) => line + ERASE_REST_OF_LINE);
    const back = block.length > 1 ? `\x1b[${block.length - 1}A\r` : "\r";
    // Lines that stay end with a line feed, the block's last line must not: it would scroll.
    const end = block.length === 0 && lines.length > 0 ? "\r\n" : "";
    this.#output.write(
      `${BEGIN_FRAME}\r${erase ? ERASE_BELOW : ""}${text.join("\r\n")}` +
        `${end}${ERASE_BELOW}${back}${END_FRAME}`,
    );
    this.#drawn = block;
  }
}

/** Whether an event's lines stay above the block: what the block itself does not say. */
function stays(event: StudyEvent): boolean {
  return event.event === "run_finished"
    ? event.status !== "ok"
    : !["study_started", "setup", "report_started"].includes(event.event);
}

/** Whether there is anything to draw: a study that runs or whose report is being written. */
function isShown(state: StudyProgress): boolean {
  return state.study !== "" && ((!state.done && !state.stopped) || state.report !== null);
}

/**
 * A standard stream as the place of a view. Beside JSON on standard output, it is drawn on only where the
 * JSON goes elsewhere.
 */
export function standardOutput(
  stream: typeof Deno.stdout | typeof Deno.stderr,
  besideJson = false,
): Output {
  const draws = stream.isTerminal() && Deno.env.get("TERM") !== "dumb" &&
    !(besideJson && Deno.stdout.isTerminal());
  return {
    write: (text) => write(stream, text),
    size: () => draws ? terminalSize() : null,
    color: !Deno.env.get("NO_COLOR"),
  };
}

/** Some terminals, serial lines for example, do not know their size. */
function terminalSize(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    if (columns > 0 && rows > 0) return { columns, rows };
  } catch {
    // The usual size serves.
  }
  return USUAL_SIZE;
}

const ENCODER = new TextEncoder();

/** Writes all of a text. Nobody reading any more ends the text, not the study. */
function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let rest = ENCODER.encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(stream.writeSync(rest));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) return;
      // Another program has made the terminal non-blocking, and its buffer is full.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
