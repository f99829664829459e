/**
 * The reading of an open loop, with every number taken from it.
 *
 * @module
 */

import { percentileOf } from "../figures/claims.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { figureTitles } from "../wording/figures.ts";
import { atLevels, formatNumber, formatPercent } from "../wording/format.ts";
import { openLoopWords as say } from "../wording/study.ts";
import { heading, tableWords } from "../wording/tables.ts";
import { failureSentences, rejectionSentences } from "../figures/options.ts";
import { openLoopClaim, openLoopPercentile, type OpenLoopResults } from "../figures/open_loop.ts";
import { appTitle } from "../apps/folders.ts";
import { compareLevels, levelLabel } from "../scenario.ts";
import { groupArms } from "../stats/capacity.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type { PathRatio, ScenarioSummary } from "../stats/summary.ts";
import { checkNotice, checkReading } from "./check.ts";
import { type CellValue, left, Markdown, right, Table } from "./display.ts";
import { describeUnaccepted } from "./narrative.ts";
import type { Study } from "./study.ts";
import { describeStatus } from "./status.ts";
import { p999Of, shareOf } from "./tables.ts";

/** `direct 12 ms and pooled ≥ 1,240 ms` of one pair, at its highest rate. */
function readPair(results: OpenLoopResults, pair: PathRatio): string {
  const percentile = openLoopPercentile(results.scenarios);
  const find = (id: string) => results.scenarios.find((one) => one.scenarioId === id);
  const side = (scenario: ScenarioSummary | undefined) => {
    if (scenario === undefined) return say.notRun;
    const { path, n } = scenario;
    if (n === 0) return claimWords.path(path, scenario.failedRuns > 0 ? "failed" : "rejected");
    const estimate = percentileOf(scenario, percentile);
    if (estimate === null) return say.tooFew(path);
    return say.waited(path, estimate.value, isLowerBound(scenario, percentile));
  };
  return say.pair(pair.label, atLevels([pair]), side(find(pair.direct)), side(find(pair.pooled)));
}

/** The pairs of each label at their highest rate. */
function highest(ratios: readonly PathRatio[]): PathRatio[] {
  const byLabel = new Map<string, PathRatio>();
  for (const pair of ratios) {
    const known = byLabel.get(pair.label);
    if (known === undefined || compareLevels(pair, known) > 0) byLabel.set(pair.label, pair);
  }
  return [...byLabel.values()];
}

/** Why a study has no open loop. */
function explainNoOpenLoop(study: Study): string {
  const { plan, missing, runs } = study;
  if (plan.openLoop === undefined) return say.notAsked;
  if (!study.complete) return say.studyFirst(missing.length);
  if (study.openLoopPlan() !== null) return say.toCome;
  if (study.scenarios.every(({ ownUsers }) => ownUsers)) return say.ownUsers;
  return say.noRates(describeUnaccepted(runs));
}

/** The arms that an open loop leaves out: no rate is known to ask of them, or none can be asked. */
function explainLeftOut({ scenarios, ratios }: Study): string[] {
  const originals = scenarios.filter(({ scenario }) => !scenario.replica);
  const withRates = originals.filter(({ ownUsers }) => !ownUsers);
  const unknown = groupArms(withRates, ratios)
    .flatMap((group) => group.capacityRps === null ? group.arms : []);
  const own = originals.filter((one) => !withRates.includes(one)).map(({ arm }) => arm);
  return [
    unknown.length === 0 ? [] : [say.leftOutForRates(unknown)],
    own.length === 0 ? [] : [say.leftOutForUsers([...new Set(own)])],
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
  const check = checkReading(results, measureWords.latencyAtEqualLoad);
  if (check !== null) return check;
  const { scenarios, ratios, runs, plan } = results;
  const percentile = openLoopPercentile(scenarios);
  const pairs = highest(ratios).map((pair) => readPair(results, pair));
  const rejections = rejectionSentences(scenarios);
  const failed = runs.filter((run) => run.status === "failed").length;
  const sentences = [
    `${openLoopClaim(results, percentile)}.`,
    ...(pairs.length === 0 ? [] : [say.highest(percentile, pairs, plan.rounds)]),
    ...(rejections.length === 0 ? [] : [say.rejections(rejections)]),
    ...(failed === 0 ? [] : [say.failures(failed, failureSentences(scenarios))]),
    ...explainLeftOut(study),
  ];
  return new Markdown(sentences.join(" "));
}

/**
 * Every scenario of an open loop: response time from when requests were due, service time from when
 * they were sent, and how much of the load was late or never sent.
 *
 * @param results What `runOpenLoop()` returned.
 */
export function openLoopTable(results: OpenLoopResults | null): Table {
  const far = results?.scenarios.some((scenario) => p999Of(scenario) !== null) ?? false;
  const columns = [
    left(heading.framework),
    left(heading.path),
    left(heading.reuse),
    right(heading.arrivalRate),
    right(heading.rps),
    right(heading.p50),
    right(heading.p95),
    right(heading.p99),
    ...(far ? [right(heading.p999)] : []),
    right(heading.serviceP95),
    right(heading.late),
    right(heading.dropped),
    right(heading.errorRate),
    right(heading.n),
    left(heading.status),
  ];
  if (results === null) return new Table(figureTitles.noOpenLoop, columns, []);
  const check = checkNotice(results, measureWords.latencyAtEqualLoad, columns);
  if (check !== null) return check;
  const { scenarios } = results;
  const rows = scenarios.map((scenario): CellValue[] => {
    const { responseMs, serviceMs, delivery, rps, errorRate } = scenario;
    const response = (percent: 50 | 95 | 99 | 99.9) => {
      const estimate = responseMs?.[`p${percent}`] ?? null;
      return estimate && tableWords.milliseconds(estimate.value, isLowerBound(scenario, percent));
    };
    return [
      appTitle(scenario.framework),
      scenario.path,
      scenario.scenario.reuse,
      levelLabel(scenario),
      rps && formatNumber(rps.value),
      response(50),
      response(95),
      response(99),
      ...(far ? [response(99.9)] : []),
      serviceMs.p95 && formatNumber(serviceMs.p95.value),
      shareOf(delivery, "late"),
      shareOf(delivery, "dropped"),
      errorRate === null ? null : formatPercent(errorRate),
      scenario.n,
      describeStatus(scenario),
    ];
  });
  return new Table(
    say.caption,
    columns,
    rows,
    new Set(scenarios.flatMap(({ n }, i) => n === 0 ? [i] : [])),
  );
}
