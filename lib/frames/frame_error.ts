import { sep } from "node:path";
import { PoolscopeError } from "../errors.ts";

/** A file of a run that cannot be trusted. Its one-line message names file and, if known, line. */
export class FrameError extends PoolscopeError {
  override name = "FrameError";
  /** The file: study, scenario, round and name. */
  readonly file: string;
  /** The line, from 1; null when the fault is the whole file's. */
  readonly line: number | null;

  /**
   * @param file The file's path.
   * @param line The line, from 1, or null.
   * @param what What is wrong with it.
   */
  constructor(file: string, line: number | null, what: string) {
    // The message may reach a report that is sent to colleagues: it must not show where the
    // checkout lies, so only the parts below data/runs are kept.
    const name = file.split(sep).slice(-4).join("/");
    super(`Cannot read ${name}${line === null ? "" : `, line ${line}`}: ${what}`);
    this.file = name;
    this.line = line;
  }
}
