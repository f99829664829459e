/**
 * What a load on a service that already ran was, and what came of it: the `manifest.json` of a
 * folder that `deno task load` wrote.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { LoadLevel, Scenario } from "../scenario.ts";
import { readJsonObject, readRecord } from "./files.ts";
import { LOAD_MANIFEST } from "./schemas.ts";

/** A load on any URL, complete: written last, as a study's manifests are. */
export interface LoadManifest extends LoadLevel, Pick<Scenario, "arrivals" | "client"> {
  /** See `SCHEMA_VERSION`. */
  schemaVersion: number;
  /** Tells it from the manifest of a study's run. */
  kind: "load";
  /** Scheme, host and port. */
  url: string;
  /** The paths that were asked for, in turn at random. */
  routes: string[];
  /** Processes that generated the load. */
  processes: number;
  /** Seed of the load's random choices. */
  seed: number;
  /** `ok`, or `failed` when no request succeeded or the generator did not do its work. */
  status: "ok" | "failed";
  /** Why it failed, in one sentence; null when it did not. */
  cause: string | null;
  /** Whether it was ended before its time. */
  interrupted: boolean;
  /** ISO 8601 in UTC. */
  times: { started: string; ended: string };
  /** Warm-up and window in seconds, as asked for. */
  warmUpS: number;
  windowS: number;
  /** The measurement window in Unix time, microseconds; null when it ended within the warm-up. */
  window: { startUs: number; endUs: number } | null;
  /** Versions of what generated the load. */
  versions: Record<string, string>;
  /** The machine that generated the load. */
  host: { cpus: number; cpuModel: string; memoryMiB: number; kernel: string };
  /** The generator's exit code. */
  exitCode: number | null;
  /** SHA-256 of each file beside the manifest. */
  files: Record<string, string>;
}

/**
 * The manifest of a load.
 *
 * @param folder The load's folder.
 * @returns Null where the folder is none of a load.
 * @throws {FileError} If the manifest is damaged.
 * @throws {SchemaVersionError} If another version wrote it.
 */
export function readLoadManifest(folder: string): LoadManifest | null {
  const file = join(folder, "manifest.json");
  if (!existsSync(file)) return null;
  if (readJsonObject(file).kind !== "load") return null;
  return readRecord(file, LOAD_MANIFEST) as unknown as LoadManifest;
}
