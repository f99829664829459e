/** `deno task bench statistics`: do the intervals and verdicts hold, on noise of real runs? */

import { existsSync } from "node:fs";
import { readPairedRuns, readRecordedBlocks } from "../frames/recorded_runs.ts";
import { namedPlan } from "../plan.ts";
import { binomialTail } from "../stats/probability.ts";
import { pairScenarios } from "../stats/comparisons.ts";
import { stoppingRule } from "../stats/family.ts";
import {
  pairedBootstrap,
  pairedNormal,
  pairedT,
  type Rounds,
  unpairedWelch,
} from "./interval_methods.ts";
import { type Noise, readNoise, withOutliers } from "./noise.ts";
import type { BenchOptions } from "./options.ts";
import { type Random, seededDraws } from "./random.ts";
import { countFalseAlarms, RECORDED_PAIRS, recordPairs } from "./real_pairs.ts";
import {
  chiSquareTail,
  drawStudies,
  recordBlockPairs,
  RECORDED_BLOCKS,
  squaredDeviations,
  startsOf,
} from "./recorded_blocks.ts";
import { simulateStudies, type StudyCounts } from "./synthetic_studies.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface StatisticsResult {
  /** Half of them without any difference, half with one. */
  synthetic_studies: number;
  /** Share of studies without a difference in which one was seen. */
  false_positive_rate: number;
  /** Share of studies with a 20% slowdown in one comparison in which it was found. */
  power: number;
  /** Share of all studies in which every interval contained its ratio. */
  coverage: number;
  /** Recorded A/A pairs; null where there are none. */
  real_pairs: number | null;
  /** Those called different, each on its own at 5%. */
  real_false_positives: number | null;
  /** Starts of pairs that took turns, recorded; what follows is of them, null where there are none. */
  recorded_starts: number | null;
  /** The first three of studies that are drawn of these starts; of one interval, and at fixed n. */
  drawn_false_positive_rate: number | null;
  drawn_coverage: number | null;
  drawn_interval_coverage: number | null;
  /** Share of those with one pair slower by 5%, in twice as many starts, in which it was found. */
  drawn_power: number | null;
  /** Of the real studies that the starts make, each used once: is the sum of z² a χ²? */
  z_squares: number | null;
  z_squares_p: number | null;
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
  const rule = stoppingRule(plan.rounds, plan.maxRounds);
  const comparisons = pairScenarios(plan.scenarios).length;
  log(
    `Studies of the reference plan: ${comparisons} comparisons, ${rule.rounds} rounds, up to ${rule.maxRounds} of what is undecided`,
  );
  const random = seededDraws(seed);
  const simulate = (studies: number, ratio: number, drawn: Noise) => {
    const counts = simulateStudies({
      studies,
      comparisons,
      rule,
      ratio,
      random,
      signal,
      noise: drawn,
    });
    log(`  noise of CV ${percent(drawn.cv)}, ${describe(counts, ratio)}`);
    return counts;
  };
  const equal = simulate(STUDIES, 1, noise);
  const slower = simulate(STUDIES, 0.8, noise);
  const outliers = withOutliers(noise);
  simulate(STUDIES / 5, 1, outliers);
  simulate(STUDIES / 5, 0.8, outliers);

  if (full) {
    await recordPairs(options);
    await recordBlockPairs(options);
  }
  const real = existsSync(RECORDED_PAIRS) ? await readPairedRuns(RECORDED_PAIRS) : null;
  const { pairs, falseAlarms } = real === null
    ? { pairs: null, falseAlarms: null }
    : countFalseAlarms(real);
  if (pairs !== null) {
    const p = binomialTail(falseAlarms, pairs, 0.05);
    log(
      `${falseAlarms} of ${pairs} real A/A pairs called different: ${
        p < 0.05 ? "more than 5%" : "not above 5%"
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
    ...await studyBlocks(options),
    ...(full ? {} : { partial: true }),
  };
}

/** What studies come to that are made of recorded blocks. */
async function studyBlocks({ seed, signal, log }: BenchOptions) {
  const rows = existsSync(RECORDED_BLOCKS) ? await readRecordedBlocks(RECORDED_BLOCKS) : [];
  if (rows.length === 0) {
    return {
      recorded_starts: null,
      drawn_false_positive_rate: null,
      drawn_coverage: null,
      drawn_interval_coverage: null,
      drawn_power: null,
      z_squares: null,
      z_squares_p: null,
    };
  }
  const starts = startsOf(rows);
  const drawn = drawStudies(starts, STUDIES, seededDraws(seed), signal);
  const squares = squaredDeviations(starts);
  const sum = squares.reduce((total, square) => total + square, 0);
  const p = chiSquareTail(sum, squares.length);
  log(
    `${squares.length} real pairs in turns of three starts: the sum of z² is ${sum.toFixed(1)} ` +
      `(p = ${p.toFixed(3)})`,
  );
  return {
    recorded_starts: starts.reduce((total, own) => total + own.length, 0),
    drawn_false_positive_rate: drawn.falseAlarms,
    drawn_coverage: drawn.covered,
    drawn_interval_coverage: drawn.oneCovers,
    drawn_power: drawn.power,
    z_squares: squares.length,
    z_squares_p: squares.length === 0 ? null : p,
  };
}

/** What studies came to, with the error of the simulation. */
function describe(counts: StudyCounts, ratio: number): string {
  const { studies, falseAlarms, covered, found, rounds, comparisons, plannedRounds } = counts;
  const share = (count: number) => {
    const p = count / studies;
    return `${percent(p)} ± ${percent(1.96 * Math.sqrt(p * (1 - p) / studies))}`;
  };
  return [
    ratio === 1 ? "no difference" : `one ${percent(1 - ratio)} slower, found in ${share(found)}`,
    `false alarms in ${share(falseAlarms)} of ${studies} studies`,
    `all intervals right in ${share(covered)}`,
    `${(rounds / studies / comparisons).toFixed(1)} rounds each of at most ${
      (plannedRounds / studies).toFixed(1)
    } planned from the noise`,
  ].join("; ");
}

/** Coverage of single 95% intervals at few rounds, by method and by what is added to the noise. */
function compareMethods(noise: Noise, random: Random, log: (line: string) => void): void {
  const methods = { pairedT, unpairedWelch, pairedNormal, pairedBootstrap };
  const kinds = ["as recorded", "with outliers", "with drift"] as const;
  const repeats = 4000;
  log(`Coverage of one 95% interval at 3, 5 and 8 rounds (± ${percent(0.0068)}):`);
  for (const kind of kinds) {
    const rows = Object.entries(methods).map(([name, method]) => {
      const shares = [3, 5, 8].map((rounds) => {
        let covered = 0;
        const drawn = kind === "with outliers" ? withOutliers(noise) : noise;
        for (let i = 0; i < repeats; i++) {
          const { low, high } = method(drawRounds(kind, rounds, drawn, random), random);
          if (low <= 0 && high >= 0) covered++;
        }
        return percent(covered / repeats);
      });
      return `${name} ${shares.join(" ")}`;
    });
    log(`  noise ${kind}: ${rows.join("; ")}`);
  }
}

/** Two equal arms; with drift, rounds differ by a CV of 20%. */
function drawRounds(
  kind: "as recorded" | "with outliers" | "with drift",
  rounds: number,
  { deviations, cv }: Noise,
  random: Random,
): Rounds {
  const run = () => random.pick(deviations);
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
  return `${(100 * share).toFixed(1)}%`;
}
