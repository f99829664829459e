/**
 * Sentences that read the comparisons of throughput: paths, copies and other settings.
 *
 * @module
 */

import { pairName } from "../figures/claims.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { describeNoDifference, ratioWords as say } from "../wording/ratios.ts";
import { tableWords } from "../wording/tables.ts";
import { armRatioLabel } from "../figures/ratio.ts";
import type { ArmRatio, ThroughputRatio } from "../stats/summary.ts";
import { checkReading } from "./check.ts";
import { Markdown } from "./display.ts";
import type { Study } from "./study.ts";

/** What a ratio says, without its name: verdict, ratio, interval, what could be found, rounds. */
function describeRatio(
  pair: ThroughputRatio,
  verdicts: Record<"higher" | "lower", string>,
): string {
  const { ratio, verdict, detectable, n } = pair;
  if (ratio === null) return say.noRatio(pair.missing);
  const equal = describeNoDifference(pair);
  if (verdict === "single") return say.single(ratio.value, equal);
  const words = equal === null
    ? say.difference(verdicts[verdict === "higher" ? "higher" : "lower"], ratio, detectable)
    : say.noDifference(ratio, equal);
  return say.rounds(words, n);
}

/** What the corrections are for, where several comparisons share them. */
function describeFamily({ context: { comparisons } }: Study): string {
  return comparisons < 2 ? "" : say.simultaneous(comparisons);
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
  const noiseText = noise === null ? "" : say.noise(noise, rule.rounds);
  if (rule.maxRounds === rule.rounds) {
    return new Markdown(join(" ", say.fixedRounds(rule.rounds), noiseText));
  }
  const spent = [...new Set(comparisons.filter(({ open }) => !open).map(({ rounds }) => rounds))]
    .sort((a, b) => a - b)
    .map((rounds) => {
      const ended = comparisons.filter((one) => !one.open && one.rounds === rounds);
      return say.ended(ended.length, rounds);
    });
  const open = comparisons.filter((one) => one.open).length;
  const ends = [
    ...spent,
    ...(open === 0 ? [] : [next === null ? say.undecided(open) : say.open(open)]),
  ];
  return new Markdown(
    join(" ", say.spent(comparisons.length, ends, looks, rule.maxRounds), noiseText),
  );
}

/** Those texts that are not empty. */
function join(separator: string, ...texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join(separator);
}

/**
 * Reads the ratios of pooled over direct throughput, one line for each.
 *
 * @param study The study.
 */
export function readRatios(study: Study): Markdown {
  if (study.ratios.length === 0) return new Markdown(say.noPairs);
  const check = checkReading(study, measureWords.throughput);
  if (check !== null) return check;
  const lines = study.ratios.map((pair) =>
    `- ${claimWords.cell(pairName(pair), [pair])}: ${describeRatio(pair, say.ofPaths)}`
  );
  const note = join(" ", String(describeSpent(study)), describeFamily(study));
  return new Markdown(join("\n\n", say.pathRatios, lines.join("\n"), note));
}

function armRatioSentence(pair: ArmRatio): string {
  const alarm = pair.kind === "replica" && (pair.verdict === "higher" || pair.verdict === "lower")
    ? say.falseAlarm
    : "";
  return `- ${armRatioLabel(pair)}: ${describeRatio(pair, tableWords.ofArms)}${alarm}`;
}

/**
 * Reads the copies of arms (A/A) and those with other settings, one line for each.
 *
 * @param study The study.
 */
export function readArmRatios(study: Study): Markdown {
  if (study.armRatios.length === 0) return new Markdown(say.noArmRatios);
  return checkReading(study, measureWords.throughput) ?? new Markdown(
    `${say.armRatios}\n\n${study.armRatios.map(armRatioSentence).join("\n")}`,
  );
}
