/** The files that a run is made of, so that a study is not continued with others. */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { readApp, readLocustfile } from "../apps/app.ts";
import { legsOf, type Scenario } from "../scenario.ts";
import { ROOT } from "../store/layout.ts";
import type { RunInputs } from "../store/manifest.ts";
import { type ContextFile, readContext, readFolder } from "./build_context.ts";

/** Only images are made with these. */
const IMAGE_FILES = /(^|\/)(Dockerfile|entrypoint\.sh|[^/]*\.dockerignore)$/;

/** Files and folders by the part of a run that they make up, as seen from the checkout. */
function partsOf(scenario: Scenario, docker: boolean): Record<string, string[]> {
  const { folder, routesFile, schema, seed, settings } = readApp(scenario.framework);
  const app = relative(ROOT, folder);
  // Files in the app's folder are in its part already.
  const shared = (...files: (string | undefined)[]) =>
    files.filter((file) => file !== undefined).map((file) => relative(ROOT, resolve(folder, file)))
      .filter((file) => !file.startsWith(`${app}/`));
  const routes = shared(routesFile);
  const data = shared(schema, seed);
  const timings = settings.timings === undefined ? [] : ["apps/timings"];
  const isFar = legsOf(scenario).some(({ rttMs }) => rttMs > 0);
  const where = (condition: boolean, ...files: string[]) => condition ? files : [];
  return {
    [app]: [app],
    apps: where(routes.length > 0, ...routes, ...timings, ...where(docker, "apps/entrypoint.sh")),
    timings: where(routes.length === 0, ...timings),
    locust: ["locust"],
    data: [...data, ...where(docker && data.length > 0, "data/init.sh", "data/entrypoint.sh")],
    pgbouncer: where(scenario.path === "pooled", "pgbouncer"),
    network: where(isFar, "lib/services/network.py"),
    compose: where(docker, "compose/compose.yml", "compose/compose.pooled.yml", "compose/offline"),
  };
}

/** The files of a path; of an app's folder, without what its .gitignore names. */
function readInputs(place: string, path: string): ContextFile[] {
  if (!existsSync(join(place, path, "app.json"))) return readContext(place, [path]);
  return readFolder(join(place, path)).map((file) => ({ ...file, name: join(path, file.name) }));
}

/**
 * Hashes the files that a run of a scenario is made of, without what git ignores.
 *
 * @param source The engine's name, and the checkout whose `apps/` and `pgbouncer/` are run.
 * @returns SHA-256 by path in the checkout, grouped by what runs share.
 */
export function hashInputs(
  scenario: Scenario,
  { name, root = ROOT }: { name: string; root?: string },
): RunInputs["files"] {
  const docker = name === "docker";
  const hash = (content: Uint8Array | string) => createHash("sha256").update(content).digest("hex");
  const parts: RunInputs["files"] = {};
  for (const [part, names] of Object.entries(partsOf(scenario, docker))) {
    if (names.length === 0) continue;
    const place = /^(apps|pgbouncer)/.test(part) ? root : ROOT;
    const files = names.filter((path) => existsSync(join(place, path)))
      .flatMap((path) => readInputs(place, path))
      .filter((file) => docker || !IMAGE_FILES.test(file.name));
    parts[part] = Object.fromEntries(files.map((file) => [file.name, hash(file.content)]));
  }
  const app = readApp(scenario.framework);
  const own = readLocustfile(app);
  if (own !== undefined) {
    const file = relative(ROOT, resolve(app.folder, app.locustfile!));
    parts[`load of ${app.name}`] = { [file]: hash(own) };
  }
  return parts;
}
