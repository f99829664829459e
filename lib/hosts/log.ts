/** Logs of services, and their ends. */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Exit, InstanceOptions } from "./host.ts";

/** More of a log is not read. */
const TAIL_BYTES = 65_536;

/** At most the last 64 KiB of a log, as text; empty where there is none. */
function readLog(file: string): string {
  let handle: number;
  try {
    handle = openSync(file, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(handle);
    const buffer = new Uint8Array(Math.min(size, TAIL_BYTES));
    const read = readSync(handle, buffer, 0, buffer.length, size - buffer.length);
    return new TextDecoder().decode(buffer.subarray(0, read));
  } finally {
    closeSync(handle);
  }
}

/** What instances of all hosts have: an end, and a log. */
export class LoggedInstance {
  readonly name: string;
  exit: Exit | null = null;
  #ending = Promise.withResolvers<Exit>();
  readonly exited: Promise<Exit> = this.#ending.promise;
  #logFile: string;

  constructor({ service, logFile }: Pick<InstanceOptions, "service" | "logFile">) {
    this.name = service;
    this.#logFile = logFile;
    closeSync(openSync(logFile, "a"));
  }

  /** Tells how it ended; the first word holds. */
  protected ended(exit: Exit): void {
    this.#ending.resolve(this.exit ??= exit);
  }

  logTail(lines = 20): string {
    return readLog(this.#logFile).trimEnd().split("\n").slice(-lines).join("\n");
  }
}
