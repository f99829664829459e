/**
 * `deno task bench overhead`: what a run costs beside its warm-up and window.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { namedPlan } from "../plan.ts";
import { runStudy } from "../run_study.ts";
import { median } from "../stats/percentile.ts";
import type { BenchOptions } from "./options.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface OverheadResult {
  engine: string;
  /** Runs measured. */
  runs: number;
  /** Wall clock of a run less warm-up and window, in seconds. */
  median_s: number;
  max_s: number;
  /** True when the default, shorter set was run. */
  partial?: true;
}

/**
 * Runs all six arms, fewer rounds unless `full`, and measures each run from its first step to its
 * manifest. The first run is left out: it starts PostgreSQL, once per study.
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
      ...(full ? {} : { partial: true }),
    };
  } finally {
    rmSync(study.folder, { recursive: true, force: true });
  }
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
