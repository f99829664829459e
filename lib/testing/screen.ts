/**
 * A terminal's screen, small and strict, for tests of what is drawn on one: it knows the sequences
 * that Poolscope writes and throws at any other.
 */

import { displayWidth } from "../views/text.ts";

/** A character of the screen; the second column of a wide one is empty. */
type Row = { cells: string[]; wrapped: boolean };

const SEGMENTS = new Intl.Segmenter("en", { granularity: "grapheme" });
const TOKEN =
  // deno-lint-ignore no-control-regex -- what terminals are spoken to with
  /\x1b\[(\?)?([0-9;]*)([A-Za-z])|\r|\n|[^\x00-\x1f]+|[^]/gy;

/** A screen with everything that was scrolled off its top. */
export class Screen {
  columns: number;
  height: number;
  cursorVisible = true;
  /** How often a line ran over into the next. */
  wraps = 0;
  /** Whether a frame is begun and not ended. */
  updating = false;
  #rows: Row[] = [{ cells: [], wrapped: false }];
  #top = 0;
  #x = 0;
  #y = 0;

  constructor(columns: number, height: number) {
    this.columns = columns;
    this.height = height;
  }

  /** Everything, the lines scrolled off too, without blanks at the ends. */
  get lines(): string[] {
    const lines = this.#rows.map(({ cells }) => cells.join("").trimEnd());
    return lines.slice(0, lines.findLastIndex((line) => line !== "") + 1);
  }

  /** What is on the screen. */
  get visible(): string[] {
    return this.lines.slice(this.#top);
  }

  get cursor(): { x: number; y: number } {
    return { x: this.#x, y: this.#y - this.#top };
  }

  write(text: string): void {
    TOKEN.lastIndex = 0;
    for (const match of text.matchAll(TOKEN)) {
      const [token, mark, numbers, command] = match;
      if (token === "\r") this.#x = 0;
      else if (token === "\n") this.#lineFeed();
      else if (command !== undefined) this.#control(mark === "?", numbers!, command);
      else if (token < " ") throw new Error(`A control character: ${JSON.stringify(token)}`);
      else for (const { segment } of SEGMENTS.segment(token)) this.#put(segment);
    }
  }

  /** Another size; terminals either wrap long lines anew (and join wrapped ones) or cut them. */
  resize(columns: number, height: number, reflow: boolean): void {
    this.columns = columns;
    if (reflow) this.#reflow();
    else this.#rows.forEach((row) => row.cells.length = Math.min(row.cells.length, columns));
    this.height = height;
    this.#top = Math.max(0, Math.min(this.#top, this.#y), this.#y - height + 1);
    this.#x = Math.min(this.#x, columns - 1);
  }

  #reflow(): void {
    const rows: Row[] = [];
    let y = 0;
    let joined: string[] = [];
    let cursorAt: number | null = null;
    this.#rows.forEach((row, i) => {
      if (i === this.#y) cursorAt = joined.length + this.#x;
      joined.push(...row.cells);
      if (row.wrapped) return;
      const first = rows.length;
      for (let at = 0; at === 0 || at < joined.length; at += this.columns) {
        const cells = joined.slice(at, at + this.columns);
        rows.push({ cells, wrapped: at + this.columns < joined.length });
      }
      if (cursorAt !== null) {
        y = first + Math.floor(cursorAt / this.columns);
        this.#x = cursorAt % this.columns;
        cursorAt = null;
      }
      joined = [];
    });
    this.#top += y - this.#y;
    [this.#rows, this.#y] = [rows, y];
  }

  #row(): Row {
    while (this.#rows.length <= this.#y) this.#rows.push({ cells: [], wrapped: false });
    return this.#rows[this.#y]!;
  }

  #lineFeed(): void {
    this.#y++;
    this.#row();
    this.#top = Math.max(this.#top, this.#y - this.height + 1);
  }

  #put(segment: string): void {
    const width = displayWidth(segment);
    if (this.#x + width > this.columns) {
      this.wraps++;
      this.#row().wrapped = true;
      this.#x = 0;
      this.#lineFeed();
    }
    const { cells } = this.#row();
    while (cells.length < this.#x) cells.push(" ");
    cells[this.#x] = segment;
    if (width === 2) cells[this.#x + 1] = "";
    this.#x += width;
  }

  #control(isPrivate: boolean, numbers: string, command: string): void {
    const n = numbers === "" ? 1 : Number(numbers);
    const { cells } = this.#row();
    if (isPrivate && numbers === "25") this.cursorVisible = command === "h";
    else if (isPrivate && numbers === "2026") this.updating = command === "h";
    else if (command === "m") return;
    else if (command === "A") this.#y = Math.max(this.#top, this.#y - n);
    else if (command === "K" && numbers === "") cells.length = Math.min(cells.length, this.#x);
    else if (command === "J" && numbers === "") {
      cells.length = Math.min(cells.length, this.#x);
      this.#rows.length = this.#y + 1;
      // As tmux does it: no other sequence makes it forget that a row ran over.
      this.#row().wrapped = false;
    } else throw new Error(`A sequence that no test knows: ${JSON.stringify(numbers + command)}`);
  }
}
