/**
 * The answer of a study to its question, with every number taken from it.
 *
 * @module
 */

import {
  judgeGain,
  type PairEvidence,
  pairEvidence,
  sparesPostgres,
} from "../diagnose/evidence.ts";
import {
  claimOf,
  type ComparisonState,
  latencyComparisons,
  unresolved,
  verdictOf,
} from "../figures/claims.ts";
import {
  atLevels,
  capitalise,
  formatCount,
  formatInterval,
  formatList,
  formatRatio,
  formatRatioEnd,
  formatSlowdown,
  formatSpan,
} from "../wording/format.ts";
import { latencyName } from "../figures/options.ts";
import { RATIO_TO_FIND, roundsToFind } from "../stats/detectable.ts";
import { median } from "../stats/percentile.ts";
import type { ArmRatio, PathRatio } from "../stats/summary.ts";
import { describeCheck } from "./check.ts";
import { Markdown } from "./display.ts";
import { explainPairs } from "./evidence.ts";
import { describeCores } from "./narrative.ts";
import { readArmRatios } from "./ratios.ts";
import type { Study } from "./study.ts";

/** What is said of a comparison, in the order in which an answer says it. */
const OUTCOMES = [
  ...["helped", "cost", "unexplained", "alike", "noisy", "open", "single"] as const,
  ...["only pooled", "pooled ahead", "unexplained ahead", "direct ahead", "none"] as const,
];
type Outcome = typeof OUTCOMES[number];

function outcomeOf(one: PairEvidence): Outcome {
  const { pair } = one;
  const explained = judgeGain(one) !== "unexplained";
  const claim = claimOf(pair);
  switch (claim) {
    case "higher":
      return explained ? "helped" : "unexplained";
    case "lower":
      return "cost";
    case "indistinguishable":
      return "alike";
    case "ahead":
      return explained ? "pooled ahead" : "unexplained ahead";
    case "behind":
      return "direct ahead";
    case "noisy":
    case "open":
      return claim;
    default:
      if (pair.failedPaths.join() === "direct") return "only pooled";
      return pair.n === 0 ? "none" : "single";
  }
}

/** A share in whole per cent, rounded up: what is left possible is never said too small. */
function percentUp(share: number): string {
  return `${Math.max(1, Math.ceil(100 * share - 1e-9))}%`;
}

/** What rejected runs bear: at least so many times as much, the least of several loads. */
function describeAhead(path: "direct" | "pooled", pairs: readonly PathRatio[]): string {
  const factor = Math.min(...pairs.map(({ bound }) => bound!.factor));
  return `${path} answered at least ${factor} times as much ${
    atLevels(pairs)
  } (too few runs were accepted for an interval)`;
}

function headlinePart(outcome: Outcome, pairs: readonly PathRatio[]): string {
  const at = atLevels(pairs);
  const values = pairs.flatMap(({ ratio }) => ratio?.value ?? []);
  switch (outcome) {
    case "helped":
      return `yes, ${formatSpan(values, formatRatio)} the throughput ${at}`;
    case "cost":
      return `no, it costs ${formatSpan(values.map((ratio) => 1 - ratio), percentUp)} of the ` +
        `throughput ${at}`;
    case "unexplained":
      return `pooled was higher ${at}, but PgBouncer left no trace that explains it`;
    case "alike":
      return `no difference of more than ${
        percentUp(Math.max(...pairs.map(unresolved)))
      } in throughput ${at}`;
    case "noisy":
      return `too noisy to say ${at}`;
    case "open":
      return `not decided yet ${at}`;
    case "single":
      return `one round decides nothing ${at}`;
    case "only pooled":
      return `only the pooled path held ${at}`;
    case "pooled ahead":
      return describeAhead("pooled", pairs);
    case "unexplained ahead":
      return `${describeAhead("pooled", pairs)}, without a trace that explains it`;
    case "direct ahead":
      return describeAhead("direct", pairs);
    case "none":
      return `undecided ${at}`;
  }
}

/** What the comparisons of one app answer, in a few words. */
function shortAnswer(evidence: readonly PairEvidence[]): string {
  const groups = Map.groupBy(evidence, outcomeOf);
  const parts = OUTCOMES.flatMap((outcome) => {
    const own = groups.get(outcome);
    return own === undefined ? [] : [headlinePart(outcome, own.map(({ pair }) => pair))];
  });
  const alike = [...groups.get("alike") ?? [], ...groups.get("noisy") ?? []];
  return parts.join("; ") +
    (alike.some(sparesPostgres) ? ", but it spares PostgreSQL work or connections" : "");
}

/** What it would take to tell a slowdown of 20% where the noise hides it. */
function whatWouldHelp(study: Study, pairs: readonly PathRatio[]): string {
  const { plan, manifests, family, rule, context } = study;
  const least = pairs.map(({ detectable }) => detectable ?? 0);
  const found = least.includes(0)
    ? "no slowdown would have been found reliably"
    : Math.min(...least) < RATIO_TO_FIND
    ? `a slowdown of less than ${formatSlowdown(Math.min(...least))} could have been missed`
    : `a difference of up to ${percentUp(Math.max(...pairs.map(unresolved)))} remains possible`;
  const level = rule.alpha / context.comparisons;
  const rounds = pairs.map(({ n, deviation }) => {
    // The scatter of two rounds is itself hardly known: there, that of all comparisons counts.
    const noise = n > 2 || family.noise === null ? deviation! : family.noise * Math.SQRT2;
    return roundsToFind(RATIO_TO_FIND, noise, level);
  });
  const target = formatSlowdown(RATIO_TO_FIND);
  if (rounds.includes(null)) {
    return `${found}; in this noise no practical number of rounds would find ${target}: measure ` +
      `longer windows, on a machine with nothing else to do`;
  }
  const [n, needed] = [Math.min(...pairs.map((pair) => pair.n)), Math.max(...rounds.map(Number))];
  // Where the interval alone reaches too far, as much again halves what chance may still do to it.
  const more = needed > n ? needed - n : n;
  const overheadS = median(manifests.map((manifest) => manifest.overheadS)) ?? 0;
  const minutes = more * 2 * pairs.length * (plan.warmUpS + plan.windowS + overheadS) / 60;
  return `${found}; about ${formatCount(more, "more round")} (${
    formatCount(Math.ceil(minutes), "more minute")
  }) would find ${target} in this noise`;
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

/** An app with its settings, as an answer names it. */
function nameOf([{ pair: { label, reuse } }]: readonly [PairEvidence, ...PairEvidence[]]): string {
  return label.includes("reuse=") ? label : `${label}, reuse \`${reuse}\``;
}

/** The numbers behind the answer for one app (and settings), over all levels of load. */
function numbers(study: Study, evidence: readonly [PairEvidence, ...PairEvidence[]]): string {
  const pairs = evidence.map(({ pair }) => pair);
  const [first] = pairs as [PathRatio, ...PathRatio[]];
  const words: [ComparisonState, string][] = [
    ["higher", "pooled throughput higher"],
    ["lower", "pooled throughput lower"],
    ["indistinguishable", "pooled over direct throughput"],
    ["open", "throughput not decided yet"],
    ["single", "a single round, which decides nothing,"],
  ];
  const parts = words.flatMap(([verdict, text]) => {
    const own = pairs.filter((pair) => verdictOf(pair) === verdict);
    if (own.length === 0) return [];
    const values = own.map(({ ratio }) =>
      `${formatRatio(ratio!.value)} ${formatInterval(ratio!, formatRatioEnd)}`.trim()
    );
    return [`${text} ${atLevels(own)} (${formatList(values)})`];
  });
  for (const missing of new Set(pairs.flatMap((pair) => pair.missing ?? []))) {
    parts.push(`${atLevels(pairs.filter((pair) => pair.missing === missing))} ${missing}`);
  }
  parts.push(...explainPairs(evidence));
  const compared = pairs.filter(({ n }) => n > 1);
  if (compared.length > 0) parts.push(latencyAnswer(study, compared));
  const rounds = pairs.filter(({ n }) => n > 0).map(({ n }) => n);
  const n = rounds.length === 0 ? "" : ` (n = ${formatSpan(rounds, String)})`;
  const differences = first.differences.length === 0
    ? ""
    : ` The arms differ in ${
      formatList(first.differences)
    } too: this is not the path's effect alone.`;
  return `- ${nameOf(evidence)}: ${parts.join("; ")}${n}.${differences}`;
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
 * The answer to the question, for each app with its reuse: should I put PgBouncer in front? First in
 * plain words, then in numbers, then how far it goes.
 *
 * A comparison without a verdict says "no difference of more than" what its interval reaches to, or
 * what the study would have missed, whichever is more; above 20% it is "too noisy to say", with the
 * rounds and minutes that would find 20% in the noise that was measured.
 *
 * @param study The study.
 */
export function conclusion(study: Study): Markdown {
  if (study.context.functionalCheck) {
    return new Markdown(describeCheck(study));
  }
  if (study.ratios.length === 0) {
    const arms = study.armRatios.length === 0 ? "" : `\n\n${readArmRatios(study)}`;
    return new Markdown(
      `No conclusion about PgBouncer: this study has no pair of direct and pooled arms.${arms}`,
    );
  }
  const groups = [
    ...Map.groupBy(pairEvidence(study), ({ pair: { label, reuse } }) => `${label} ${reuse}`)
      .values(),
  ] as [PairEvidence, ...PairEvidence[]][];
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
  const headlines = groups.map((own) => {
    const noisy = own.filter((one) => outcomeOf(one) === "noisy").map(({ pair }) => pair);
    const help = noisy.length === 0 ? "" : ` ${capitalise(whatWouldHelp(study, noisy))}.`;
    return `- **${nameOf(own)}: ${shortAnswer(own)}.**${help}`;
  });
  return new Markdown([
    headlines.join("\n"),
    "<details><summary>In numbers</summary>",
    groups.map((own) => numbers(study, own)).join("\n"),
    "</details>",
    scope.join(" "),
  ].join("\n\n"));
}
