/**
 * A load that `deno task load` wrote, read back from its folder: for notebooks, and for its report.
 *
 * @module
 */

import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { FileError, UsageError } from "../errors.ts";
import { loadFigure } from "../figures/load.ts";
import { loadPolars } from "../frames/polars.ts";
import { readRequests } from "../frames/run_files.ts";
import { requestCurve } from "../stats/distribution.ts";
import { hashFile } from "../store/files.ts";
import { runsFolder } from "../store/layout.ts";
import { type LoadManifest, readLoadManifest } from "../store/load_manifest.ts";
import { measureWords } from "../wording/claims.ts";
import { loadWords as say } from "../wording/load.ts";
import { Table } from "./display.ts";
import { writeReport } from "./export.ts";
import { describeLoad, type LoadSummary, summariseLoad } from "./load.ts";

/** A load on a service that already ran; shown by Jupyter as its table. */
export class Load {
  /** Its folder's name. */
  readonly name: string;
  readonly folder: string;
  readonly manifest: LoadManifest;
  /** Its numbers. */
  readonly summary: LoadSummary;
  /** Latencies in milliseconds with the share of requests that took at most so long. */
  readonly curve: { percent: number; ms: number }[];
  /** `response time`, from when a request was due; in a closed loop `service time`. */
  readonly latency: string;
  /** What was loaded, and how. */
  readonly head: string;
  /** The sentence that reads its latencies. */
  readonly title: string;
  /** What is wrong with it, a line each. */
  readonly warnings: string[];

  /**
   * @param folder The load's folder.
   * @param manifest Its manifest.
   * @param requests Its requests; null where there are none.
   */
  constructor(folder: string, manifest: LoadManifest, requests: DataFrame | null) {
    const { window, arrivalRate } = manifest;
    this.name = basename(folder);
    this.folder = folder;
    this.manifest = manifest;
    this.summary = summariseLoad(manifest, requests);
    this.curve = window === null || requests === null
      ? []
      : requestCurve(requests, window, arrivalRate !== null);
    this.latency = measureWords[arrivalRate === null ? "service" : "response"];
    const { head, warnings, reading } = describeLoad(this.summary);
    this.head = head;
    this.title = reading?.split(/\.(?= |$)/)[0] ?? head;
    this.warnings = warnings;
  }

  /** All of its requests as a dataframe, warm-up included. */
  async requests(): Promise<DataFrame> {
    await loadPolars();
    return await readRequests(this.folder);
  }

  /** Latencies by percentile, in milliseconds. */
  table(): Table {
    const { head, latencies: [header = [], ...rows] } = describeLoad(this.summary);
    return new Table(
      head,
      header.map((name, i) => ({ header: name, align: i === 0 ? "left" : "right" })),
      rows.map((row) => row.map((cell) => cell.trim())),
    );
  }

  /** The load in Markdown: what was done, latencies, counts, what failed, and what that means. */
  markdown(): string {
    const { counts, errors, warnings, reading } = describeLoad(this.summary);
    return [
      this.table().markdown(),
      counts === null ? [] : [`${counts}.`],
      errors.length === 0 ? [] : [errors.map((error) => `- ${error}`).join("\n")],
      warnings.map((warning) => `**${warning}**`),
      reading ?? [],
    ].flat().join("\n\n");
  }

  /** How Jupyter shows it. */
  [Symbol.for("Jupyter.display")](): Record<string, string> {
    return { "text/markdown": this.markdown(), "text/plain": this.head };
  }
}

/** The folders of all loads below data/runs/, the newest last. */
function loadFolders(): string[] {
  const runs = runsFolder();
  if (!existsSync(runs)) return [];
  return readdirSync(runs).map((name) => join(runs, name))
    .filter((folder) => isLoad(folder))
    .map((folder) => ({ folder, ended: readLoadManifest(folder)!.times.ended }))
    .sort((a, b) => a.ended.localeCompare(b.ended))
    .map(({ folder }) => folder);
}

function isLoad(folder: string): boolean {
  try {
    return readLoadManifest(folder) !== null;
  } catch (error) {
    if (error instanceof FileError) return false;
    throw error;
  }
}

/**
 * The folder of a load.
 *
 * @param load A folder's path, or its name below data/runs/.
 * @returns Null where there is no load.
 */
export function findLoad(load: string): string | null {
  const folder = [join(runsFolder(), load), resolve(load)]
    .find((folder) => existsSync(join(folder, "manifest.json")));
  return folder !== undefined && readLoadManifest(folder) !== null ? folder : null;
}

/**
 * Opens a load that `deno task load` wrote. Nothing is sent.
 *
 * @param load Its folder's path, or its name below data/runs/. @default the newest there
 * @throws {UsageError} If there is none.
 * @throws {FileError} If its files are damaged.
 */
export async function openLoad(load?: string): Promise<Load> {
  const folder = load === undefined ? loadFolders().at(-1) : findLoad(load);
  if (folder === undefined || folder === null) {
    const known = loadFolders().map((path) => basename(path)).join(", ");
    throw new UsageError(
      `Cannot open load ${load === undefined ? "" : `"${load}"`}: there is none; known are ${
        known || "none, make one with deno task load URL"
      }`,
    );
  }
  const manifest = readLoadManifest(folder)!;
  const hash = manifest.files["requests.csv"];
  const file = join(folder, "requests.csv");
  if (hash !== undefined && (!existsSync(file) || await hashFile(file) !== hash)) {
    throw new FileError(file, null, "it is missing, or was changed after the load");
  }
  await loadPolars();
  return new Load(folder, manifest, hash === undefined ? null : await readRequests(folder));
}

/**
 * Writes the report of a load into its folder: `report/load.md`, `report/load.html` and
 * `report/latency.png`.
 *
 * @param load What {@linkcode openLoad} returned.
 * @returns The files written.
 */
export function exportLoad(load: Load): string[] {
  const figure = loadFigure(load);
  const title = say.title(load.manifest.url);
  const { counts, errors, warnings, reading } = describeLoad(load.summary);
  const sentences = [...warnings, counts, ...errors, reading].flatMap((text) => text ?? []);
  const escape = (text: string) =>
    text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
  return writeReport(join(load.folder, "report"), [
    ["load.md", `# ${title}\n\n${load.markdown()}\n\n![${figure.alt}](latency.png)\n`],
    [
      "load.html",
      `<!doctype html><html lang="en"><meta charset="utf-8">` +
      `<meta name="viewport" content="width=device-width"><title>${escape(title)}</title>` +
      `<body style="font-family:system-ui,sans-serif;max-width:52em;margin:2em auto;padding:0 1em">` +
      `<h1>${escape(title)}</h1>${load.table().html()}` +
      sentences.map((text) => `<p>${escape(text)}</p>`).join("") +
      `<div style="overflow-x:auto">${figure.svg}</div></body></html>\n`,
    ],
    ["latency.png", figure.png()],
  ]);
}
