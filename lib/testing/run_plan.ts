/** Runs of a plan without a study's conductor, for tests that look at each run. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import { groupRuns } from "../groups.ts";
import { type Plan, type PlannedRun, planRuns } from "../plan.ts";
import { loadStudy, type Study } from "../report/study.ts";
import { runGroup } from "../run_group.ts";
import { EventLog } from "../store/events.ts";
import type { Manifest } from "../store/manifest.ts";

/** Options of {@linkcode runPlan}. */
export interface RunPlanOptions {
  /** Called before each run, or each group of them. @default nothing */
  before?: (run: PlannedRun) => void;
  /** How long an app may take to answer, in seconds. @default as in a study */
  readyTimeoutS?: number;
}

/**
 * Makes each run of a plan once.
 *
 * @param folder The study's folder, which is made.
 * @returns The runs' manifests in their order, and the study.
 */
export async function runPlan(
  plan: Plan,
  engine: Engine,
  folder: string,
  { before, readyTimeoutS }: RunPlanOptions = {},
): Promise<[Manifest[], Study]> {
  mkdirSync(folder);
  writeFileSync(join(folder, "plan.json"), JSON.stringify(plan));
  const manifests: Manifest[] = [];
  for (const group of groupRuns(plan, planRuns(plan))) {
    before?.(group[0]!);
    manifests.push(
      ...await runGroup(group, {
        study: plan.name,
        folder,
        plan,
        engine,
        events: new EventLog(join(folder, "events.jsonl")),
        machine: { gitCommit: null, host: { cpus: 1, cpuModel: "", memoryMiB: 1, kernel: "" } },
        signal: new AbortController().signal,
        readyTimeoutS,
      }),
    );
  }
  return [manifests, await loadStudy(folder)];
}
