/** The `manifest.json` of a folder that `deno task load` wrote. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { LoadLevel, Scenario } from "../scenario.ts";
import { readJsonObject, readRecord } from "./files.ts";
import { type Manifest, record, text, WINDOW } from "./manifest.ts";

const LOAD_MANIFEST = z.object({
  /** Scheme, host and port. */
  url: text(),
  /** The paths that were asked for, in turn at random. */
  routes: z.array(text(), "a list of paths"),
  /** SHA-256 of each file beside the manifest. */
  files: record<Record<string, string>>(),
  /** Null when it ended within the warm-up. */
  window: WINDOW,
});

/** A load on any URL, complete: written last, as a study's manifests are. */
export interface LoadManifest
  extends
    z.infer<typeof LOAD_MANIFEST>,
    LoadLevel,
    Pick<Scenario, "arrivals" | "client">,
    Pick<Manifest, "schemaVersion" | "warmUpS" | "windowS" | "versions" | "host"> {
  /** Tells it from the manifest of a study's run. */
  kind: "load";
  processes: number;
  seed: number;
  /** `ok`, or `failed` when no request succeeded or the generator did not do its work. */
  status: "ok" | "failed";
  cause: string | null;
  interrupted: boolean;
  times: { started: string; ended: string };
  exitCode: number | null;
}

/** The manifest of a load; null where the folder is none of a load. */
export function readLoadManifest(folder: string): LoadManifest | null {
  const file = join(folder, "manifest.json");
  if (!existsSync(file) || readJsonObject(file).kind !== "load") return null;
  return readRecord(file, LOAD_MANIFEST) as LoadManifest;
}
