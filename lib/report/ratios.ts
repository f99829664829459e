/**
 * Sentences that read the comparisons of throughput: paths, copies and other settings.
 *
 * @module
 */

import { pairName } from "../figures/claims.ts";
import {
  atLevels,
  formatCount,
  formatInterval,
  formatList,
  formatPercent,
  formatRatio,
  formatRatioEnd,
  formatSlowdown,
} from "../wording/format.ts";
import { armRatioLabel } from "../figures/ratio.ts";
import { describeNoDifference } from "../wording/decisions.ts";
import type { ArmRatio, ThroughputRatio } from "../stats/summary.ts";
import { checkReading } from "./check.ts";
import { Markdown } from "./display.ts";
import type { Study } from "./study.ts";

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
  return ` The ${comparisons} intervals of this study are simultaneous: in 95% of studies all of them ` +
    `contain their ratio, and at most 5% of studies call any equal arms different.`;
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
    return new Markdown("This study has no pair of direct and pooled arms.");
  }
  const check = checkReading(study, "throughput");
  if (check !== null) return check;
  const lines = study.ratios.map((pair) =>
    `- ${pairName(pair)} ${atLevels([pair])}: ${ratioWords(pair, "pooled higher", "pooled lower")}`
  );
  const spent = String(describeSpent(study));
  const note = `${spent}${describeFamily(study)}`.trim();
  return new Markdown(
    `Pooled over direct throughput:\n\n${lines.join("\n")}${note === "" ? "" : `\n\n${note}`}`,
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
  return checkReading(study, "throughput") ?? new Markdown(
    `Throughput of one arm over another:\n\n${study.armRatios.map(armRatioSentence).join("\n")}`,
  );
}
