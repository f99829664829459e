/**
 * The files that a run is made of, so that a study is not continued with others.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { readApp, readLocustfile } from "../apps/app.ts";
import { legsOf, type Scenario } from "../scenario.ts";
import { ROOT } from "../store/layout.ts";
import type { RunInputs } from "../store/manifest.ts";
import { type ContextFile, readContext, readFolder } from "./build_context.ts";

/** Where a run's services come from: an engine is one. */
export interface InputSource {
  /** `local` or `docker`. */
  name: string;
  /** The checkout whose `apps/` and `pgbouncer/` are run. @default this one */
  root?: string;
}

/** Only images are made with these. */
const IMAGE_FILES = /(^|\/)(Dockerfile|entrypoint\.sh|[^/]*\.dockerignore)$/;

/** Files and folders by the part of a run that they make up, as seen from the checkout. */
function partsOf(scenario: Scenario, docker: boolean): Record<string, string[]> {
  const { folder, routesFile, schema, seed, settings } = readApp(scenario.framework);
  const app = relative(ROOT, folder);
  // What lies in the app's folder is in its part already; what it shares with others is in theirs.
  const shared = (files: (string | undefined)[]) =>
    files.filter((file) => file !== undefined).map((file) => relative(ROOT, resolve(folder, file)))
      .filter((file) => !file.startsWith(`${app}/`));
  const routes = shared([routesFile]);
  const timings = settings.timings === undefined ? [] : ["apps/timings"];
  const entrypoint = docker ? ["apps/entrypoint.sh"] : [];
  const parts: Record<string, string[]> = {
    [app]: [app],
    ...(routes.length > 0 ? { apps: [...routes, ...timings, ...entrypoint] } : { timings }),
    locust: ["locust"],
    data: shared([schema, seed]),
  };
  if (scenario.path === "pooled") parts.pgbouncer = ["pgbouncer"];
  if (legsOf(scenario).some(({ rttMs }) => rttMs > 0)) parts.network = ["lib/engine/network.py"];
  if (docker) {
    if (parts.data!.length > 0) parts.data!.push("data/init.sh", "data/entrypoint.sh");
    parts.compose = ["compose/compose.yml", "compose/compose.pooled.yml", "compose/offline"];
  }
  return parts;
}

/** The files of a path; of an app's folder, without what its .gitignore names. */
function readInputs(place: string, path: string): ContextFile[] {
  if (!existsSync(join(place, path, "app.json"))) return readContext(place, [path]);
  return readFolder(join(place, path)).map((file) => ({ ...file, name: join(path, file.name) }));
}

/**
 * Hashes the files that a run of a scenario is made of, without what git ignores.
 *
 * @param scenario The scenario.
 * @param source Where its services come from.
 * @returns SHA-256 by path in the checkout, grouped by what runs share: all runs with a part have
 * the same files in it, or they are runs of different inputs.
 */
export function hashInputs(
  scenario: Scenario,
  { name, root = ROOT }: InputSource,
): RunInputs["files"] {
  const docker = name === "docker";
  const hash = (content: Uint8Array | string) => createHash("sha256").update(content).digest("hex");
  const parts = Object.fromEntries(
    Object.entries(partsOf(scenario, docker)).filter(([, names]) => names.length > 0).map((
      [part, names],
    ) => {
      const place = /^(apps|pgbouncer)/.test(part) ? root : ROOT;
      const present = names.filter((path) => existsSync(join(place, path)));
      const files = present.flatMap((path) => readInputs(place, path)).filter((file) =>
        docker || !IMAGE_FILES.test(file.name)
      );
      return [part, Object.fromEntries(files.map((file) => [file.name, hash(file.content)]))];
    }),
  );
  const app = readApp(scenario.framework);
  const own = readLocustfile(app);
  if (own === undefined) return parts;
  const file = relative(ROOT, resolve(app.folder, app.locustfile!));
  return { ...parts, [`load of ${app.name}`]: { [file]: hash(own) } };
}
