/** Studies made of recorded noise, decided by the rules that real ones are decided by. */

import { type Comparison, decideFamily, type StoppingRule } from "../stats/family.ts";
import type { Noise } from "./noise.ts";
import type { Random } from "./random.ts";

/** What many synthetic studies came to. */
export interface StudyCounts {
  studies: number;
  /** Studies in which equal arms were called different, once or more. */
  falseAlarms: number;
  /** Studies in which every interval contained its ratio. */
  covered: number;
  /** Studies in which the injected difference was found, with its sign. */
  found: number;
  /** Rounds of all comparisons, over all studies. */
  rounds: number;
  /** Comparisons of one study. */
  comparisons: number;
  /** Rounds of the last look that was planned, over all studies. */
  plannedRounds: number;
}

/**
 * Simulates studies: each comparison has two arms, each run of an arm its own draw of the noise.
 * The stopping rule asks for rounds as it would ask the machine.
 *
 * @param options.comparisons Comparisons of each study.
 * @param options.ratio The true ratio of one comparison, drawn anew for each study; 1 for none.
 */
export function simulateStudies(
  options: {
    studies: number;
    comparisons: number;
    rule: StoppingRule;
    ratio: number;
    noise: Noise;
    random: Random;
    signal?: AbortSignal;
  },
): StudyCounts {
  const { studies, comparisons, rule, ratio, noise, random, signal } = options;
  const counts: StudyCounts = {
    studies,
    falseAlarms: 0,
    covered: 0,
    found: 0,
    rounds: 0,
    comparisons,
    plannedRounds: 0,
  };
  for (let study = 0; study < studies; study++) {
    if (study % 100 === 0) signal?.throwIfAborted();
    const slow = ratio === 1 ? -1 : Math.floor(random.uniform() * comparisons);
    const truths = Array.from({ length: comparisons }, (_, i) => i === slow ? ratio : 1);
    const family = truths.map((truth, i) => newComparison(i, truth));
    let result = decideFamily(family.map(({ comparison }) => comparison), rule);
    while (result.next !== null) {
      const { rounds, scenarios } = result.next;
      const wanted = new Set(scenarios);
      for (const { comparison, truth } of family) {
        if (!comparison.scenarios.some((id) => wanted.has(id))) continue;
        extend(comparison, truth, rounds, noise, random);
      }
      result = decideFamily(family.map(({ comparison }) => comparison), rule);
    }
    const ends = result.comparisons;
    const wrong = ends.some(({ verdict }, i) =>
      i !== slow && (verdict === "higher" || verdict === "lower")
    );
    if (wrong) counts.falseAlarms++;
    const covered = ends.every(({ ratio }, i) =>
      ratio!.low! <= truths[i]! && truths[i]! <= ratio!.high!
    );
    if (covered) counts.covered++;
    if (slow >= 0 && ends[slow]!.verdict === (ratio < 1 ? "lower" : "higher")) counts.found++;
    counts.rounds += family.reduce((sum, { comparison }) => sum + comparison.rounds, 0);
    counts.plannedRounds += result.looks.at(-1)!;
  }
  return counts;
}

type Growing = Omit<Comparison, "pairs"> & { pairs: Comparison["pairs"][number][] };

function newComparison(i: number, truth: number): { comparison: Growing; truth: number } {
  const id = String(i);
  return { comparison: { id, scenarios: [`${id}a`, `${id}b`], rounds: 0, pairs: [] }, truth };
}

function extend(
  comparison: Growing,
  truth: number,
  rounds: number,
  { deviations }: Noise,
  random: Random,
): void {
  while (comparison.rounds < rounds) {
    const base = Math.exp(random.pick(deviations));
    const other = truth * Math.exp(random.pick(deviations));
    comparison.pairs.push({ round: ++comparison.rounds, base, other });
  }
}
