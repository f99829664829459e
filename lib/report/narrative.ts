/**
 * Sentences that read a study, with every number taken from it.
 *
 * @module
 */

import {
  latencyComparisons,
  pathClaim,
  type Percentile,
  percentileOf,
  rangeClaim,
  throughputComparisons,
} from "../figures/claims.ts";
import { describeLoop, failureSentences, latencyName, tooFewRequests } from "../figures/options.ts";
import { armLabels } from "../scenario.ts";
import { isLowerBound, shortCause } from "../stats/summarise.ts";
import type { RunSummary, ScenarioSummary } from "../stats/summary.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { atLevels, formatList } from "../wording/format.ts";
import { narrativeWords as say } from "../wording/study.ts";
import { checkReading } from "./check.ts";
import { Markdown } from "./display.ts";
import type { Study } from "./study.ts";

/** More faults of files than this are counted, not listed. */
const MAX_WARNINGS = 5;

/** The scenario with the largest value. */
function extreme(
  scenarios: readonly ScenarioSummary[],
  value: (scenario: ScenarioSummary) => number | undefined,
): ScenarioSummary | undefined {
  // A copy is there for its comparison alone.
  return scenarios.filter((one) => value(one) !== undefined && !one.scenario.replica)
    .sort((a, b) => value(b)! - value(a)!)[0];
}

/**
 * What was compared, how often and under which limits.
 *
 * @param study The study.
 */
export function describeStudy(study: Study): Markdown {
  const { plan, context, context: { cpuSets } } = study;
  const arms = new Set(armLabels(plan.scenarios).values()).size;
  const planned = study.runs.length + study.missing.length;
  const further = planned - plan.scenarios.length * plan.rounds;
  const warnings = [...context.limitsWarnings, ...study.warnings.slice(0, MAX_WARNINGS)];
  const more = study.warnings.length - MAX_WARNINGS;
  if (more > 0) warnings.push(say.moreFaults(more));
  const sentences = [
    context.functionalCheck ? say.checkOnly : [],
    say.study(plan, atLevels(plan.scenarios), {
      arms,
      runs: planned,
      further,
      missing: study.missing.length,
    }),
    say.sentence(context.database),
    context.network === null ? [] : say.sentence(context.network),
    context.cores === null
      ? []
      : cpuSets.length > 0
      ? say.ownCores(cpuSets)
      : say.sharedCores(context.cores),
  ].flat();
  return new Markdown([sentences.join(" "), ...warnings.map(say.note)].join("\n\n"));
}

/** How many runs were rejected and failed, and why. */
export function describeUnaccepted(runs: readonly RunSummary[]): string {
  const tell = (status: "rejected" | "failed", reasonOf: (run: RunSummary) => string) => {
    const all = runs.filter((run) => run.status === status);
    const reasons = [...new Set(all.map(reasonOf))];
    return all.length === 0 ? [] : [say.unaccepted(all.length, status, reasons)];
  };
  return formatList([
    // What was seen differs from run to run; what stands before the colon is the reason.
    ...tell("rejected", ({ cause }) => cause!.split(": ")[0]!),
    ...tell("failed", shortCause),
  ]);
}

/** Why a study without an accepted run has no numbers, in one sentence. */
function explainNone({ runs }: Study): string {
  return runs.length === 0 ? say.noRun : say.noneAccepted(describeUnaccepted(runs));
}

/**
 * Reads throughput: the claim of the figure, and which arm answered most.
 *
 * @param study The study.
 */
export function readThroughput(study: Study): Markdown {
  const check = checkReading(study, measureWords.throughput);
  if (check !== null) return check;
  const best = extreme(study.scenarios, (scenario) => scenario.rps?.value);
  const claim = pathClaim(measureWords.throughput, throughputComparisons(study.ratios));
  if (best?.rps == null) return new Markdown(explainNone(study));
  return new Markdown(say.throughput(claim, best.rps, best.n, claimWords.cell(best.arm, [best])));
}

/**
 * Reads a latency percentile: the claim of the figure, and which arm waited longest.
 *
 * @param study The study.
 * @param percentile Which percentile. @default 95
 */
export function readLatency(study: Study, percentile: Percentile = 95): Markdown {
  const check = checkReading(study, measureWords.latency);
  if (check !== null) return check;
  const value = (scenario: ScenarioSummary) => percentileOf(scenario, percentile);
  const worst = extreme(study.scenarios, (scenario) => value(scenario)?.value);
  const few = tooFewRequests(study.scenarios, percentile);
  if (worst === undefined) {
    return new Markdown(few === null ? explainNone(study) : say.sentence(few));
  }
  const comparisons = latencyComparisons(study.ratios, study.scenarios, percentile);
  const bounds =
    study.scenarios.filter((scenario) => scenario.n > 0 && isLowerBound(scenario, percentile))
      .length;
  const sentences = [
    say.latency(
      rangeClaim(measureWords.percentile(percentile, latencyName(study.scenarios)), comparisons),
      measureWords.percentile(percentile, latencyName([worst])),
      isLowerBound(worst, percentile),
      value(worst)!,
      worst.n,
      claimWords.cell(worst.arm, [worst]),
    ),
    bounds === 0 ? [] : say.lowerBounds(bounds),
    few === null ? [] : say.sentence(few),
    say.sentence(describeLoop(study.scenarios)),
  ].flat();
  return new Markdown(sentences.join(" "));
}

/**
 * Reads what failed.
 *
 * @param study The study.
 */
export function readFailures(study: Study): Markdown {
  const failed = study.runs.filter((run) => run.status === "failed").length;
  if (study.runs.length === 0) return new Markdown(explainNone(study));
  if (failed === 0) return new Markdown(say.noneFailed(study.runs.length));
  const lines = failureSentences(study.scenarios).map((sentence) => `- ${sentence}`);
  return new Markdown(`${say.failed(failed, study.runs.length)}\n\n${lines.join("\n")}`);
}
