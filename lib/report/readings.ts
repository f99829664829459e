/** Sentences that read a study, with every number taken from it. */

import { GATES } from "../diagnose/gate_table.ts";
import { type FiredGate, firedGates } from "../diagnose/gates.ts";
import { pairName, type Percentile, percentileOf } from "../figures/claims.ts";
import { openLoopClaim, openLoopPercentile, type OpenLoopResults } from "../figures/levels.ts";
import {
  describeLoop,
  failureSentences,
  latencyMeasure,
  latencyName,
  rejectionSentences,
  THROUGHPUT,
} from "../figures/options.ts";
import { armRatioLabel } from "../figures/ratio.ts";
import { escapeXml } from "../figures/style.ts";
import { armLabels, compareLevels } from "../scenario.ts";
import { groupArms } from "../stats/capacity.ts";
import type { StudyContext } from "../stats/context.ts";
import { isLowerBound, shortCause } from "../stats/summarise.ts";
import type {
  ArmRatio,
  PathRatio,
  RunSummary,
  ScenarioSummary,
  ThroughputRatio,
} from "../stats/summary.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { atLevels, formatList } from "../wording/format.ts";
import { gateLines } from "../wording/gates.ts";
import { describeNoDifference, ratioWords } from "../wording/ratios.ts";
import { checkWords, narrativeWords as say, openLoopWords } from "../wording/study.ts";
import { joinTexts, Markdown } from "./display.ts";
import type { Study } from "./study.ts";

/** More faults of files than this are counted, not listed. */
const MAX_WARNINGS = 5;

/** A reading that compares; in a functional check, that it compares nothing. */
function compare(
  { context }: Pick<Study, "context">,
  measure: string,
  read: () => string,
): Markdown {
  return new Markdown(context.functionalCheck ? checkWords.reading(measure) : read());
}

function extreme(
  scenarios: readonly ScenarioSummary[],
  value: (scenario: ScenarioSummary) => number | undefined,
): ScenarioSummary | undefined {
  // A copy is there for its comparison alone.
  return scenarios.filter((one) => value(one) !== undefined && !one.scenario.replica)
    .sort((a, b) => value(b)! - value(a)!)[0];
}

/** Whether the services had cores of their own; null where no run tells. */
export function describeCores(
  { cores, cpuSets }: StudyContext,
  describeShared: (cores: number) => string,
): string | null {
  if (cores === null) return null;
  return cpuSets.length > 0 ? say.ownCores(cpuSets) : describeShared(cores);
}

/** What was compared, how often and under which limits. */
export function describeStudy({ plan, context, runs, missing, warnings }: Study): Markdown {
  const arms = new Set(armLabels(plan.scenarios).values()).size;
  const planned = runs.length + missing.length;
  const further = planned - plan.scenarios.length * plan.rounds;
  const counts = { arms, runs: planned, further, missing: missing.length };
  const more = warnings.length - MAX_WARNINGS;
  const notes = [...context.limitsWarnings, ...warnings.slice(0, MAX_WARNINGS)];
  if (more > 0) notes.push(say.moreFaults(more));
  const sentences = joinTexts(
    " ",
    context.functionalCheck && say.checkOnly,
    say.study(context, atLevels(plan.scenarios), counts),
    say.sentence(context.database),
    context.network && say.sentence(context.network),
    describeCores(context, say.sharedCores),
  );
  return new Markdown([sentences, ...notes.map(say.note)].join("\n\n"));
}

function describeUnaccepted(runs: readonly RunSummary[]): string {
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

function explainNone({ runs }: Study): string {
  return runs.length === 0 ? say.noRun : say.noneAccepted(describeUnaccepted(runs));
}

/** Reads throughput: the claim of the figure, and which arm answered most. */
export function readThroughput(study: Study): Markdown {
  return compare(study, measureWords.throughput, () => {
    const best = extreme(study.scenarios, (scenario) => scenario.rps?.value);
    if (best?.rps == null) return explainNone(study);
    const claim = THROUGHPUT.claim(study.ratios);
    return say.throughput(claim, best.rps, best.n, claimWords.cell(best.arm, [best]));
  });
}

/**
 * Reads a latency percentile: the claim of the figure, and which arm waited longest.
 *
 * @param percentile Which percentile. @default 95
 */
export function readLatency(study: Study, percentile: Percentile = 95): Markdown {
  const { scenarios, ratios } = study;
  return compare(study, measureWords.latency, () => {
    const value = (scenario: ScenarioSummary) => percentileOf(scenario, percentile);
    const worst = extreme(scenarios, (scenario) => value(scenario)?.value);
    const { note: few, claim } = latencyMeasure(scenarios, percentile);
    if (worst === undefined) return few === null ? explainNone(study) : say.sentence(few);
    const bounds = scenarios.filter((one) => one.n > 0 && isLowerBound(one, percentile)).length;
    return joinTexts(
      " ",
      say.latency(
        claim(ratios),
        measureWords.percentile(percentile, latencyName([worst])),
        isLowerBound(worst, percentile),
        value(worst)!,
        worst.n,
        claimWords.cell(worst.arm, [worst]),
      ),
      bounds > 0 && say.lowerBounds(bounds),
      few !== null && say.sentence(few),
      say.sentence(describeLoop(scenarios)),
    );
  });
}

/** Reads what failed. */
export function readFailures(study: Study): Markdown {
  const { runs, scenarios } = study;
  const { failed } = study.counts();
  if (runs.length === 0) return new Markdown(explainNone(study));
  if (failed === 0) return new Markdown(say.noneFailed(runs.length));
  const lines = failureSentences(scenarios).map((sentence) => `- ${sentence}`);
  return new Markdown(`${say.failed(failed, runs.length)}\n\n${lines.join("\n")}`);
}

/** A ratio without its name: verdict, ratio, interval, what could be found, rounds. */
function describeRatio(
  pair: ThroughputRatio,
  verdicts: Record<"higher" | "lower", string>,
): string {
  const { ratio, verdict, detectable } = pair;
  if (ratio === null) return ratioWords.noRatio(pair.missing);
  const equal = describeNoDifference(pair);
  if (verdict === "single") return ratioWords.single(ratio.value, equal);
  const words = equal === null
    ? ratioWords.difference(verdicts[verdict === "higher" ? "higher" : "lower"], ratio, detectable)
    : ratioWords.noDifference(ratio, equal);
  return ratioWords.rounds(words, pair);
}

/** What a study spent on being sure: looks, rounds of each comparison, and the budget. */
export function describeSpent({ family, rule, context }: Study): Markdown {
  const { looks, looked, deviation, comparisons, next } = family;
  if (context.functionalCheck || comparisons.every(({ df }) => df === null)) {
    return new Markdown("");
  }
  const isInTurns = context.turns !== null;
  const open = comparisons.filter((one) => one.open).length;
  const ended = Map.groupBy(comparisons.filter((one) => !one.open), ({ rounds }) => rounds);
  const ends = [...ended].sort(([a], [b]) => a - b)
    .map(([rounds, own]) => ratioWords.ended(own.length, rounds, isInTurns));
  if (open > 0) ends.push(next === null ? ratioWords.undecided(open) : ratioWords.open(open));
  const spent = rule.maxRounds === rule.rounds
    ? ratioWords.fixedRounds(rule.rounds, looks, isInTurns)
    : ratioWords.spent(comparisons.length, ends, looks, rule.maxRounds, isInTurns);
  return new Markdown(
    joinTexts(
      " ",
      spent,
      deviation !== null &&
        (isInTurns
          ? ratioWords.scatterOfStarts(deviation, rule.isFixed ? looked : rule.rounds)
          : ratioWords.noise(deviation, rule.rounds)),
    ),
  );
}

/** Reads the ratios of pooled over direct throughput, one line for each. */
export function readRatios(study: Study): Markdown {
  const { ratios, family: { looked }, context: { comparisons } } = study;
  if (ratios.length === 0) return new Markdown(ratioWords.noPairs);
  return compare(study, measureWords.throughput, () => {
    const lines = ratios.map((pair) =>
      `- ${claimWords.cell(pairName(pair), [pair])}: ${describeRatio(pair, ratioWords.ofPaths)}`
    );
    const holds = looked === 0
      ? ratios.some(({ df }) => df !== null) && ratioWords.early
      : comparisons > 1 && ratioWords.simultaneous(comparisons);
    const note = joinTexts(" ", describeSpent(study), holds);
    return joinTexts("\n\n", ratioWords.pathRatios, lines.join("\n"), note);
  });
}

function armRatioSentence(pair: ArmRatio): string {
  const differs = pair.verdict === "higher" || pair.verdict === "lower";
  const alarm = pair.kind === "replica" && differs ? ratioWords.falseAlarm : "";
  return `- ${armRatioLabel(pair)}: ${describeRatio(pair, ratioWords.ofArms)}${alarm}`;
}

/** Reads the copies of arms (A/A) and those with other settings, one line for each. */
export function readArmRatios(study: Study): Markdown {
  if (study.armRatios.length === 0) return new Markdown(ratioWords.noArmRatios);
  return compare(
    study,
    measureWords.throughput,
    () => `${ratioWords.armRatios}\n\n${study.armRatios.map(armRatioSentence).join("\n")}`,
  );
}

/** `direct 12 ms and pooled ≥ 1,240 ms` of one pair, at its highest rate. */
function readPair({ scenarios }: OpenLoopResults, pair: PathRatio, percentile: Percentile): string {
  const side = (id: string) => {
    const scenario = scenarios.find((one) => one.scenarioId === id);
    if (scenario === undefined) return openLoopWords.notRun;
    const { path, n } = scenario;
    if (n === 0) return claimWords.path(path, scenario.failedRuns > 0 ? "failed" : "rejected");
    const estimate = percentileOf(scenario, percentile);
    if (estimate === null) return openLoopWords.tooFew(path);
    return openLoopWords.waited(path, estimate.value, isLowerBound(scenario, percentile));
  };
  return openLoopWords.pair(pair.label, atLevels([pair]), side(pair.direct), side(pair.pooled));
}

function explainNoOpenLoop(study: Study): string {
  const { plan, missing, runs } = study;
  if (plan.openLoop === undefined) return openLoopWords.notAsked;
  if (!study.complete) return openLoopWords.studyFirst(missing.length);
  if (study.openLoopPlan() !== null) return openLoopWords.toCome;
  if (study.scenarios.every(({ ownUsers }) => ownUsers)) return openLoopWords.ownUsers;
  return openLoopWords.noRates(describeUnaccepted(runs));
}

/** The arms that an open loop leaves out: no rate is known to ask of them, or none can be asked. */
function explainLeftOut({ scenarios, ratios }: Study): string[] {
  const originals = scenarios.filter(({ scenario }) => !scenario.replica);
  const unknown = groupArms(originals.filter(({ ownUsers }) => !ownUsers), ratios)
    .flatMap((group) => group.capacityRps === null ? group.arms : []);
  const own = new Set(originals.filter(({ ownUsers }) => ownUsers).map(({ arm }) => arm));
  return [
    unknown.length === 0 ? [] : openLoopWords.leftOutForRates(unknown),
    own.size === 0 ? [] : openLoopWords.leftOutForUsers([...own]),
  ].flat();
}

/**
 * Reads an open loop: the claim, what both paths take at the highest rate, and what was wrong with
 * the load; or why there is none.
 *
 * @param results What `runOpenLoop()` returned.
 * @param study The study that it follows.
 */
export function readOpenLoop(results: OpenLoopResults | null, study: Study): Markdown {
  if (results === null) return new Markdown(explainNoOpenLoop(study));
  return compare(results, measureWords.latencyAtEqualLoad, () => {
    const { scenarios, ratios, runs, plan } = results;
    const percentile = openLoopPercentile(scenarios);
    // Each label at its highest rate.
    const pairs = [...Map.groupBy(ratios, ({ label }) => label).values()]
      .map((own) => readPair(results, own.toSorted(compareLevels).at(-1)!, percentile));
    const rejections = rejectionSentences(scenarios);
    const failed = runs.filter((run) => run.status === "failed").length;
    return joinTexts(
      " ",
      `${openLoopClaim(results, percentile)}.`,
      pairs.length > 0 && openLoopWords.highest(percentile, pairs, plan.rounds),
      rejections.length > 0 && openLoopWords.rejections(rejections),
      failed > 0 && openLoopWords.failures(failed, failureSentences(scenarios)),
      ...explainLeftOut(study),
    );
  });
}

/** `Shop direct at 1000 users (2 of 5 runs)`, arms with the same cells together. */
export function describeCells({ cells, runs }: FiredGate, study: Study): string {
  const whole = cells.length === study.scenarios.length;
  if (whole && runs === study.runs.length) return gateLines.everyRun;
  if (whole && cells.length > 2) return gateLines.everyCell(runs, study.runs.length);
  const byArm = Map.groupBy(cells.map(({ scenario }) => scenario), ({ arm }) => arm);
  const byPlace = Map.groupBy(byArm, ([, own]) => atLevels(own));
  const places = [...byPlace]
    .map(([at, arms]): [string, string[]] => [at, arms.map(([arm]) => arm)]);
  return gateLines.cells(places, runs, cells.reduce((sum, { of }) => sum + of, 0));
}

/** A gate in one line, which unfolds to what was seen, the likely cause and the next step. */
function unfoldingLine(fired: FiredGate, study: Study): string {
  const { gate, cells, runs, seen } = fired;
  const several = runs !== 1 && cells.length > 0;
  const most = gate.kind === "finding" ? gateLines.atMost : gateLines.atWorst;
  const where = cells.length === 0 ? "" : `: ${escapeXml(describeCells(fired, study))}`;
  return [
    `<details><summary><b>${escapeXml(gate.title)}</b>${where}</summary>`,
    gateLines.seen((several ? most : "") + seen, gate.cause, gate.next),
    "</details>",
  ].join("\n\n");
}

/**
 * Reads the gates: how many runs count, and what was seen, by kind, each in a line
 * that unfolds to its likely cause and the next step.
 */
export function readGates(study: Study): Markdown {
  const fired = firedGates(study);
  const { accepted: ok, rejected, failed } = study.counts();
  const kinds = (["reject", "limit", "finding"] as const).flatMap((kind) => {
    const lines = fired.filter(({ gate }) => gate.kind === kind)
      .map((one) => unfoldingLine(one, study));
    return lines.length === 0 ? [] : [`**${gateLines.kinds[kind]}**`, ...lines];
  });
  const head = study.runs.length === 0
    ? say.noRun
    : gateLines.counted({ ok, rejected, failed }, fired.length, GATES.length);
  const check = study.context.functionalCheck ? gateLines.check : "";
  return new Markdown([head + check, ...kinds].join("\n\n"));
}
