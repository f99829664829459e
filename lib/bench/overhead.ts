/** `deno task bench overhead`: what a run costs beside its warm-up and window. */

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readApp } from "../apps/app.ts";
import type { Engine } from "../engine/engine.ts";
import { FRAMEWORKS, namedPlan } from "../plan.ts";
import { openEngine, runStudy } from "../run_study.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import { median } from "../stats/percentile.ts";
import { verifyApp } from "../verify/verify.ts";
import type { BenchOptions } from "./options.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface OverheadResult {
  engine: string;
  /** Runs measured. */
  runs: number;
  /** Wall clock of a run less warm-up and window, in seconds. */
  median_s: number;
  max_s: number;
  /** By how much two arms that start side by side take longer until they are verified than one. */
  second_arm_s: number;
  /** True when the default, shorter set was run. */
  partial?: true;
}

/**
 * Runs all six arms, fewer rounds unless `full`, and measures each run from its first step to its
 * manifest. The first run is left out: it may have to seed PostgreSQL, once per machine.
 */
export async function benchOverhead(options: BenchOptions): Promise<OverheadResult> {
  const { full, engine, seed, signal, log, onEvent } = options;
  const plan = { ...namedPlan("smoke"), name: "overhead", rounds: full ? 8 : 3, windowS: 2, seed };
  const study = await runStudy({
    plan,
    engine,
    signal,
    onEvent,
    study: `overhead-${Deno.pid}`,
    start: true,
  });
  try {
    const [, ...rest] = study.manifests.toSorted((a, b) => a.order - b.order);
    for (const failed of rest.filter((manifest) => manifest.status === "failed")) {
      log(`Failed run: ${failed.cause}`);
    }
    const overheads = rest.map((manifest) => manifest.overheadS);
    return {
      engine: rest[0]!.engine,
      runs: overheads.length,
      median_s: round(median(overheads)!),
      max_s: round(Math.max(...overheads)),
      second_arm_s: round(await measureSecondArm(study.folder, options, full ? 20 : 5)),
      ...(full ? {} : { partial: true }),
    };
  } finally {
    rmSync(study.folder, { recursive: true, force: true });
  }
}

/** Starts one arm, and two side by side, in turns; the median difference in seconds. */
async function measureSecondArm(
  folder: string,
  { engine: kind, signal, log }: BenchOptions,
  pairs: number,
): Promise<number> {
  const apps = FRAMEWORKS.map((name) => readApp(name));
  await using engine = await openEngine("overhead", [], { engine: kind }, log, signal, apps);
  const scenarios = [FRAMEWORKS[0]!, FRAMEWORKS.at(-1)!].map((framework) =>
    createScenario({ framework, path: "pooled", users: 1 })
  );
  const differences: number[] = [];
  for (let i = 0; i < pairs; i++) {
    const one = await timeStart(
      engine,
      join(folder, `one-${i}`),
      scenarios.slice(i % 2, i % 2 + 1),
    );
    const two = await timeStart(engine, join(folder, `two-${i}`), scenarios);
    differences.push(two - one);
  }
  return median(differences)!;
}

/** Seconds until all of these stand and are verified. */
async function timeStart(
  engine: Engine,
  folder: string,
  scenarios: readonly Scenario[],
): Promise<number> {
  const begun = performance.now();
  await using started = new AsyncDisposableStack();
  await Promise.all(scenarios.map(async (scenario, i) => {
    const own = join(folder, String(i));
    mkdirSync(join(own, "logs"), { recursive: true });
    const run = { id: scenarioId(scenario), scenario, round: 1, order: i };
    const services = await engine.startRun(run, own);
    started.use(services);
    await verifyApp(services, scenario);
  }));
  return (performance.now() - begun) / 1000;
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
