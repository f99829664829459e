/** The services of one run, without a study around them. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import type { RunServices } from "../engine/run_services.ts";
import type { PlannedRun } from "../plan.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";

/** A scenario as the first run of a plan. */
export function oneRun(scenario: Scenario, order = 1): PlannedRun {
  return { id: scenarioId(scenario), scenario, round: 1, order };
}

/** Where a run is started that is not the first, or not in a folder of its own below the system's. */
interface Place {
  /** @default a new one */
  folder?: string;
  /** The arm's place. @default 0 */
  place?: number;
}

/**
 * Starts what a run consists of.
 *
 * @returns Its services; who is given them disposes of them.
 */
export function startOne(
  engine: Engine,
  scenario: Scenario,
  { folder = Deno.makeTempDirSync({ prefix: "poolscope-run-" }), place }: Place = {},
): Promise<RunServices> {
  mkdirSync(join(folder, "logs"), { recursive: true });
  return engine.startRun(oneRun(scenario), folder, place);
}

/** One worker and few threads: at low load, who answers does not depend on chance. */
export function lowScenario(
  settings: Partial<Scenario> & Pick<Scenario, "framework" | "path">,
): Scenario {
  const threads = settings.framework === "fastapi" ? 1 : 4;
  const low = { users: 1, workers: 1, poolSize: 4, dbCpus: null, dbMemoryMiB: null };
  return createScenario({ ...low, threads, ...settings });
}
