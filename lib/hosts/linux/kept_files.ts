/**
 * Files of the kernel that are read over and over: opening one costs three times as much as reading it.
 */

import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

/** More than any file that is read here holds. */
const LARGEST = 65_536;
const buffer = new Uint8Array(LARGEST);
const decoder = new TextDecoder();

/** Keeps files open between readings. */
export class KeptFiles implements Disposable {
  #handles = new Map<string, number>();

  /** As {@linkcode KeptFiles.readBytes}, of a text. */
  read(file: string): string | null {
    const bytes = this.readBytes(file);
    return bytes && decoder.decode(bytes);
  }

  /**
   * Reads a file from its begin.
   *
   * @returns Null when it cannot be read, such as one of a process that has ended; the next reading
   * opens it anew. The bytes hold until the next reading of any file.
   */
  readBytes(file: string): Uint8Array | null {
    try {
      let handle = this.#handles.get(file);
      if (handle === undefined) this.#handles.set(file, handle = openSync(file, "r"));
      return buffer.subarray(0, readSync(handle, buffer, 0, LARGEST, 0));
    } catch {
      this.#close(file);
      return null;
    }
  }

  /** As `Instance.readNumbers` of host.ts; none of a folder that is not there. */
  readNumbers(folder: string, each: number): [name: string, numbers: readonly number[]][] {
    let names: string[];
    try {
      names = readdirSync(folder);
    } catch {
      return [];
    }
    return names.map((name) => {
      const bytes = this.readBytes(join(folder, name));
      const whole = bytes?.length === 8 * each;
      return [name, whole ? Array.from(new BigInt64Array(bytes.slice().buffer), Number) : []];
    });
  }

  /** Closes all but these. */
  keepOnly(files: ReadonlySet<string>): void {
    for (const file of [...this.#handles.keys()]) if (!files.has(file)) this.#close(file);
  }

  #close(file: string): void {
    const handle = this.#handles.get(file);
    if (handle !== undefined) closeSync(handle);
    this.#handles.delete(file);
  }

  [Symbol.dispose](): void {
    this.keepOnly(new Set());
  }
}
