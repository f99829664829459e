/** A load on a service that already ran, read back from the folder that `deno task load` wrote. */

import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { FileError, UsageError } from "../errors.ts";
import { loadFigure } from "../figures/distribution.ts";
import { escapeXml } from "../figures/style.ts";
import { loadPolars, polars } from "../frames/polars.ts";
import { readRequests } from "../frames/run_files.ts";
import { levelLabel } from "../scenario.ts";
import { deliveryTrouble, MAX_FAILED_SHARE } from "../stats/delivery.ts";
import {
  type LatencyMs,
  leastRequests,
  type PercentileName,
  PERCENTS,
  perPercentile,
  requestCurve,
} from "../stats/latency.ts";
import { isLowerBound, measure, type Measures, noMeasures } from "../stats/summarise.ts";
import { cutWindow, type WindowCut } from "../stats/window.ts";
import { hashFile } from "../store/files.ts";
import { runsFolder } from "../store/layout.ts";
import { type LoadManifest, readLoadManifest } from "../store/load_manifest.ts";
import { measureWords } from "../wording/claims.ts";
import { formatBound } from "../wording/format.ts";
import { loadWords as say } from "../wording/load.ts";
import { type ColumnOf, joinTexts, right, Table, tableOf } from "./display.ts";
import { writeReport } from "./export.ts";

interface LoadSummary {
  manifest: LoadManifest;
  measures: Measures;
  /** Answers per second of the window, failures among them. */
  rps: number;
  /** What failed and how often, the most frequent first. */
  errors: { error: string; count: number }[];
  /** By route, where there are several. */
  routes: { route: string; measures: Measures }[];
  /** Why the load is not accepted, in one sentence; null when it is. */
  rejection: string | null;
}

function summariseLoad(manifest: LoadManifest, requests: DataFrame | null): LoadSummary {
  const { window, arrivalRate, cause } = manifest;
  if (window === null || requests === null) {
    const measures = noMeasures();
    return { manifest, measures, rps: 0, errors: [], routes: [], rejection: cause };
  }
  const openLoop = arrivalRate !== null;
  const { col, lit } = polars();
  const cut = cutWindow(requests, window, openLoop);
  const measures = measure(cut);
  const errors = countErrors(requests, cut);
  const { requests: answered, failures } = measures;
  const rejection = failures > MAX_FAILED_SHARE * answered
    ? say.failedShare(failures, answered, errors[0]!.error)
    : null;
  return {
    manifest,
    measures,
    rps: cut.counted.answered / cut.counted.seconds,
    errors,
    routes: manifest.routes.length < 2 ? [] : manifest.routes.map((path) => ({
      route: path,
      measures: measure(
        cutWindow(requests.filter(col("route").eq(lit(`GET ${path}`))), window, openLoop),
      ),
    })),
    rejection: cause ?? rejection,
  };
}

/** What failed of the requests that count; what has no answer is told apart from that. */
function countErrors(requests: DataFrame, { failed }: WindowCut): LoadSummary["errors"] {
  const names = requests.getColumn("error").toArray() as string[];
  return [...Map.groupBy(failed, (i) => names[i]!)]
    .map(([error, { length: count }]) => ({ error, count }))
    .sort((a, b) => b.count - a.count || a.error.localeCompare(b.error));
}

/** The object that `--json` prints: a percentile that too few requests allow is null. */
export type LoadJson = ReturnType<typeof loadJson>;

/** The summary as one JSON object, with the folder of the load's files. */
export function loadJson(
  { manifest, measures, rps, errors, rejection }: LoadSummary,
  folder: string,
) {
  const { window } = manifest;
  return {
    /** Scheme, host and port. */
    url: manifest.url,
    /** The paths asked for, as they were sent. */
    routes: manifest.routes,
    /** `closed`: users that wait for their answers; `open`: requests due at given times. */
    loop: manifest.arrivalRate === null ? "closed" as const : "open" as const,
    /** Null in an open loop. */
    users: manifest.users,
    /** Requests due per second; null in a closed loop. */
    arrival_rate: manifest.arrivalRate,
    warm_up_s: manifest.warmUpS,
    /** Seconds measured; 0 when it ended within its warm-up. */
    duration_s: window === null ? 0 : round((window.endUs - window.startUs) / 1e6),
    /** Whether it was ended before its time. */
    interrupted: manifest.interrupted,
    /** Whether the load is accepted; see `docs/exit-status.md`. */
    accepted: rejection === null,
    /** Why it is not, in one sentence; null when it is. */
    cause: rejection,
    /** Answered requests of the window, failures among them. */
    requests: measures.requests,
    failures: measures.failures,
    /** What failed and how often, the most frequent first. */
    errors,
    /** Answers per second, failures among them. */
    rps: round(rps),
    /** Null in a closed loop. */
    response_ms: measures.responseMs && roundAll(measures.responseMs),
    service_ms: roundAll(measures.serviceMs),
    late: measures.delivery?.late ?? 0,
    dropped: measures.delivery?.dropped ?? 0,
    /** The folder of the run's files. */
    folder,
  };
}

const round = (value: number) => Math.round(value * 1000) / 1000;

function roundAll(latency: LatencyMs): LatencyMs {
  return perPercentile((name) => latency[name] === null ? null : round(latency[name]));
}

/** So many causes of failures are told; there may be one per request. */
const MAX_CAUSES = 5;

const NAMES = Object.keys(PERCENTS) as PercentileName[];

/** What was loaded, and how; or that nothing was measured. */
function describeLoad({ manifest }: LoadSummary): string {
  const { window, warmUpS, arrivalRate, arrivals, client, interrupted, routes, url } = manifest;
  if (window === null) {
    // With a cause, that is the reason; a warning says it.
    return interrupted && manifest.cause === null ? say.endedInWarmUp(warmUpS) : say.nothing;
  }
  const where = routes.length === 1 && routes[0] !== "/" ? url + routes[0] : url;
  const loop = arrivalRate === null
    ? say.closedLoop(levelLabel(manifest))
    : say.openLoop(levelLabel(manifest), arrivals);
  const seconds = (window.endUs - window.startUs) / 1e6;
  return say.head(where, loop, client, seconds, warmUpS) + (interrupted ? say.endedEarly : "");
}

/** The latency of a median and of the slowest that can be told, in one sentence. */
function readLatencies({ manifest, measures }: LoadSummary): string {
  const open = measures.responseMs !== null;
  const latency = measures.responseMs ?? measures.serviceMs;
  const known = NAMES.filter((name) => latency[name] !== null);
  if (known.length === 0) return say.tooFew(leastRequests(50));
  const [first, last] = [known[0]!, known.at(-1)!];
  const time = (name: PercentileName) =>
    say.time(latency[name]!, isLowerBound(measures, PERCENTS[name]));
  const half = open ? say.halfAnswered(time(first)) : say.halfTook(time(first));
  const most = last === first ? "" : say.most(PERCENTS[last], time(last));
  return `${half}${most}.${open ? "" : ` ${say.usersWait(manifest.users!)}`}`;
}

function warningsOf({ rejection, measures }: LoadSummary): string[] {
  const trouble = deliveryTrouble(measures.delivery);
  const latency = measures.responseMs ?? measures.serviceMs;
  const hasBounds = NAMES.some((name) =>
    latency[name] !== null && isLowerBound(measures, PERCENTS[name])
  );
  return [
    rejection === null ? [] : say.failed(rejection),
    trouble === null ? [] : say.notDelivered(trouble),
    hasBounds ? say.unfinished(measures.unfinished) : [],
  ].flat();
}

/** A load on a service that already ran; shown by Jupyter as its table. */
export class Load {
  /** Its folder's name. */
  readonly name: string;
  /** Its numbers. */
  readonly summary: LoadSummary;
  /** Latencies in milliseconds with the share of requests that took at most so long. */
  readonly curve: { percent: number; ms: number }[];
  /** `response time`, from when a request was due; in a closed loop `service time`. */
  readonly latency: string;
  /** What was loaded, and how; or that nothing was measured. */
  readonly head: string;
  /** Requests, failures and what was not delivered; null where nothing was measured. */
  readonly counts: string | null;
  /** What failed, the most frequent first. */
  readonly errors: string[];
  /** What is wrong with it, a line each. */
  readonly warnings: string[];
  /** The sentences that read its latencies; null where there is no correct answer. */
  readonly reading: string | null;
  /** The first of them, for a figure. */
  readonly title: string;

  /** @param requests Its requests; null where there are none. */
  constructor(
    readonly folder: string,
    readonly manifest: LoadManifest,
    requests: DataFrame | null,
  ) {
    const { window, arrivalRate } = manifest;
    const summary = summariseLoad(manifest, requests);
    const { requests: answered, failures, delivery } = summary.measures;
    this.name = basename(folder);
    this.summary = summary;
    this.curve = window === null || requests === null
      ? []
      : requestCurve(requests, window, arrivalRate !== null);
    this.latency = measureWords[arrivalRate === null ? "service" : "response"];
    this.head = describeLoad(summary);
    this.counts = window === null
      ? null
      : say.counts(answered, summary.rps, failures) + (delivery ? say.delivery(delivery) : "");
    this.errors = summary.errors.slice(0, MAX_CAUSES)
      .map(({ error, count }) => `${count} × ${error}`);
    this.warnings = warningsOf(summary);
    this.reading = answered > failures ? readLatencies(summary) : null;
    this.title = this.reading?.split(/\.(?= |$)/)[0] ?? this.head;
  }

  /** All of its requests as a dataframe, warm-up included. */
  async requests(): Promise<DataFrame> {
    await loadPolars();
    return await readRequests(this.folder);
  }

  /**
   * Latencies by percentile, in milliseconds; without columns where nothing was measured.
   *
   * @param indent What stands before a route. @default nothing
   */
  table(indent = ""): Table {
    if (this.manifest.window === null) return new Table(this.head, [], []);
    const { measures: { responseMs, serviceMs, exactUpTo }, routes } = this.summary;
    const rows: [name: string, latency: LatencyMs, exactUpTo: number][] = [
      [measureWords.service, serviceMs, responseMs === null ? exactUpTo : 100],
    ];
    if (responseMs !== null) rows.unshift([measureWords.response, responseMs, exactUpTo]);
    for (const { route, measures: own } of routes) {
      rows.push([indent + route, own.responseMs ?? own.serviceMs, own.exactUpTo]);
    }
    const percentiles = NAMES.map((name): ColumnOf<typeof rows[number]> =>
      right(name.toUpperCase(), ([, latency, exactUpTo]) => {
        const ms = latency[name];
        const isBound = isLowerBound({ exactUpTo }, PERCENTS[name]);
        return ms === null ? null : formatBound(ms, isBound);
      })
    );
    return tableOf(this.head, rows, [["ms", ([name]) => name], ...percentiles]);
  }

  /** The table as lines of text, with routes set in. */
  lines(): string[] {
    return this.manifest.window === null ? [] : ["", ...this.table("  ").lines(), ""];
  }

  /** The load in Markdown: what was done, latencies, counts, what failed, and what that means. */
  markdown(): string {
    return joinTexts(
      "\n\n",
      this.table(),
      this.counts && `${this.counts}.`,
      this.errors.map((error) => `- ${error}`).join("\n"),
      ...this.warnings.map((warning) => `**${warning}**`),
      this.reading,
    );
  }

  /** How Jupyter shows it. */
  [Symbol.for("Jupyter.display")](): Record<string, string> {
    return { "text/markdown": this.markdown(), "text/plain": this.head };
  }
}

/** The summary for people, with the folder of the load's files. */
export function loadLines(load: Load, folder: string): string[] {
  return [
    load.head,
    load.lines(),
    load.counts ?? [],
    load.errors.map((error) => `  ${error}`),
    load.warnings,
    load.reading ?? [],
    say.files(folder),
  ].flat();
}

/** The folders of all loads below data/runs/ that can be read, the newest last. */
function loadFolders(): string[] {
  const runs = runsFolder();
  const names = existsSync(runs) ? readdirSync(runs) : [];
  const loads = names.map((name) => join(runs, name)).flatMap((folder) => {
    try {
      const manifest = readLoadManifest(folder);
      return manifest === null ? [] : [{ folder, ended: manifest.times.ended }];
    } catch (error) {
      if (error instanceof FileError) return [];
      throw error;
    }
  });
  return loads.sort((a, b) => a.ended.localeCompare(b.ended)).map(({ folder }) => folder);
}

/** The folder of a load, by its path or by its name below data/runs/; null where there is none. */
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
  if (folder == null) {
    const known = loadFolders().map((path) => basename(path)).join(", ");
    throw new UsageError(
      `Cannot open load ${load === undefined ? "" : `"${load}"`}: there is none; known are ` +
        (known || "none, make one with deno task load URL"),
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
 * @returns The files written.
 */
export function exportLoad(load: Load): string[] {
  const figure = loadFigure(load);
  const title = say.title(load.manifest.url);
  const sentences = [...load.warnings, load.counts, ...load.errors, load.reading]
    .filter((text) => text !== null);
  return writeReport(join(load.folder, "report"), {
    "load.md": `# ${title}\n\n${load.markdown()}\n\n![${figure.alt}](latency.png)\n`,
    "load.html": `<!doctype html><html lang="en"><meta charset="utf-8">` +
      `<meta name="viewport" content="width=device-width"><title>${escapeXml(title)}</title>` +
      `<body style="font-family:system-ui,sans-serif;max-width:52em;margin:2em auto;padding:0 1em">` +
      `<h1>${escapeXml(title)}</h1>${load.table().html()}` +
      sentences.map((text) => `<p>${escapeXml(text)}</p>`).join("") +
      `<div style="overflow-x:auto">${figure.svg}</div></body></html>\n`,
    "latency.png": figure.png(),
  });
}
