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
import { claimOf, latencyComparisons, unresolved, verdictOf } from "../figures/claims.ts";
import { latencyName } from "../figures/options.ts";
import { RATIO_TO_FIND, roundsToFind } from "../stats/detectable.ts";
import { median } from "../stats/percentile.ts";
import type { ArmRatio, PathRatio } from "../stats/summary.ts";
import { answerWords as say } from "../wording/answer.ts";
import { claimWords } from "../wording/claims.ts";
import { atLevels, formatRatioEstimate } from "../wording/format.ts";
import { narrativeWords } from "../wording/study.ts";
import { describeCheck } from "./check.ts";
import { Markdown } from "./display.ts";
import { explainPairs } from "./evidence.ts";
import { readArmRatios } from "./ratios.ts";
import type { Study } from "./study.ts";

/** What is said of a comparison, in the order in which an answer says it. */
const OUTCOMES = [
  ...["helped", "cost", "unexplained", "alike", "noisy", "open", "single"] as const,
  ...["onlyPooled", "pooledAhead", "unexplainedAhead", "directAhead", "none"] as const,
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
      return explained ? "pooledAhead" : "unexplainedAhead";
    case "behind":
      return "directAhead";
    case "noisy":
    case "open":
      return claim;
    default:
      if (pair.failedPaths.join() === "direct") return "onlyPooled";
      return pair.n === 0 ? "none" : "single";
  }
}

/** What the comparisons of one app answer, in a few words, with what would help where they do not. */
function headline(study: Study, evidence: readonly [PairEvidence, ...PairEvidence[]]): string {
  const groups = Map.groupBy(evidence, outcomeOf);
  const parts = OUTCOMES.flatMap((outcome) => {
    const pairs = groups.get(outcome)?.map(({ pair }) => pair);
    return pairs === undefined ? [] : say.headlines[outcome](atLevels(pairs), {
      ratios: pairs.flatMap(({ ratio }) => ratio?.value ?? []),
      unresolved: Math.max(...pairs.map(unresolved)),
      // Of several loads, the least that they bear.
      factor: Math.min(...pairs.flatMap(({ bound }) => bound?.factor ?? [])),
    });
  });
  const noisy = groups.get("noisy") ?? [];
  const spares = [...groups.get("alike") ?? [], ...noisy].some(sparesPostgres);
  const help = noisy.length === 0 ? "" : whatWouldHelp(study, noisy.map(({ pair }) => pair));
  return say.headline(nameOf(evidence), parts, spares, help);
}

/** What it would take to tell a slowdown of 20% where the noise hides it. */
function whatWouldHelp(study: Study, pairs: readonly PathRatio[]): string {
  const { plan, manifests, family, rule, context } = study;
  const least = pairs.map(({ detectable }) => detectable ?? 0);
  const found = least.includes(0)
    ? say.foundNothing
    : Math.min(...least) < RATIO_TO_FIND
    ? say.couldMiss(Math.min(...least))
    : say.remains(Math.max(...pairs.map(unresolved)));
  const level = rule.alpha / context.comparisons;
  const rounds = pairs.map(({ n, deviation }) => {
    // The scatter of two rounds is itself hardly known: there, that of all comparisons counts.
    const noise = n > 2 || family.noise === null ? deviation! : family.noise * Math.SQRT2;
    return roundsToFind(RATIO_TO_FIND, noise, level);
  });
  if (rounds.includes(null)) return say.tooManyRounds(found, RATIO_TO_FIND);
  const [n, needed] = [Math.min(...pairs.map((pair) => pair.n)), Math.max(...rounds.map(Number))];
  // Where the interval alone reaches too far, as much again halves what chance may still do to it.
  const more = needed > n ? needed - n : n;
  const overheadS = median(manifests.map((manifest) => manifest.overheadS)) ?? 0;
  const minutes = more * 2 * pairs.length * (plan.warmUpS + plan.windowS + overheadS) / 60;
  return say.moreRounds(found, RATIO_TO_FIND, more, minutes);
}

/** Where the runs' P95 latencies lie, in a few words. */
function latencyAnswer(study: Study, pairs: readonly PathRatio[]): string {
  const comparisons = latencyComparisons(pairs, study.scenarios, 95);
  const name = latencyName(pairs);
  const parts = (["below", "above"] as const).flatMap((relation) => {
    const own = comparisons.filter((comparison) => comparison.verdict === relation);
    const ratios = own.map(({ ratio }) => ratio!);
    return own.length === 0 ? [] : say.latency(name, relation, atLevels(own), ratios);
  });
  if (parts.length > 0) return parts.join(", ");
  const overlapping = comparisons.filter(({ verdict }) => verdict === "overlap");
  return overlapping.length > 0 ? say.overlap(name, atLevels(overlapping)) : say.tooFew(name);
}

/** An app with its settings, as an answer names it. */
function nameOf([{ pair: { label, reuse } }]: readonly [PairEvidence, ...PairEvidence[]]): string {
  return label.includes("reuse=") ? label : say.app(label, reuse);
}

/** The numbers behind the answer for one app (and settings), over all levels of load. */
function numbers(study: Study, evidence: readonly [PairEvidence, ...PairEvidence[]]): string {
  const pairs = evidence.map(({ pair }) => pair);
  const [first] = pairs as [PathRatio, ...PathRatio[]];
  const states = ["higher", "lower", "indistinguishable", "open", "single"] as const;
  const parts = states.flatMap((state) => {
    const own = pairs.filter((pair) => verdictOf(pair) === state);
    return own.length === 0
      ? []
      : say.throughput(state, atLevels(own), own.map(({ ratio }) => ratio!));
  });
  for (const missing of new Set(pairs.flatMap((pair) => pair.missing ?? []))) {
    parts.push(say.missing(atLevels(pairs.filter((pair) => pair.missing === missing)), missing));
  }
  parts.push(...explainPairs(evidence));
  const compared = pairs.filter(({ n }) => n > 1);
  if (compared.length > 0) parts.push(latencyAnswer(study, compared));
  const rounds = pairs.filter(({ n }) => n > 0).map(({ n }) => n);
  return say.numbers(nameOf(evidence), parts, rounds, first.differences);
}

/** What a copy says of how far the study can be believed, in one sentence. */
function readCopy(pair: ArmRatio): string {
  const name = claimWords.cell(pair.baseArm, [pair]);
  const value = pair.ratio === null ? pair.missing! : formatRatioEstimate(pair.ratio);
  switch (verdictOf(pair)) {
    case "higher":
    case "lower":
      return say.copyDiffers(name, value);
    case "indistinguishable":
      return say.copyAgrees(name, value);
    default:
      return say.copyOpen(name, value);
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
    return new Markdown(say.noPair + arms);
  }
  const groups = [
    ...Map.groupBy(pairEvidence(study), ({ pair: { label, reuse } }) => `${label} ${reuse}`)
      .values(),
  ] as [PairEvidence, ...PairEvidence[]][];
  const { context } = study;
  const scope = [
    ...study.armRatios.filter(({ kind }) => kind === "replica").map(readCopy),
    say.scope(context.database, context.network),
    context.cores === null
      ? ""
      : context.cpuSets.length > 0
      ? narrativeWords.ownCores(context.cpuSets)
      : say.sharedCores(context.cores),
    ...context.limitsWarnings.map((warning) => `**${warning}**`),
    study.complete ? "" : say.incomplete(study.missing.length),
  ].filter((sentence) => sentence !== "");
  return new Markdown([
    groups.map((own) => headline(study, own)).join("\n"),
    `<details><summary>${say.inNumbers}</summary>`,
    groups.map((own) => numbers(study, own)).join("\n"),
    "</details>",
    scope.join(" "),
  ].join("\n\n"));
}
