/**
 * Reading and writing the files of a study so that a crash leaves either the old or the new one.
 */

import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { FileError, SchemaVersionError } from "../errors.ts";
import { explainFault } from "../json.ts";
import { RUN_FILES, SCHEMA_VERSION } from "./layout.ts";
import { MANIFEST, type Manifest, whole } from "./manifest.ts";

/** Writes a file by way of a temporary one beside it and a rename. */
export function writeAtomic(file: string, content: string | Uint8Array): void {
  writeFileSync(`${file}.tmp`, content);
  renameSync(`${file}.tmp`, file);
}

export async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

export async function hashRunFiles(folder: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const name of RUN_FILES) {
    const file = join(folder, name);
    if (existsSync(file)) hashes[name] = await hashFile(file);
  }
  return hashes;
}

/** Reads a file of a study; `emptiness` is what is wrong where it has no byte. */
export function readBytes(file: string, emptiness: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new FileError(file, null, code === "ENOENT" ? "no such file" : `${code}`, { cause });
  }
  if (bytes.length > 0) return bytes;
  throw new FileError(file, null, emptiness);
}

/** Reads a text file of a study, which must be UTF-8. */
export function readText(file: string): string {
  const bytes = readBytes(file, "the file is empty");
  if (!isUtf8(bytes)) throw new FileError(file, invalidLine(bytes), "it is not UTF-8");
  return new TextDecoder().decode(bytes);
}

/** The first line that is not UTF-8, from 1. */
export function invalidLine(bytes: Uint8Array): number | null {
  for (let line = 1, start = 0; start < bytes.length; line++) {
    const found = bytes.indexOf(0x0a, start);
    const end = found < 0 ? bytes.length : found + 1;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end;
  }
  return null;
}

/** Reads a JSON file that holds an object; an error names the line at which the JSON breaks off. */
export function readJsonObject(file: string): Record<string, unknown> {
  const text = readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const { message } = cause as Error;
    const at = Number(/at position (\d+)/.exec(message)?.[1] ?? text.length);
    const line = text.slice(0, at).trimEnd().split("\n").length;
    throw new FileError(file, line, `it is not JSON (${message.split("\n")[0]})`, { cause });
  }
  const fault = explainFault(z.record(z.string(), z.unknown(), "a JSON object"), value);
  if (fault !== null) throw new FileError(file, 1, fault);
  return value as Record<string, unknown>;
}

const VERSIONED = z.object({ schemaVersion: whole("a whole number") });

/**
 * Reads a JSON file of this version of Poolscope's.
 *
 * @throws {SchemaVersionError} If another version wrote it.
 * @throws {FileError} If it is damaged; the message names the line or the field.
 */
export function readRecord<T>(file: string, schema: z.ZodType<T>): T {
  const value = readJsonObject(file);
  const check = (expected: z.ZodType) => {
    const fault = explainFault(expected, value);
    if (fault !== null) throw new FileError(file, null, fault);
  };
  check(VERSIONED);
  const { schemaVersion } = value;
  if (schemaVersion !== SCHEMA_VERSION) {
    throw new SchemaVersionError(
      file,
      null,
      `schema version is ${schemaVersion}, this Poolscope reads ${SCHEMA_VERSION}; use the version that wrote it`,
    );
  }
  check(schema);
  return value as T;
}

/** Reads a run's manifest; null when the run has none, which means that it is not complete. */
export function readManifest(folder: string): Manifest | null {
  const file = join(folder, "manifest.json");
  return existsSync(file) ? readRecord(file, MANIFEST) as Manifest : null;
}
