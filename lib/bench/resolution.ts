/**
 * `deno task bench resolution`: how small a difference is found, and are equal things called equal?
 * Pairs that stand side by side and take turns, and for as many minutes one run after the other.
 */

import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../stats/percentile.ts";
import { FRAMEWORKS, type Plan } from "../plan.ts";
import type { Study } from "../report/study.ts";
import { runStudy } from "../run_study.ts";
import { createScenario, PATHS, type Scenario } from "../scenario.ts";
import { detectableRatio } from "../stats/detectable.ts";
import type { ComparisonResult } from "../stats/family.ts";
import type { BenchOptions } from "./options.ts";
import { seededDraws } from "./random.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface ResolutionResult {
  /** Pairs of direct and pooled. */
  pairs: number;
  /** Minutes of blocks of each. */
  minutes_per_pair: number;
  /** The slowdown of a pair by itself that is found in 90% of studies, in percent. */
  median_detectable_pct: number;
  worst_detectable_pct: number;
  /** The same at the level of one of six pairs. */
  corrected_detectable_pct: number;
  /**
   * How much larger it is where as many minutes go to one run after the other: the median ratio of the
   * logarithms; null where that was not measured.
   */
  consecutive_over_alternating: number | null;
  /** The first two while another program takes a core for seconds at random; null where not measured. */
  disturbed_detectable_pct: number | null;
  disturbed_consecutive_over_alternating: number | null;
  /** Pairs of an arm with itself, fresh starts of each, and how many are called different. */
  aa_pairs: number;
  aa_false_alarms: number;
  /** True when the default, shorter set was run. */
  partial?: true;
}

const STARTS = 3;
const USERS = 20;
/** Blocks of each start; three make two minutes. */
const BLOCKS_S = 40;
/** Start and warm-ups of a group of two, as `lib/groups.ts` reckons them. */
const AROUND_BLOCKS_S = 18;
const LEVEL = 0.05;
const FAMILY = 6;

/**
 * A plan of pairs in turns, each for two minutes of blocks; or one run after the other, in windows that
 * make as many minutes.
 */
export function resolutionPlan(
  name: string,
  scenarios: Scenario[],
  seed: number,
  turns: boolean,
): Plan {
  const pairs = scenarios.length / 2;
  const rounds = turns ? STARTS : 5;
  return {
    name,
    purpose: "How small a difference is found?",
    functionalCheck: false,
    seed,
    rounds,
    scenarios,
    ...(turns
      ? {
        design: "alternating" as const,
        minutes: pairs * STARTS * (BLOCKS_S + AROUND_BLOCKS_S) / 60,
        warmUpS: 6,
        windowS: 1,
      }
      : { warmUpS: 6, windowS: STARTS * BLOCKS_S / 2 / rounds }),
  };
}

/** Runs a study, of which nothing is left but what it says. */
export async function study(
  plan: Plan,
  { engine, signal, onEvent }: BenchOptions,
): Promise<Study> {
  const name = `${plan.name}-${Deno.pid}`;
  const made = await runStudy({ plan, engine, signal, onEvent, study: name, start: true });
  rmSync(made.folder, { recursive: true, force: true });
  return made;
}

/** Takes a core for one to five seconds, again and again with pauses as long, while something is done. */
async function disturbed<T>(seed: number, work: () => Promise<T>): Promise<T> {
  const random = seededDraws(seed);
  const ended = new AbortController();
  const seconds = () => sleep(1000 + 4000 * random.uniform(), null, { signal: ended.signal });
  const disturb = async () => {
    while (!ended.signal.aborted) {
      const child = new Deno.Command("sh", {
        args: ["-c", "ulimit -t 30; while :; do :; done"],
        clearEnv: true,
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      await seconds().catch(() => {});
      child.kill("SIGKILL");
      await child.status;
      await seconds().catch(() => {});
    }
  };
  const disturbing = disturb();
  try {
    return await work();
  } finally {
    ended.abort();
    await disturbing;
  }
}

/** The slowdown that is found in 90% of studies, as a share; 1 where none is. */
function detectable({ n, deviation, df }: ComparisonResult, level: number): number {
  if (deviation === null) return 1;
  return 1 - (detectableRatio(n, deviation, level, df ?? undefined) ?? 0);
}

const percent = (share: number) => Number((100 * share).toFixed(2));

/** How much larger is what as many minutes find, one run after the other: see the result's fields. */
async function overAlternating(
  name: string,
  scenarios: Scenario[],
  found: readonly number[],
  options: BenchOptions,
): Promise<number> {
  const { family } = await study(resolutionPlan(name, scenarios, options.seed, false), options);
  const size = (share: number) => -Math.log(1 - Math.min(share, 1 - 1e-9));
  const factors = family.comparisons.map((result, i) =>
    size(detectable(result, LEVEL)) / size(found[i]!)
  );
  return Number(median(factors)!.toFixed(2));
}

/** One pair for two minutes; with `full` six pairs, the other design, and each arm with itself. */
export async function benchResolution(options: BenchOptions): Promise<ResolutionResult> {
  const { full, seed, log } = options;
  const frameworks = full ? FRAMEWORKS : FRAMEWORKS.slice(-1);
  const users = full ? [USERS, 100] : [USERS];
  const scenarios = users.flatMap((n) =>
    frameworks.flatMap((framework) =>
      PATHS.map((path) => createScenario({ framework, path, users: n }))
    )
  );
  const results: ComparisonResult[] = [];
  // One study for each level, as in one the lowest would get more of the time.
  for (const level of Map.groupBy(scenarios, (scenario) => scenario.users).values()) {
    const made = await study(resolutionPlan("resolution", level, seed, true), options);
    results.push(...made.family.comparisons);
  }
  const alone = results.map((result) => detectable(result, LEVEL));
  const corrected = results.map((result) => detectable(result, LEVEL / FAMILY));
  for (const [i, { id, ratio, blocks }] of results.entries()) {
    log(
      `${id}: ${JSON.stringify(ratio)}, ${blocks} blocks; a slowdown of ${
        percent(alone[i]!)
      }% would be ` +
        `found, of six pairs one of ${percent(corrected[i]!)}%`,
    );
  }
  let consecutive: number | null = null;
  let hidden: number | null = null;
  let worse: number | null = null;
  let copies: ComparisonResult[] = [];
  if (full) {
    consecutive = await overAlternating("consecutive", scenarios, alone, options);
    const few = scenarios.slice(0, 2);
    const shaken = await disturbed(
      seed,
      () => study(resolutionPlan("disturbed", few, seed, true), options),
    );
    const found = shaken.family.comparisons.map((result) => detectable(result, LEVEL));
    hidden = percent(Math.max(...found));
    worse = await disturbed(
      seed,
      () => overAlternating("disturbed-consecutive", few, found, options),
    );
    const same = scenarios.flatMap((scenario) => [scenario, { ...scenario, replica: 1 }])
      .filter(({ path }) => path === "direct");
    copies = (await study(resolutionPlan("aa", same, seed, true), options)).family.comparisons;
  }
  const isAlarm = ({ verdict }: ComparisonResult) => verdict === "higher" || verdict === "lower";
  return {
    pairs: results.length,
    minutes_per_pair: STARTS * BLOCKS_S / 60,
    median_detectable_pct: percent(median(alone)!),
    worst_detectable_pct: percent(Math.max(...alone)),
    corrected_detectable_pct: percent(Math.max(...corrected)),
    consecutive_over_alternating: consecutive,
    disturbed_detectable_pct: hidden,
    disturbed_consecutive_over_alternating: worse,
    aa_pairs: copies.length,
    aa_false_alarms: copies.filter(isAlarm).length,
    ...(full ? {} : { partial: true }),
  };
}
