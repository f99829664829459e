/**
 * Reading and writing the files of a study so that a crash leaves either the old or the new one.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError } from "../errors.ts";
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
 * Reads a run's manifest.
 *
 * @returns The manifest; null when the run has none, which means that it is not complete.
 * @throws {PoolscopeError} If it is not JSON or has another schema version.
 */
export function readManifest(folder: string): Manifest | null {
  const file = join(folder, "manifest.json");
  if (!existsSync(file)) return null;
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new PoolscopeError(
      `Cannot read ${file}: it is not JSON (${
        (error as Error).message
      }); delete the run's folder to run it again`,
    );
  }
  if (manifest.schemaVersion !== SCHEMA_VERSION) {
    throw new PoolscopeError(
      `Cannot read ${file}: schema version is ${manifest.schemaVersion}, this Poolscope reads ${SCHEMA_VERSION}; use the version that wrote it`,
    );
  }
  return manifest;
}
