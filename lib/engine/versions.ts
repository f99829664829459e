/**
 * Which packages' versions a manifest carries: those that the apps and Locust name themselves.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FRAMEWORKS } from "../scenario.ts";
import { ROOT } from "../store/layout.ts";

/** Package names compare without case and with every separator alike (PEP 503). */
export function normaliseName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}

/** The packages that the apps and Locust ask for by name, normalised. */
export function directDependencies(): string[] {
  return [...FRAMEWORKS.map((name) => `apps/${name}_app`), "locust"].flatMap((part) =>
    [...readFileSync(join(ROOT, part, "requirements.in"), "utf8").matchAll(/^([\w.-]+)/gm)]
      .map((match) => normaliseName(match[1]!))
  );
}
