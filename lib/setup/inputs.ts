/**
 * The files that a run is made of, so that a study is not continued with others.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { legsOf, type Scenario } from "../scenario.ts";
import { ROOT } from "../store/layout.ts";
import type { RunInputs } from "../store/manifest.ts";
import { readContext } from "./build_context.ts";

/** Where a run's services come from: an engine is one. */
export interface InputSource {
  /** `local` or `docker`. */
  name: string;
  /** The checkout whose `apps/` and `pgbouncer/` are run. @default this one */
  root?: string;
}

/** Only images are made with these. */
const IMAGE_FILES = /(^|\/)(Dockerfile|entrypoint\.sh|[^/]*\.dockerignore)$/;

/** Files and folders by the part of a run that they make up. */
function partsOf(scenario: Scenario, docker: boolean): Record<string, string[]> {
  const app = `apps/${scenario.framework}_app`;
  const parts: Record<string, string[]> = {
    [app]: [app],
    apps: ["apps/contract.json", "apps/timings", ...(docker ? ["apps/entrypoint.sh"] : [])],
    locust: ["locust"],
    data: ["data/schema.sql", "data/seed.sql"],
  };
  if (scenario.path === "pooled") parts.pgbouncer = ["pgbouncer"];
  if (legsOf(scenario).some(({ rttMs }) => rttMs > 0)) parts.network = ["lib/engine/network.py"];
  if (docker) {
    parts.data!.push("data/init.sh", "data/entrypoint.sh");
    parts.compose = ["compose/compose.yml", "compose/compose.pooled.yml", "compose/offline"];
  }
  return parts;
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
  return Object.fromEntries(
    Object.entries(partsOf(scenario, docker)).map(([part, names]) => {
      const place = /^(apps|pgbouncer)/.test(part) ? root : ROOT;
      const present = names.filter((path) => existsSync(join(place, path)));
      const files = readContext(place, present).filter((file) =>
        docker || !IMAGE_FILES.test(file.name)
      );
      const hash = (content: Uint8Array | string) =>
        createHash("sha256").update(content).digest("hex");
      return [part, Object.fromEntries(files.map((file) => [file.name, hash(file.content)]))];
    }),
  );
}
