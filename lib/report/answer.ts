/** The answer of a study to its question, with every number taken from it. */

import {
  judgeGain,
  type PairEvidence,
  pairEvidence,
  sparesPostgres,
} from "../diagnose/evidence.ts";
import { claimOf, latencyComparisons, pairName, unresolved, verdictOf } from "../figures/claims.ts";
import { latencyName } from "../figures/options.ts";
import { RATIO_TO_FIND, roundsToFind } from "../stats/detectable.ts";
import { geometricMean } from "../stats/interval.ts";
import { median } from "../stats/percentile.ts";
import type { ArmRatio, PathRatio } from "../stats/summary.ts";
import type { DecidedComparison, EventFields } from "../store/events.ts";
import { answerWords as say } from "../wording/answer.ts";
import { claimWords } from "../wording/claims.ts";
import { atLevels, formatRatioEstimate } from "../wording/format.ts";
import { checkWords } from "../wording/study.ts";
import { joinTexts, Markdown } from "./display.ts";
import { explainAnswer } from "./explained.ts";
import { poolSizeHeadlines } from "./pool_sizes.ts";
import { describeCores, readArmRatios } from "./readings.ts";
import type { Study } from "./study.ts";

/** The pairs of one app and its settings, at all levels of load. */
type AppPairs = [PairEvidence, ...PairEvidence[]];

/** The level of an interval that stands alone. */
const ALONE = 0.05;

type Outcome = keyof typeof say.headlines;

const OUTCOMES = {
  lower: "cost",
  indistinguishable: "alike",
  noisy: "noisy",
  open: "open",
  behind: "directAhead",
} as const;

function outcomeOf(one: PairEvidence): Outcome {
  const { pair } = one;
  const claim = claimOf(pair);
  const explained = judgeGain(one) !== "unexplained";
  if (claim === "higher") return explained ? "helped" : "unexplained";
  if (claim === "ahead") return explained ? "pooledAhead" : "unexplainedAhead";
  if (claim !== "single" && claim !== "none") return OUTCOMES[claim];
  if (pair.failedPaths.join() === "direct") return "onlyPooled";
  return pair.n === 0 ? "none" : "single";
}

/** The answer for one app in a few words, with what would help where there is none. */
function headline(study: Study, evidence: AppPairs): string {
  const groups = Map.groupBy(evidence, outcomeOf);
  const parts = (Object.keys(say.headlines) as Outcome[]).flatMap((outcome) => {
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

function whatWouldHelp(study: Study, pairs: readonly PathRatio[]): string {
  const { manifests, family, rule, context } = study;
  const { turns } = context;
  const least = Math.min(...pairs.map(({ detectable }) => detectable ?? 0));
  const found = least === 0
    ? say.foundNothing
    : least < RATIO_TO_FIND
    ? say.couldMiss(least)
    : say.remains(Math.max(...pairs.map(unresolved)));
  const rounds = pairs.map(({ n, blocks, deviation, df, level: ended }) => {
    if (blocks > 0) {
      const dfOf = (rounds: number) => Math.max(1, Math.floor(df! * rounds / n));
      return roundsToFind(RATIO_TO_FIND, deviation!, ended!, dfOf);
    }
    const level = rule.alpha / context.comparisons;
    // The scatter of two rounds is itself hardly known: there, that of all comparisons counts.
    const noise = n > 2 ? deviation! : family.deviation ?? deviation!;
    return roundsToFind(RATIO_TO_FIND, noise, level);
  });
  if (rounds.includes(null)) {
    return say[turns === null ? "tooManyRounds" : "tooManyMinutes"](found, RATIO_TO_FIND);
  }
  const [n, needed] = [Math.min(...pairs.map((pair) => pair.n)), Math.max(...rounds.map(Number))];
  // Where the interval alone reaches too far, as much again halves what chance may still do to it.
  const more = needed > n ? needed - n : n;
  if (turns !== null) return helpInTurns(study, pairs, found, n + more);
  const overheadS = median(manifests.map((manifest) => manifest.overheadS)) ?? 0;
  const minutes = more * 2 * pairs.length * (context.warmUpS + context.windowS + overheadS) / 60;
  return say.moreRounds(found, RATIO_TO_FIND, more, minutes);
}

/**
 * What the error of pairs in turns asks for, to come down to that of so many starts as these: more blocks
 * in those there are, or more starts where these differ too much for that.
 */
function helpInTurns(
  { plan, manifests }: Study,
  pairs: readonly PathRatio[],
  found: string,
  starts: number,
): string {
  const n = Math.min(...pairs.map((pair) => pair.n));
  const goal = n / starts;
  const ofStarts = Math.max(...pairs.map(({ startsShare }) => startsShare));
  if (ofStarts <= goal / 2) {
    // Blocks make only the rest of the squared error smaller.
    const times = (1 - ofStarts) / (goal - ofStarts);
    const minutes = (times - 1) * n * minutesOfStart(pairs.length, manifests);
    return say.moreMinutes(found, RATIO_TO_FIND, minutes);
  }
  const rounds = plan.rounds + starts - n;
  const minutes = plan.minutes && Math.ceil(plan.minutes * rounds / plan.rounds);
  return say.moreStarts(found, RATIO_TO_FIND, rounds, minutes);
}

/** Minutes that a start of each of some pairs took. */
function minutesOfStart(pairs: number, manifests: Study["manifests"]): number {
  const minutes = manifests.map(({ times: { started, ended } }) =>
    (Date.parse(ended) - Date.parse(started)) / 60_000
  );
  return pairs * (median(minutes) ?? 0);
}

function latencyAnswer(study: Study, pairs: readonly PathRatio[]): string {
  const name = latencyName(pairs);
  // Before all starts are there, their intervals tell too much; see `latencyComparisons`.
  const isOpen = ({ latency, open }: PathRatio) => latency !== null && open;
  const ratioOf = (pair: PathRatio) => isOpen(pair) ? null : pair.latency?.[95] ?? null;
  const inTurns = pairs.filter((pair) => isOpen(pair) || ratioOf(pair) !== null);
  if (inTurns.length > 0) {
    const told = inTurns.flatMap((pair) => {
      const ratio = ratioOf(pair);
      return ratio === null ? [] : [{ at: atLevels([pair]), ratio }];
    });
    const at = (own: readonly PathRatio[]) => own.length === 0 ? null : atLevels(own);
    const few = pairs.filter((pair) => pair.latency !== null && !inTurns.includes(pair));
    return say.latencyInTurns(name, told, at(inTurns.filter(isOpen)), at(few));
  }
  const comparisons = latencyComparisons(pairs, study.scenarios, 95);
  const groups = Map.groupBy(comparisons, ({ verdict }) => verdict);
  const parts = (["below", "above"] as const).flatMap((relation) => {
    const own = groups.get(relation);
    return own ? say.latency(name, relation, atLevels(own), own.map(({ ratio }) => ratio!)) : [];
  });
  if (parts.length > 0) return parts.join(", ");
  const overlapping = groups.get("overlap");
  if (overlapping) return say.overlap(name, atLevels(overlapping));
  return groups.has("bounded") ? say.bounded(name) : say.tooFew(name);
}

/** The 95% interval of a pair of which nobody has looked at others; null where that is its own. */
function aloneOf({ ratio, n, deviation, df, level }: PathRatio) {
  if (ratio === null || deviation === null || df === null || level === null) return null;
  if (level >= ALONE) return null;
  return geometricMean({ n, mean: Math.log(ratio.value), deviation, df }, ALONE);
}

/** An app with its settings, as an answer names it. */
function nameOf([{ pair: { label, reuse } }]: AppPairs): string {
  return label.includes("reuse=") ? label : say.app(label, reuse);
}

function numbers(study: Study, evidence: AppPairs): string {
  const pairs = evidence.map(({ pair }) => pair);
  const states = ["higher", "lower", "indistinguishable", "open", "single"] as const;
  const byState = Map.groupBy(pairs, verdictOf);
  const parts = states.flatMap((state) => {
    const own = byState.get(state);
    return own ? say.throughput(state, atLevels(own), own.map(({ ratio }) => ratio!)) : [];
  });
  const alone = pairs.flatMap((pair) => {
    const ratio = aloneOf(pair);
    return ratio === null ? [] : [{ at: atLevels([pair]), ratio }];
  });
  if (alone.length > 0) parts.push(say.alone(alone));
  for (const missing of new Set(pairs.flatMap((pair) => pair.missing ?? []))) {
    parts.push(say.missing(atLevels(pairs.filter((pair) => pair.missing === missing)), missing));
  }
  const compared = pairs.filter(({ n }) => n > 1);
  if (compared.length > 0) parts.push(latencyAnswer(study, compared));
  const made = pairs.filter(({ n }) => n > 0);
  return say.numbers(nameOf(evidence), parts, made, evidence[0].pair.differences);
}

function readCopy(pair: ArmRatio): string {
  const name = claimWords.cell(pair.baseArm, [pair]);
  const value = pair.ratio === null ? pair.missing! : formatRatioEstimate(pair.ratio);
  const verdict = verdictOf(pair);
  if (verdict === "indistinguishable") return say.copyAgrees(name, value);
  const differs = verdict === "higher" || verdict === "lower";
  return differs ? say.copyDiffers(name, value) : say.copyOpen(name, value);
}

/** The answer of a functional check: whether everything ran, was verified and was counted. */
function describeCheck(study: Study): string {
  const { context } = study;
  const broken = study.scenarios.filter(({ n }) => n === 0)
    .map((one) => claimWords.cell(one.arm, [one]));
  const planned = study.runs.length + study.missing.length;
  return checkWords.answer(
    study.counts().accepted,
    planned,
    broken,
    context.windowS,
    context.turns !== null,
  );
}

/**
 * The answer to the question, for each app with its reuse: should I put PgBouncer in front? First in
 * plain words, then in numbers, then how far it goes.
 *
 * A comparison without a verdict says "no difference of more than" what its interval reaches to, or
 * what the study would have missed, whichever is more; above 20% it is "too noisy to say", with the
 * rounds and minutes that would find 20% in the noise that was measured.
 */
export function conclusion(study: Study): Markdown {
  const { context, armRatios } = study;
  if (context.functionalCheck) return new Markdown(describeCheck(study));
  if (study.ratios.length === 0) {
    return new Markdown(
      joinTexts(
        "\n\n",
        poolSizeHeadlines(study).join("\n"),
        say.noPair,
        armRatios.length > 0 && readArmRatios(study),
      ),
    );
  }
  const byApp = Map.groupBy(pairEvidence(study), ({ pair }) => `${pair.label} ${pair.reuse}`);
  const apps = [...byApp.values()] as AppPairs[];
  const scope = joinTexts(
    " ",
    ...armRatios.filter(({ kind }) => kind === "replica").map(readCopy),
    say.scope(context.database, context.network),
    describeCores(context, say.sharedCores),
    ...context.limitsWarnings.map((warning) => `**${warning}**`),
    !study.complete && say.incomplete(study.missing.length),
  );
  return new Markdown([
    [...poolSizeHeadlines(study), ...apps.map((own) => headline(study, own))].join("\n"),
    `<details><summary>${say.explained}</summary>`,
    apps.flatMap((own) => [say.explainedApp(nameOf(own)), ...explainAnswer(study, own)]).join("\n"),
    "</details>",
    `<details><summary>${say.inNumbers}</summary>`,
    apps.map((own) => numbers(study, own)).join("\n"),
    "</details>",
    scope,
  ].join("\n\n"));
}

/** What came of a study, for the event at its report's end; a functional check compares nothing. */
export function describeOutcome(
  study: Study,
): Pick<EventFields["report_finished"], "answer" | "comparisons"> {
  return { answer: String(conclusion(study)), comparisons: describeComparisons(study) };
}

/** Every comparison of throughput as far as it has come; a functional check compares nothing. */
export function describeComparisons(study: Study): DecidedComparison[] {
  if (study.context.functionalCheck) return [];
  return [
    ...study.ratios.map((pair) => ({
      pair,
      label: say.pooledToDirect(pairName(pair), atLevels([pair])),
    })),
    ...study.armRatios.map((pair) => ({
      pair,
      label: say.armToArm(pair.otherArm, pair.baseArm, atLevels([pair])),
    })),
  ].map(({ pair: { n, ratio, verdict }, label }) => {
    const { value = null, low = null, high = null } = ratio ?? {};
    return { label, n, ratio: value, low, high, verdict };
  });
}
