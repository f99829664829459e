/**
 * `deno task bench statistics`: do the intervals and verdicts hold, on noise of real runs?
 *
 * @module
 */

import { existsSync } from "node:fs";
import { readPairedRuns } from "../frames/recorded_runs.ts";
import { namedPlan } from "../plan.ts";
import { binomialTail } from "../stats/binomial.ts";
import { EXTENSION, stoppingRule } from "../stats/family.ts";
import {
  pairedBootstrap,
  pairedNormal,
  pairedT,
  type Rounds,
  unpairedWelch,
} from "./interval_methods.ts";
import { type Noise, readNoise } from "./noise.ts";
import type { BenchOptions } from "./options.ts";
import { type Random, seededDraws } from "./random.ts";
import { countFalseAlarms, RECORDED_PAIRS, recordPairs } from "./real_pairs.ts";
import { countComparisons, simulateStudies } from "./synthetic_studies.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface StatisticsResult {
  /** Half of them without any difference, half with one. */
  synthetic_studies: number;
  /** Share of studies without a difference in which one was seen. */
  false_positive_rate: number;
  /** Share of studies with a 20 % slow-down in one comparison in which it was found. */
  power: number;
  /** Share of all studies in which every interval contained its ratio. */
  coverage: number;
  /** Recorded A/A pairs; null where there are none. */
  real_pairs: number | null;
  /** Those called different, each on its own at 5 %. */
  real_false_positives: number | null;
  /** True when the recorded pairs were read and none made. */
  partial?: true;
}

/** Studies of each kind. */
const STUDIES = 10_000;

/**
 * Simulates studies of the `reference` plan, compares methods for a single interval, and counts
 * false alarms among real A/A pairs; `full` records such pairs first.
 */
export async function benchStatistics(options: BenchOptions): Promise<StatisticsResult> {
  const { full, seed, signal, log } = options;
  const noise = await readNoise();
  log(`Noise of ${noise.runs} recorded runs, CV ${percent(noise.cv)}`);
  compareMethods(noise, seededDraws(seed), log);

  const plan = namedPlan("reference");
  const rule = stoppingRule(plan.rounds, EXTENSION * plan.rounds);
  const comparisons = countComparisons(plan);
  const random = seededDraws(seed);
  const common = { studies: STUDIES, comparisons, rule, noise, random, signal };
  const equal = simulateStudies({ ...common, ratio: 1 });
  const slower = simulateStudies({ ...common, ratio: 0.8 });
  for (const counts of [equal, slower]) {
    const share = (count: number) => `${percent(count / counts.studies)}${error(count)}`;
    const error = (count: number) => {
      const p = count / counts.studies;
      return ` ± ${percent(1.96 * Math.sqrt(p * (1 - p) / counts.studies))}`;
    };
    log(
      `${counts.studies} studies of ${comparisons} comparisons, ${
        counts === equal ? "no difference" : "one 20 % slower"
      }: false alarms in ${share(counts.falseAlarms)}, all intervals right in ${
        share(counts.covered)
      }${counts === equal ? "" : `, found in ${share(counts.found)}`}; ${
        (counts.rounds / counts.studies / comparisons).toFixed(1)
      } rounds each, ${(counts.plannedRounds / counts.studies).toFixed(1)} planned at most`,
    );
  }

  if (full) await recordPairs(options);
  const real = existsSync(RECORDED_PAIRS) ? await readPairedRuns(RECORDED_PAIRS) : null;
  const { pairs, falseAlarms } = real === null
    ? { pairs: null, falseAlarms: null }
    : countFalseAlarms(real);
  if (pairs !== null) {
    const p = binomialTail(falseAlarms, pairs, 0.05);
    log(
      `${falseAlarms} of ${pairs} real A/A pairs called different: ${
        p < 0.05 ? "more than 5 %" : "not above 5 %"
      } by the exact test (p = ${p.toFixed(3)})`,
    );
  }
  return {
    synthetic_studies: equal.studies + slower.studies,
    false_positive_rate: equal.falseAlarms / equal.studies,
    power: slower.found / slower.studies,
    coverage: (equal.covered + slower.covered) / (equal.studies + slower.studies),
    real_pairs: pairs,
    real_false_positives: falseAlarms,
    ...(full ? {} : { partial: true }),
  };
}

/** Coverage of single 95 % intervals at few rounds, by method and by what is added to the noise. */
function compareMethods(noise: Noise, random: Random, log: (line: string) => void): void {
  const methods = { pairedT, unpairedWelch, pairedNormal, pairedBootstrap };
  const kinds = ["as recorded", "with outliers", "with drift"] as const;
  const repeats = 4000;
  log(`Coverage of one 95 % interval at 3, 5 and 8 rounds (± ${percent(0.0068)}):`);
  for (const kind of kinds) {
    const rows = Object.entries(methods).map(([name, method]) => {
      const shares = [3, 5, 8].map((rounds) => {
        let covered = 0;
        for (let i = 0; i < repeats; i++) {
          const { low, high } = method(drawRounds(kind, rounds, noise, random), random);
          if (low <= 0 && high >= 0) covered++;
        }
        return percent(covered / repeats);
      });
      return `${name} ${shares.join(" ")}`;
    });
    log(`  noise ${kind}: ${rows.join("; ")}`);
  }
}

/** Two equal arms. Outliers: one run in twenty loses 40 %. Drift: rounds differ by CV 20 %. */
function drawRounds(
  kind: "as recorded" | "with outliers" | "with drift",
  rounds: number,
  { deviations, cv }: Noise,
  random: Random,
): Rounds {
  const run = () =>
    random.pick(deviations) +
    (kind === "with outliers" && random.uniform() < 0.05 ? Math.log(0.6) : 0);
  const base: number[] = [];
  const other: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const shared = kind === "with drift" ? random.pick(deviations) * 0.2 / cv : 0;
    base.push(shared + run());
    other.push(shared + run());
  }
  return { base, other };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
