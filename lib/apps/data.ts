/**
 * The tables and rows of an app.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../errors.ts";
import type { App } from "./app.ts";

/** A script and how messages call it. */
export interface Script {
  file: string;
  text: string;
}

/** The SQL that makes an app's tables, and that of its rows; empty where it has none. */
export interface AppData {
  schema: Script;
  seed: Script;
}

/**
 * Reads the SQL files of an app.
 *
 * @throws {UsageError} If a file cannot be read; the message names it.
 */
export function readData({ name, folder, schema, seed }: App): AppData {
  const read = (key: "schema" | "seed", file: string | undefined): Script => {
    if (file === undefined) return { file: "", text: "" };
    try {
      return { file, text: readFileSync(join(folder, file), "utf8") };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new UsageError(
        `Cannot read the ${key} of ${name}: ${file} (${code}); correct "${key}" in its app.json`,
        { cause: error },
      );
    }
  };
  return { schema: read("schema", schema), seed: read("seed", seed) };
}
