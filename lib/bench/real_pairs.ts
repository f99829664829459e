/**
 * Real A/A pairs: one scenario under two names, to see how often equal things are called different.
 */

import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { PAIRED_RUN_COLUMNS, type PairedRun } from "../frames/recorded_runs.ts";
import { namedPlan, type Plan } from "../plan.ts";
import { runStudy } from "../run_study.ts";
import { decideFamily, stoppingRule } from "../stats/family.ts";
import type { RunSummary } from "../stats/summary.ts";
import { writeAtomic } from "../store/files.ts";
import { ROOT } from "../store/layout.ts";
import type { BenchOptions } from "./options.ts";
import { seededDraws } from "./random.ts";

/** The recorded pairs. */
export const RECORDED_PAIRS: string = join(ROOT, "data", "published", "aa", "pairs.csv");

/** Rounds of one pair: those of the `reference` plan. */
const PAIR_ROUNDS = 6;

/** Pairs that `--full` records of each arm: 24 of six arms. */
const PAIRS_PER_ARM = 4;

/**
 * The runs of an A/A study as pairs. Of each two rounds that follow each other, one run is named
 * `a` and one `b` at random; six such make a pair. A round with a failed run is left out.
 *
 * @param runs All runs of one study.
 * @param seed Of the lot.
 */
export function assignNames(runs: readonly RunSummary[], seed: number): PairedRun[] {
  const random = seededDraws(seed);
  const rows: PairedRun[] = [];
  let pairs = 0;
  for (const id of new Set(runs.map((run) => run.scenarioId))) {
    const own = new Map(
      runs.filter((run) => run.scenarioId === id && run.status === "ok" && run.rps > 0)
        .map((run) => [run.round, run.rps]),
    );
    const last = Math.max(0, ...own.keys());
    for (let start = 0; start + 2 * PAIR_ROUNDS <= last; start += 2 * PAIR_ROUNDS) {
      pairs++;
      for (let round = 1; round <= PAIR_ROUNDS; round++) {
        const two = [own.get(start + 2 * round - 1), own.get(start + 2 * round)];
        const [a, b] = random.uniform() < 0.5 ? two : two.toReversed();
        if (a === undefined || b === undefined) continue;
        for (const [name, rps] of [["a", a], ["b", b]] as const) {
          rows.push({ pair: pairs, scenario_id: id, round, name, rps: Number(rps.toFixed(3)) });
        }
      }
    }
  }
  return rows;
}

/** The text of a file of pairs. */
export function pairsCsv(rows: readonly PairedRun[]): string {
  const lines = rows.map((row) => PAIRED_RUN_COLUMNS.map((column) => row[column]).join(","));
  return [PAIRED_RUN_COLUMNS.join(","), ...lines].join("\n") + "\n";
}

/** How many pairs there are, and how many are called different, each on its own. */
export function countFalseAlarms(
  rows: readonly PairedRun[],
): { pairs: number; falseAlarms: number } {
  const pairs = [...new Set(rows.map((row) => row.pair))];
  const falseAlarms = pairs.filter((pair) => {
    const own = rows.filter((row) => row.pair === pair);
    const rps = (name: string) =>
      new Map(own.filter((row) => row.name === name).map((row) => [row.round, row.rps]));
    const [a, b] = [rps("a"), rps("b")];
    const comparison = {
      id: String(pair),
      scenarios: [],
      rounds: PAIR_ROUNDS,
      pairs: [...a].map(([round, base]) => ({ round, base, other: b.get(round)! })),
    };
    const { verdict } = decideFamily([comparison], stoppingRule(PAIR_ROUNDS)).comparisons[0]!;
    return verdict === "higher" || verdict === "lower";
  });
  return { pairs: pairs.length, falseAlarms: falseAlarms.length };
}

/** The plan of the A/A study: the six arms, short windows. */
export function pairsPlan(seed: number): Plan {
  const plan = namedPlan("smoke");
  return {
    ...plan,
    name: "aa",
    purpose: "A/A pairs: how often are equal things called different?",
    functionalCheck: false,
    rounds: 2 * PAIR_ROUNDS * PAIRS_PER_ARM,
    warmUpS: 2,
    windowS: 3,
    seed,
    scenarios: plan.scenarios.map((scenario) => ({ ...scenario, users: 100, spawnRate: 100 })),
  };
}

/**
 * Runs an A/A study with the real engine and writes its pairs to a file.
 *
 * @param plan The study. @default the six arms, 24 pairs
 * @param file Where the pairs go. @default {RECORDED_PAIRS}
 */
export async function recordPairs(
  { seed, signal, log, onEvent }: BenchOptions,
  plan: Plan = pairsPlan(seed),
  file: string = RECORDED_PAIRS,
): Promise<void> {
  const study = await runStudy({ plan, signal, onEvent, study: `aa-${Deno.pid}`, start: true });
  try {
    for (const { arm, cause } of study.scenarios.filter((scenario) => scenario.failedRuns > 0)) {
      log(`Failed runs of ${arm}: ${cause}`);
    }
    mkdirSync(dirname(file), { recursive: true });
    writeAtomic(file, pairsCsv(assignNames(study.runs, seed)));
  } finally {
    rmSync(study.folder, { recursive: true, force: true });
  }
}
