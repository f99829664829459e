/** The parts of a run's folder that a reader relies on. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hashRunFiles, readManifest } from "../store/files.ts";
import { RUN_FILES } from "../store/layout.ts";

/** The rows of a file of a run's folder, without its header. */
export function rowsOf(folder: string, file: string): string[][] {
  return readFileSync(join(folder, file), "utf8").trimEnd().split(/\r?\n/).slice(1)
    .map((line) => line.split(","));
}

/**
 * Checks a run that went well, and tells its names, columns and kinds of values, which are the same on
 * all engines; but that there are fewer versions where apps share nothing.
 */
export async function shapeOfRun(folder: string) {
  const manifest = readManifest(folder)!;
  equal(manifest.status, "ok", manifest.cause ?? "");
  deepEqual(manifest.limits.postgres?.readBack, { cpus: 0.5, memoryMiB: 512 });
  equal(manifest.verification?.throughPgbouncer, manifest.scenario.path === "pooled");
  deepEqual(await hashRunFiles(folder), manifest.files);
  const resources = rowsOf(folder, "resources.csv");
  const services = new Set(resources.map(([, service]) => service));
  // What the app's workers told last, of themselves and of all requests that they answered.
  const workers = new Map(rowsOf(folder, "app.csv").map((row) => [row[1], row]));
  const sum = (column: number) =>
    [...workers.values()].reduce((total, row) => total + Number(row[column]), 0);
  const account = JSON.parse(readFileSync(join(folder, "final.json"), "utf8"));
  ok(sum(2) >= account.requests, `${sum(2)} requests of ${account.requests}`);
  ok(sum(7) > 0 && sum(7) < sum(3), `${sum(7)} µs in the database of ${sum(3)}`);
  const files = readdirSync(folder).sort();
  return {
    files,
    logs: readdirSync(join(folder, "logs")).sort(),
    columns: Object.fromEntries(
      RUN_FILES.filter((name) => name.endsWith(".csv") && files.includes(name)).map((name) => [
        name,
        readFileSync(join(folder, name), "utf8").split(/\r?\n/)[0],
      ]),
    ),
    manifest: Object.keys(manifest),
    account: Object.keys(account),
    options: manifest.appOptions,
    limits: Object.keys(manifest.limits).sort(),
    versions: Object.keys(manifest.versions).sort(),
    exits: manifest.exitCodes,
    services: [...services].sort(),
    workers: workers.size,
    switching: [...services].filter((service) =>
      resources.some((row) => row[1] === service && Number(row[6]) > 0)
    ).sort(),
  };
}

type Shape = Awaited<ReturnType<typeof shapeOfRun>>;

/** Checks that a run on Docker left the same as the one on the local engine. */
export function equalShapes(docker: Shape, local: Shape, what: string): void {
  const { versions, ...rest } = docker;
  for (const [name, value] of Object.entries(rest)) {
    deepEqual(value, local[name as keyof Shape], `${name} of ${what}`);
  }
  // On the local engine, the apps share an environment with the packages of all of them.
  deepEqual(local.versions.filter((name) => versions.includes(name)), versions);
}
