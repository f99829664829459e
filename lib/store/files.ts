/**
 * Reading and writing the files of a study so that a crash leaves either the old or the new one.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { FileError, SchemaVersionError } from "../errors.ts";
import { explainFault } from "../json.ts";
import { RUN_FILES, SCHEMA_VERSION } from "./layout.ts";
import type { Manifest } from "./manifest.ts";
import { MANIFEST, VERSIONED } from "./schemas.ts";

/** Writes a file by way of a temporary one beside it and a rename. */
export function writeAtomic(file: string, content: string | Uint8Array): void {
  writeFileSync(`${file}.tmp`, content);
  renameSync(`${file}.tmp`, file);
}

/** SHA-256 of a file, read as a stream, in hexadecimal digits. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

/** SHA-256 of those files of a run that are there. */
export async function hashRunFiles(folder: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const name of RUN_FILES) {
    const file = join(folder, name);
    if (existsSync(file)) hashes[name] = await hashFile(file);
  }
  return hashes;
}

/**
 * Reads a text file of a study.
 *
 * @throws {FileError} If it is missing, unreadable, empty or not UTF-8.
 */
export function readText(file: string): string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new FileError(file, null, code === "ENOENT" ? "no such file" : `${code}`, {
      cause: error,
    });
  }
  if (bytes.length === 0) throw new FileError(file, null, "the file is empty");
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

/**
 * Reads a JSON file that holds an object.
 *
 * @throws {FileError} If it does not; the line is that at which the JSON breaks off.
 */
export function readJsonObject(file: string): Record<string, unknown> {
  const text = readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const { message } = error as Error;
    const at = /at position (\d+)/.exec(message)?.[1];
    const line = text.slice(0, at === undefined ? undefined : Number(at)).trimEnd().split("\n");
    throw new FileError(file, line.length, `it is not JSON (${message.split("\n")[0]})`, {
      cause: error,
    });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FileError(file, 1, "it is not a JSON object");
  }
  return value as Record<string, unknown>;
}

/**
 * Reads a JSON file of this version of Poolscope's.
 *
 * @param file Its path.
 * @param schema What it holds; each message says what a field must be.
 * @throws {SchemaVersionError} If another version wrote it.
 * @throws {FileError} If it is damaged; the message names the line or the field.
 */
export function readRecord<T>(file: string, schema: z.ZodType<T>): T {
  const value = readJsonObject(file);
  const { schemaVersion } = value;
  const fault = explainFault(VERSIONED, value);
  if (fault !== null) throw new FileError(file, null, fault);
  if (schemaVersion !== SCHEMA_VERSION) {
    throw new SchemaVersionError(
      file,
      null,
      `schema version is ${schemaVersion}, this Poolscope reads ${SCHEMA_VERSION}; use the version that wrote it`,
    );
  }
  const wrong = explainFault(schema, value);
  if (wrong !== null) throw new FileError(file, null, wrong);
  return value as T;
}

/**
 * Reads a run's manifest.
 *
 * @returns The manifest; null when the run has none, which means that it is not complete.
 * @throws {SchemaVersionError} If another version wrote it.
 * @throws {FileError} If it is damaged; the message names the line or the field.
 */
export function readManifest(folder: string): Manifest | null {
  const file = join(folder, "manifest.json");
  if (!existsSync(file)) return null;
  return readRecord(file, MANIFEST) as unknown as Manifest;
}
