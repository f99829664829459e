/**
 * The comparisons that a study makes, ready to be decided.
 *
 * @module
 */

import type { Comparison } from "./family.ts";
import type { PathRatio, RunSummary } from "./summary.ts";

/**
 * One comparison of throughput between two scenarios, from the rounds that both have.
 *
 * @param id Tells it from the others of its family.
 * @param base The id of the scenario that is compared with.
 * @param other The id of the scenario that is compared.
 * @param runs All runs of the study, failed ones among them.
 */
export function compareThroughput(
  id: string,
  base: string,
  other: string,
  runs: readonly RunSummary[],
): Comparison {
  const byRound = (scenarioId: string) =>
    new Map(
      runs.filter((run) => run.scenarioId === scenarioId).map((run) => [run.round, run]),
    );
  const [bases, others] = [byRound(base), byRound(other)];
  let rounds = 0;
  while (bases.has(rounds + 1) && others.has(rounds + 1)) rounds++;
  const counts = (run: RunSummary | undefined) => run?.status === "ok" && run.rps > 0;
  const pairs = [...bases.keys()].sort((a, b) => a - b)
    .filter((round) => counts(bases.get(round)) && counts(others.get(round)))
    .map((round) => ({ round, base: bases.get(round)!.rps, other: others.get(round)!.rps }));
  return { id, scenarios: [base, other], rounds, pairs };
}

/**
 * Pooled against direct, a comparison for each ratio; its id is that of the pooled scenario.
 *
 * @param ratios The pairs, as `pathRatios` finds them.
 * @param runs All runs of the study.
 */
export function pathComparisons(
  ratios: readonly Pick<PathRatio, "direct" | "pooled">[],
  runs: readonly RunSummary[],
): Comparison[] {
  return ratios.map(({ direct, pooled }) => compareThroughput(pooled, direct, pooled, runs));
}
