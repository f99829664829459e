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
import {
  atLevels,
  capitalise,
  formatCount,
  formatInterval,
  formatList,
  formatNumber,
} from "../wording/format.ts";
import { describeLoop, failureSentences, latencyName, tooFewRequests } from "../figures/options.ts";
import { armLabels } from "../scenario.ts";
import { isLowerBound, shortCause } from "../stats/summarise.ts";
import type { RunSummary, ScenarioSummary } from "../stats/summary.ts";
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
  const { plan, context } = study;
  const arms = new Set(armLabels(plan.scenarios).values()).size;
  const planned = study.runs.length + study.missing.length;
  const further = planned - plan.scenarios.length * plan.rounds;
  const done = study.complete
    ? "all complete"
    : `${study.runs.length} complete so far, ${formatCount(study.missing.length, "run")} to come`;
  const warnings = [...context.limitsWarnings, ...study.warnings.slice(0, MAX_WARNINGS)];
  const more = study.warnings.length - MAX_WARNINGS;
  if (more > 0) warnings.push(`${formatCount(more, "more fault")} of files like these.`);
  return new Markdown(
    `${study.context.functionalCheck ? "**Functional check only.** " : ""}Plan \`${plan.name}\`: ${
      formatCount(arms, "arm")
    } ${atLevels(plan.scenarios)}, ${
      formatCount(plan.rounds, "round")
    } of ${plan.windowS} s windows after ${plan.warmUpS} s of warm-up: ${
      formatCount(planned, "run")
    }${
      further > 0 ? `, ${further} of them in further rounds of undecided comparisons` : ""
    }, ${done}. ${capitalise(context.database)}.` +
      (context.network === null ? "" : ` ${capitalise(context.network)}.`) +
      (context.cores === null ? "" : ` ${describeCores(context, context.cores)}`) +
      warnings.map((warning) => `\n\n> **Note:** ${warning}`).join(""),
  );
}

/** Whether the services had cores of their own. */
export function describeCores({ cpuSets }: Study["context"], cores: number): string {
  return cpuSets.length === 0
    ? `Load generator, app and database shared ${formatCount(cores, "core")}.`
    : `Load generator, app, PgBouncer and database each had cores of their own (${
      cpuSets.join("; ")
    }).`;
}

/** How many runs were rejected and failed, and why. */
export function describeUnaccepted(runs: readonly RunSummary[]): string {
  const tell = (status: "rejected" | "failed", reasonOf: (run: RunSummary) => string) => {
    const all = runs.filter((run) => run.status === status);
    const reasons = [...new Set(all.map(reasonOf))].join("; ");
    return all.length === 0 ? [] : [`${formatCount(all.length, "run")} ${status} (${reasons})`];
  };
  return formatList([
    // What was seen differs from run to run; what stands before the colon is the reason.
    ...tell("rejected", ({ cause }) => cause!.split(": ")[0]!),
    ...tell("failed", shortCause),
  ]);
}

/** Why a study without an accepted run has no numbers, in one sentence. */
function explainNone({ runs }: Study): string {
  return runs.length === 0
    ? "No run is complete yet."
    : `No run was accepted: ${describeUnaccepted(runs)}.`;
}

/**
 * Reads throughput: the claim of the figure, and which arm answered most.
 *
 * @param study The study.
 */
export function readThroughput(study: Study): Markdown {
  const check = checkReading(study, "throughput");
  if (check !== null) return check;
  const best = extreme(study.scenarios, (scenario) => scenario.rps?.value);
  const claim = pathClaim("throughput", throughputComparisons(study.ratios));
  if (best?.rps == null) return new Markdown(explainNone(study));
  const interval = formatInterval(best.rps);
  return new Markdown(
    `${claim}. The highest throughput was ${
      formatNumber(best.rps.value)
    } correct answers per second${
      interval === "" ? " in a single run" : `, 95% interval ${interval}, n = ${best.n}`
    }: ${best.arm} ${atLevels([best])}.`,
  );
}

/**
 * Reads a latency percentile: the claim of the figure, and which arm waited longest.
 *
 * @param study The study.
 * @param percentile Which percentile. @default 95
 */
export function readLatency(study: Study, percentile: Percentile = 95): Markdown {
  const check = checkReading(study, "latency");
  if (check !== null) return check;
  const value = (scenario: ScenarioSummary) => percentileOf(scenario, percentile);
  const worst = extreme(study.scenarios, (scenario) => value(scenario)?.value);
  const few = tooFewRequests(study.scenarios, percentile);
  if (worst === undefined) {
    return new Markdown(few === null ? explainNone(study) : `${capitalise(few)}.`);
  }
  const comparisons = latencyComparisons(study.ratios, study.scenarios, percentile);
  const claim = rangeClaim(
    `P${percentile} ${latencyName(study.scenarios)}`,
    comparisons,
  );
  const estimate = value(worst)!;
  const range = formatInterval(estimate);
  const bounds =
    study.scenarios.filter((scenario) => scenario.n > 0 && isLowerBound(scenario, percentile))
      .length;
  return new Markdown(
    `${claim}. The highest P${percentile} ${latencyName([worst])} was ${
      isLowerBound(worst, percentile) ? "at least " : ""
    }${formatNumber(estimate.value)} ms${
      range === "" ? " in a single run" : `, median of ${worst.n} runs, range ${range}`
    }: ${worst.arm} ${atLevels([worst])}.` +
      (bounds === 0 ? "" : ` In ${formatCount(bounds, "cell")} too many requests had no answer ` +
        `when the load ended: their percentiles are lower bounds, marked ≥.`) +
      (few === null ? "" : ` ${few}.`) + ` ${capitalise(describeLoop(study.scenarios))}.`,
  );
}

/**
 * Reads what failed.
 *
 * @param study The study.
 */
export function readFailures(study: Study): Markdown {
  const failed = study.runs.filter((run) => run.status === "failed").length;
  if (study.runs.length === 0) return new Markdown(explainNone(study));
  if (failed === 0) {
    return new Markdown(`None of the ${formatCount(study.runs.length, "run")} failed.`);
  }
  const lines = failureSentences(study.scenarios).map((sentence) => `- ${sentence}`);
  return new Markdown(
    `${formatCount(failed, "run")} of ${study.runs.length} failed. They count as failed, and ` +
      `enter no mean:\n\n${lines.join("\n")}`,
  );
}
