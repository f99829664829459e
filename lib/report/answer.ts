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
import { latencyComparisons, type Verdict, verdictOf } from "../figures/claims.ts";
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
} from "../figures/format.ts";
import { latencyName } from "../figures/options.ts";
import type { ArmRatio, PathRatio } from "../stats/summary.ts";
import { describeCheck } from "./check.ts";
import { Markdown } from "./display.ts";
import { explainPairs } from "./evidence.ts";
import { describeCores } from "./narrative.ts";
import { readArmRatios } from "./ratios.ts";
import type { Study } from "./study.ts";

/** What the comparisons of one framework answer, in a few words. */
function shortAnswer(evidence: readonly PairEvidence[]): string {
  const pairs = evidence.map(({ pair }) => pair);
  const by = (verdict: Verdict) => pairs.filter((pair) => verdictOf(pair) === verdict);
  const [higher, lower, alike] = [by("higher"), by("lower"), by("indistinguishable")];
  const onlyPooled = pairs.filter(({ failedPaths }) => failedPaths.join() === "direct");
  const unexplained = evidence.filter((one) => judgeGain(one) === "unexplained")
    .map(({ pair }) => pair);
  const helped = higher.filter((pair) => !unexplained.includes(pair));
  if (helped.length > 0 && lower.length > 0) return "it depends on the load";
  if (onlyPooled.length > 0 && lower.length === 0) {
    return `only the pooled path held ${atLevels(onlyPooled)}`;
  }
  if (helped.length > 0) {
    return helped.length === higher.length && alike.length === 0
      ? "yes, for throughput"
      : `for throughput it helped only ${atLevels(helped)}`;
  }
  if (lower.length > 0) {
    return alike.length + higher.length === 0
      ? "no, it costs throughput"
      : `no, it cost throughput ${atLevels(lower)} and gained none elsewhere`;
  }
  if (higher.length > 0) return "pooled was higher, but PgBouncer left no trace that explains it";
  if (alike.length > 0) {
    return evidence.some(sparesPostgres)
      ? "not for throughput, but it spares PostgreSQL work or connections"
      : "this study gives no reason to";
  }
  const ahead = new Set(pairs.map(({ bound }) => bound?.ahead));
  if (ahead.size > 1 || ahead.has(undefined)) return "undecided";
  const trace = unexplained.length === pairs.length ? ", without a trace that explains it" : "";
  return ahead.has("other")
    ? `no run counts, and pooled was ahead in all of them${trace}`
    : "no run counts, and direct was ahead in all of them";
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
function answer(study: Study, evidence: readonly PairEvidence[]): string {
  const pairs = evidence.map(({ pair }) => pair);
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
  const reuse = first.label.includes("reuse=") ? "" : `, reuse \`${first.reuse}\``;
  return `- **${first.label}${reuse}: ${shortAnswer(evidence)}.** ${
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
    return new Markdown(describeCheck(study));
  }
  if (study.ratios.length === 0) {
    const arms = study.armRatios.length === 0 ? "" : `\n\n${readArmRatios(study)}`;
    return new Markdown(
      `No conclusion about PgBouncer: this study has no pair of direct and pooled arms.${arms}`,
    );
  }
  const groups = Map.groupBy(
    pairEvidence(study),
    ({ pair: { label, reuse } }) => `${label} ${reuse}`,
  );
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
      [...groups.values()].map((evidence) => answer(study, evidence)).join("\n")
    }\n\n${scope.join(" ")}`,
  );
}
