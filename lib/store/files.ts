/**
 * Reading and writing the files of a study so that a crash leaves either the old or the new one.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileError, SchemaVersionError } from "../errors.ts";
import { RUN_FILES, SCHEMA_VERSION } from "./layout.ts";
import type { Manifest } from "./manifest.ts";

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
    throw new FileError(file, null, code === "ENOENT" ? "no such file" : `${code}`);
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
    throw new FileError(file, line.length, `it is not JSON (${message.split("\n")[0]})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FileError(file, 1, "it is not a JSON object");
  }
  return value as Record<string, unknown>;
}

type Kind = "text" | "number" | "object" | "optional text";

/** What the fields of a manifest must be that every report reads. */
const MANIFEST_FIELDS: Partial<Record<keyof Manifest, Kind>> = {
  study: "text",
  plan: "object",
  scenarioId: "text",
  scenario: "object",
  round: "number",
  order: "number",
  status: "text",
  cause: "optional text",
  engine: "text",
  versions: "object",
  gitCommit: "optional text",
  host: "object",
  limits: "object",
  limitsWarning: "optional text",
  appOptions: "object",
  exitCodes: "object",
  files: "object",
};

function isOfKind(value: unknown, kind: Kind): boolean {
  switch (kind) {
    case "text":
      return typeof value === "string" && value !== "";
    case "number":
      return Number.isSafeInteger(value) && (value as number) >= 0;
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "optional text":
      return value === null || typeof value === "string";
  }
}

/** The contract's work by route; runs of earlier versions have none. */
function isWork(work: unknown): boolean {
  if (work === undefined) return true;
  return isOfKind(work, "object") &&
    Object.values(work as object).every((route) =>
      isOfKind(route?.statements, "number") && isOfKind(route?.rows, "number")
    );
}

/** A window in order, or none: without one a successful run has no numbers. */
function isWindow(window: Manifest["window"] | undefined, status: unknown): boolean {
  if (window === null) return status === "failed";
  return typeof window === "object" && Number.isSafeInteger(window.startUs) &&
    Number.isSafeInteger(window.endUs) && 0 <= window.startUs && window.startUs < window.endUs;
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
  const value = readJsonObject(file);
  const { schemaVersion, status, cause, window } = value as unknown as Manifest;
  const fail = (field: string, must: string): never => {
    const found = value[field] === undefined ? "is missing" : `is ${JSON.stringify(value[field])}`;
    throw new FileError(file, null, `field "${field}" ${found.slice(0, 80)}, must be ${must}`);
  };
  if (!isOfKind(schemaVersion, "number")) fail("schemaVersion", "a whole number");
  if (schemaVersion !== SCHEMA_VERSION) {
    throw new SchemaVersionError(
      file,
      null,
      `schema version is ${schemaVersion}, this Poolscope reads ${SCHEMA_VERSION}; use the version that wrote it`,
    );
  }
  for (const [field, kind] of Object.entries(MANIFEST_FIELDS)) {
    if (!isOfKind(value[field], kind)) fail(field, kind === "object" ? "an object" : `a ${kind}`);
  }
  if (status !== "ok" && status !== "failed") fail("status", '"ok" or "failed"');
  if ((status === "ok") !== (cause === null)) fail("cause", "a text exactly when the run failed");
  if (!isWindow(window, status)) fail("window", "a start before an end");
  if (!isWork(value.work)) fail("work", "statements and rows of each route");
  return value as unknown as Manifest;
}
