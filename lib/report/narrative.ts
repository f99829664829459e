/**
 * Sentences that read a study, with every number taken from it.
 *
 * @module
 */

import {
  latencyComparisons,
  pairName,
  pathClaim,
  type Percentile,
  percentileOf,
  rangeClaim,
  throughputComparisons,
  type Verdict,
  verdictOf,
} from "../figures/claims.ts";
import { armRatioLabel } from "../figures/ratio.ts";
import {
  atLevels,
  capitalise,
  formatCount,
  formatInterval,
  formatList,
  formatNumber,
  formatPercent,
  formatRatio,
  formatRatioEnd,
  formatSlowdown,
  formatSpan,
} from "../figures/format.ts";
import { describeLoop, failureSentences, latencyName, tooFewRequests } from "../figures/options.ts";
import { armLabels } from "../scenario.ts";
import { describeNoDifference } from "../stats/family.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type { ArmRatio, PathRatio, ScenarioSummary, ThroughputRatio } from "../stats/summary.ts";
import { Markdown } from "./display.ts";
import type { Study } from "./study.ts";

/** The stamp that begins every reading of a functional check. */
const STAMP = "**Functional check only: these runs are too short to conclude anything.** ";

function stamp(study: Study): string {
  return study.context.functionalCheck ? STAMP : "";
}

/** The scenario with the largest value. */
/** More faults of files than this are counted, not listed. */
const MAX_WARNINGS = 5;

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
    `${stamp(study)}Plan \`${plan.name}\`: ${formatCount(arms, "arm")} ${
      atLevels(plan.scenarios)
    }, ${
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
function describeCores({ cpuSets }: Study["context"], cores: number): string {
  return cpuSets.length === 0
    ? `Load generator, app and database shared ${formatCount(cores, "core")}.`
    : `Load generator, app, PgBouncer and database each had cores of their own (${
      cpuSets.join("; ")
    }).`;
}

/**
 * Reads throughput: the claim of the figure, and which arm answered most.
 *
 * @param study The study.
 */
export function readThroughput(study: Study): Markdown {
  const best = extreme(study.scenarios, (scenario) => scenario.rps?.value);
  const claim = pathClaim("throughput", throughputComparisons(study.ratios), study.context);
  if (best?.rps == null) return new Markdown(`${stamp(study)}No run succeeded: see what failed.`);
  const interval = formatInterval(best.rps);
  const text = study.context.functionalCheck ? "" : `${claim}. `;
  return new Markdown(
    `${stamp(study)}${text}The highest throughput was ${
      formatNumber(best.rps.value)
    } correct answers per second${
      interval === "" ? " in a single run" : `, 95 % interval ${interval}, n = ${best.n}`
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
  const value = (scenario: ScenarioSummary) => percentileOf(scenario, percentile);
  const worst = extreme(study.scenarios, (scenario) => value(scenario)?.value);
  const few = tooFewRequests(study.scenarios, percentile);
  if (worst === undefined) {
    return new Markdown(
      `${stamp(study)}${
        few === null ? "No run succeeded: there is no latency to read" : capitalise(few)
      }.`,
    );
  }
  const comparisons = latencyComparisons(study.ratios, study.scenarios, percentile);
  const claim = rangeClaim(
    `P${percentile} ${latencyName(study.scenarios)}`,
    comparisons,
    study.context,
  );
  const text = study.context.functionalCheck ? "" : `${claim}. `;
  const estimate = value(worst)!;
  const range = formatInterval(estimate);
  const bounds =
    study.scenarios.filter((scenario) => scenario.n > 0 && isLowerBound(scenario, percentile))
      .length;
  return new Markdown(
    `${stamp(study)}${text}The highest P${percentile} ${latencyName([worst])} was ${
      isLowerBound(worst, percentile) ? "at least " : ""
    }${formatNumber(estimate.value)} ms${
      range === "" ? " in a single run" : `, median of ${worst.n} runs, range ${range}`
    }: ${worst.arm} ${atLevels([worst])}.` +
      (bounds === 0 ? "" : ` In ${formatCount(bounds, "cell")} too many requests had no answer ` +
        `when the load ended: their percentiles are lower bounds, marked ≥.`) +
      (few === null ? "" : ` ${few}.`) + ` ${capitalise(describeLoop(study.scenarios))}.`,
  );
}

/** What a ratio says, without its name: verdict, ratio, interval, what could be found, rounds. */
function ratioWords(pair: ThroughputRatio, higher: string, lower: string): string {
  if (pair.ratio === null) return `no ratio, ${pair.missing}`;
  const value = formatRatio(pair.ratio.value);
  if (pair.verdict === "single") return `${value}: ${describeNoDifference(pair)}`;
  const interval = formatInterval(pair.ratio, formatRatioEnd);
  const found = describeNoDifference(pair);
  const words = found === null
    ? `${pair.verdict === "higher" ? higher : lower}, ${value} ${interval}${
      pair.detectable === null
        ? ""
        : `; a difference of ${formatSlowdown(pair.detectable)} would have been found`
    }`
    : `${value} ${interval}, ${found}`;
  return `${words}; ${formatCount(pair.n, "round")}`;
}

/** What the corrections are for, where several comparisons share them. */
function describeFamily({ context: { comparisons } }: Study): string {
  if (comparisons < 2) return "";
  return ` The ${comparisons} intervals of this study are simultaneous: in 95 % of studies all of them ` +
    `contain their ratio, and at most 5 % of studies call any equal arms different.`;
}

/**
 * What a study spent on being sure: looks, rounds of each comparison, and the budget.
 *
 * @param study The study.
 */
export function describeSpent(study: Study): Markdown {
  const { family: { looks, noise, comparisons, next }, rule } = study;
  const compared = comparisons.filter(({ n }) => n > 1);
  if (study.context.functionalCheck || compared.length === 0) return new Markdown("");
  const noiseText = noise === null
    ? ""
    : ` A run's noise was ${formatPercent(noise)} (coefficient of variation, over ${
      formatCount(rule.rounds, "round")
    } of all comparisons).`;
  if (rule.maxRounds === rule.rounds) {
    return new Markdown(
      `The plan has ${formatCount(rule.rounds, "round")} and no further ones.${noiseText}`,
    );
  }
  const spent = [...new Set(comparisons.filter(({ open }) => !open).map(({ rounds }) => rounds))]
    .sort((a, b) => a - b)
    .map((rounds) => {
      const ended = comparisons.filter((one) => !one.open && one.rounds === rounds);
      return `${ended.length} after ${formatCount(rounds, "round")}`;
    });
  const open = comparisons.filter((one) => one.open).length;
  const ends = [
    ...(spent.length === 0 ? [] : [`ended ${formatList(spent)}`]),
    ...(open === 0 ? [] : [`${open} ${next === null ? "undecided" : "not decided yet"}`]),
  ];
  return new Markdown(
    `Of ${formatCount(comparisons.length, "comparison")}, ${formatList(ends)}; looks at ${
      formatList(looks.map(String))
    } rounds, of at most ${rule.maxRounds}.${noiseText}`,
  );
}

/**
 * Reads the ratios of pooled over direct throughput, one line for each.
 *
 * @param study The study.
 */
export function readRatios(study: Study): Markdown {
  if (study.ratios.length === 0) {
    return new Markdown(`${stamp(study)}This study has no pair of direct and pooled arms.`);
  }
  const lines = study.ratios.map((pair) =>
    `- ${pairName(pair)} ${atLevels([pair])}: ${ratioWords(pair, "pooled higher", "pooled lower")}`
  );
  const spent = String(describeSpent(study));
  const note = study.context.functionalCheck ? "" : `${spent}${describeFamily(study)}`.trim();
  return new Markdown(
    `${stamp(study)}Pooled over direct throughput:\n\n${lines.join("\n")}${
      note === "" ? "" : `\n\n${note}`
    }`,
  );
}

function armRatioSentence(pair: ArmRatio): string {
  const words = ratioWords(pair, "faster", "slower");
  const alarm = pair.kind === "replica" && (pair.verdict === "higher" || pair.verdict === "lower")
    ? ". **The same arm twice came out different: do not trust this study's verdicts**"
    : "";
  return `- ${armRatioLabel(pair)}: ${words}${alarm}`;
}

/**
 * Reads the copies of arms (A/A) and those with other settings, one line for each.
 *
 * @param study The study.
 */
export function readArmRatios(study: Study): Markdown {
  if (study.armRatios.length === 0) {
    return new Markdown(
      'No arm ran twice or with other settings. A plan file asks for a copy with `"replica": 1`; ' +
        "`reference` has one.",
    );
  }
  return new Markdown(
    `${stamp(study)}Throughput of one arm over another:\n\n${
      study.armRatios.map(armRatioSentence).join("\n")
    }`,
  );
}

/**
 * Reads what failed.
 *
 * @param study The study.
 */
export function readFailures(study: Study): Markdown {
  const failed = study.runs.filter((run) => run.status === "failed").length;
  if (failed === 0) {
    return new Markdown(`None of the ${formatCount(study.runs.length, "run")} failed.`);
  }
  const lines = failureSentences(study.scenarios).map((sentence) => `- ${sentence}`);
  return new Markdown(
    `${formatCount(failed, "run")} of ${study.runs.length} failed. They count as failed, and ` +
      `enter no mean:\n\n${lines.join("\n")}`,
  );
}

/** What the comparisons of one framework answer, in a few words. */
function shortAnswer(pairs: readonly PathRatio[]): string {
  const by = (verdict: Verdict) => pairs.filter((pair) => verdictOf(pair) === verdict);
  const [higher, lower, alike] = [by("higher"), by("lower"), by("indistinguishable")];
  const onlyPooled = pairs.filter(({ failedPaths }) => failedPaths.join() === "direct");
  if (higher.length > 0 && lower.length > 0) return "it depends on the load";
  if (onlyPooled.length > 0 && lower.length === 0) {
    return `only the pooled path held ${atLevels(onlyPooled)}`;
  }
  if (higher.length > 0) {
    return alike.length === 0
      ? "yes, for throughput"
      : `for throughput it helped only ${atLevels(higher)}`;
  }
  if (lower.length > 0) {
    return alike.length === 0
      ? "no, it costs throughput"
      : `no, it cost throughput ${atLevels(lower)} and gained none elsewhere`;
  }
  return alike.length > 0 ? "this study gives no reason to" : "undecided";
}

/** Where the runs' P95 latencies lie, in a few words. */
function latencyAnswer(study: Study, pairs: readonly PathRatio[]): string {
  const comparisons = latencyComparisons(pairs, study.scenarios, 95);
  const parts = (["below", "above"] as const).flatMap((relation) => {
    const own = comparisons.filter((comparison) => comparison.verdict === relation);
    if (own.length === 0) return [];
    const ratios = formatList(own.map(({ ratio }) => formatRatio(ratio!)));
    return [
      `P95 ${latencyName(pairs)} of every pooled run ${relation} every direct one's ${
        atLevels(own)
      } (medians: ${ratios})`,
    ];
  });
  return parts.length === 0 ? `P95 ${latencyName(pairs)}: no ranges apart` : parts.join(", ");
}

/** The answer for one framework (and settings), over all levels of load. */
function answer(study: Study, pairs: readonly PathRatio[]): string {
  const [first] = pairs as [PathRatio, ...PathRatio[]];
  const words: [Verdict, string][] = [
    ["higher", "pooled throughput higher"],
    ["lower", "pooled throughput lower"],
    ["indistinguishable", "throughput indistinguishable"],
    ["open", "throughput not decided yet"],
    ["single", "a single round, which decides nothing,"],
  ];
  const parts = words.flatMap(([verdict, text]) => {
    const own = pairs.filter((pair) => verdictOf(pair) === verdict);
    if (own.length === 0) return [];
    const values = own.map(({ ratio }) =>
      `${formatRatio(ratio!.value)} ${formatInterval(ratio!, formatRatioEnd)}`.trim()
    );
    const found = [
      ...new Set(own.flatMap(({ detectable }) => detectable ?? []).map(formatSlowdown)),
    ];
    const missed = verdict !== "indistinguishable" || found.length === 0
      ? ""
      : found.length === 1
      ? `; a slow-down of ${found[0]} would have been found`
      : `; slow-downs of ${formatList(found)} would have been found`;
    return [`${text} ${atLevels(own)} (${formatList(values)}${missed})`];
  });
  for (const missing of new Set(pairs.flatMap((pair) => pair.missing ?? []))) {
    parts.push(`${atLevels(pairs.filter((pair) => pair.missing === missing))} ${missing}`);
  }
  const compared = pairs.filter(({ n }) => n > 1);
  if (compared.length > 0) parts.push(latencyAnswer(study, compared));
  const rounds = pairs.filter(({ n }) => n > 0).map(({ n }) => n);
  const n = rounds.length === 0 ? "" : ` (n = ${formatSpan(rounds, String)})`;
  const differences = first.differences.length === 0
    ? ""
    : ` The arms differ in ${
      formatList(first.differences)
    } too: this is not the path's effect alone.`;
  const reuse = first.label.includes("reuse=") ? "" : `, reuse \`${first.reuse}\``;
  return `- **${first.label}${reuse}: ${shortAnswer(pairs)}.** ${
    capitalise(parts.join("; "))
  }${n}.${differences}`;
}

/** What a copy says of how far the study can be believed, in one sentence. */
function readCopy(pair: ArmRatio): string {
  const name = `${pair.baseArm} ${atLevels([pair])}`;
  const value = pair.ratio === null
    ? pair.missing
    : `${formatRatio(pair.ratio.value)} ${formatInterval(pair.ratio, formatRatioEnd)}`.trim();
  switch (verdictOf(pair)) {
    case "higher":
    case "lower":
      return `**${name}, run twice under two names (A/A), came out different (${value}): do not trust this study's verdicts.**`;
    case "indistinguishable":
      return `${name}, run twice under two names (A/A), was indistinguishable from itself: ${value}.`;
    default:
      return `${name}, run twice under two names (A/A), is not decided yet: ${value}.`;
  }
}

/**
 * The answer to the question, for each framework with its reuse: should I put PgBouncer in front?
 *
 * @param study The study.
 */
export function conclusion(study: Study): Markdown {
  if (study.context.functionalCheck) {
    return new Markdown(
      `${STAMP}They show that every arm works, or how it fails. Run the plan \`quick\` for a ` +
        `first answer and \`reference\` for one to share.`,
    );
  }
  if (study.ratios.length === 0) {
    const arms = study.armRatios.length === 0 ? "" : `\n\n${readArmRatios(study)}`;
    return new Markdown(
      `No conclusion about PgBouncer: this study has no pair of direct and pooled arms.${arms}`,
    );
  }
  const groups = new Map<string, PathRatio[]>();
  for (const pair of study.ratios) {
    const key = `${pair.label} ${pair.reuse}`;
    groups.set(key, [...(groups.get(key) ?? []), pair]);
  }
  const { context } = study;
  const scope = [
    ...study.armRatios.filter(({ kind }) => kind === "replica").map(readCopy),
    `These answers hold for this machine, these settings and the way each app reuses its connections; ${context.database}${
      context.network === null ? "" : `; ${context.network}`
    }.`,
    context.cores === null
      ? ""
      : context.cpuSets.length > 0
      ? describeCores(context, context.cores)
      : `The load generator shared ${
        formatCount(context.cores, "core")
      } with what it measured, so absolute numbers are not the apps' limits.`,
    ...context.limitsWarnings.map((warning) => `**${warning}**`),
    study.complete
      ? ""
      : `The study is incomplete: ${formatCount(study.missing.length, "run")} to come.`,
  ].filter((sentence) => sentence !== "");
  return new Markdown(
    `Should you put PgBouncer in front of the database?\n\n${
      [...groups.values()].map((pairs) => answer(study, pairs)).join("\n")
    }\n\n${scope.join(" ")}`,
  );
}
