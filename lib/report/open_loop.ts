/**
 * The reading of an open loop, with every number taken from it.
 *
 * @module
 */

import { percentileOf } from "../figures/claims.ts";
import {
  atLevels,
  capitalise,
  formatCount,
  formatList,
  formatNumber,
  formatPercent,
} from "../wording/format.ts";
import { failureSentences, rejectionSentences } from "../figures/options.ts";
import {
  NO_OPEN_LOOP,
  openLoopClaim,
  openLoopPercentile,
  type OpenLoopResults,
} from "../figures/open_loop.ts";
import { appTitle } from "../apps/folders.ts";
import { compareLevels, levelLabel } from "../scenario.ts";
import { groupArms } from "../stats/capacity.ts";
import { isLowerBound } from "../stats/summarise.ts";
import type { PathRatio, ScenarioSummary } from "../stats/summary.ts";
import { checkNotice, checkReading } from "./check.ts";
import { type CellValue, Markdown, Table } from "./display.ts";
import { describeUnaccepted } from "./narrative.ts";
import type { Study } from "./study.ts";
import { describeStatus } from "./status.ts";
import { p999Of, shareOf } from "./tables.ts";

/** `direct 12 ms and pooled ≥ 1,240 ms` of one pair, at its highest rate. */
function readPair(results: OpenLoopResults, pair: PathRatio): string {
  const percentile = openLoopPercentile(results.scenarios);
  const find = (id: string) => results.scenarios.find((one) => one.scenarioId === id);
  const side = (scenario: ScenarioSummary | undefined) => {
    if (scenario === undefined) return "not run";
    const { path, n } = scenario;
    if (n === 0) return `${path} ${scenario.failedRuns > 0 ? "failed" : "rejected"}`;
    const estimate = percentileOf(scenario, percentile);
    if (estimate === null) return `${path} with too few requests`;
    const bound = isLowerBound(scenario, percentile) ? "at least " : "";
    return `${path} ${bound}${formatNumber(estimate.value)} ms`;
  };
  return `${pair.label} ${atLevels([pair])} ${side(find(pair.direct))} and ${
    side(find(pair.pooled))
  }`;
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
  if (plan.openLoop === undefined) return `${NO_OPEN_LOOP}: the study's plan asks for none.`;
  if (!study.complete || study.openLoopPlan() !== null) {
    const next = study.complete
      ? "all runs of it are to come"
      : `the study itself needs ${formatCount(missing.length, "more run")} first`;
    return `${NO_OPEN_LOOP} yet: ${next}.`;
  }
  if (study.scenarios.every(({ ownUsers }) => ownUsers)) {
    return `${NO_OPEN_LOOP}: the users of the apps' own locustfiles decide when they send.`;
  }
  return `${NO_OPEN_LOOP}: its arrival rates are shares of what accepted closed-loop runs answered, ` +
    `and none was accepted: ${describeUnaccepted(runs)}.`;
}

/** The arms that an open loop leaves out: no rate is known to ask of them, or none can be asked. */
function explainLeftOut({ scenarios, ratios }: Study): string[] {
  const originals = scenarios.filter(({ scenario }) => !scenario.replica);
  const withRates = originals.filter(({ ownUsers }) => !ownUsers);
  const unknown = groupArms(withRates, ratios)
    .flatMap((group) => group.capacityRps === null ? group.arms : []);
  const own = originals.filter((one) => !withRates.includes(one)).map(({ arm }) => arm);
  return [
    ["for want of an accepted closed-loop run to take arrival rates from", unknown] as const,
    ["as the users of their own locustfiles decide when they send", [...new Set(own)]] as const,
  ].flatMap(([why, arms]) => arms.length === 0 ? [] : [`Left out, ${why}: ${formatList(arms)}.`]);
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
  const check = checkReading(results, "latency at equal load");
  if (check !== null) return check;
  const { scenarios, ratios, runs, plan } = results;
  const percentile = openLoopPercentile(scenarios);
  const claim = `${openLoopClaim(results, percentile)}. `;
  const pairs = highest(ratios).map((pair) => readPair(results, pair));
  const top = pairs.length === 0
    ? ""
    : `At the highest rate, P${percentile} response time was for ${formatList(pairs)}` +
      `${plan.rounds === 1 ? ", in one run each" : `, medians of up to ${plan.rounds} runs`}. `;
  const rejections = rejectionSentences(scenarios);
  const failed = runs.filter((run) => run.status === "failed").length;
  const notes = [
    ...(rejections.length === 0
      ? []
      : [`**Rejected, in no comparison:** ${capitalise(rejections.join("; "))}.`]),
    ...(failed === 0
      ? []
      : [`${formatCount(failed, "run")} failed: ${failureSentences(scenarios).join("; ")}.`]),
    ...explainLeftOut(study),
  ];
  return new Markdown(`${claim}${top}${notes.join(" ")}`.trim());
}

/**
 * Every scenario of an open loop: response time from when requests were due, service time from when
 * they were sent, and how much of the load was late or never sent.
 *
 * @param results What `runOpenLoop()` returned.
 */
export function openLoopTable(results: OpenLoopResults | null): Table {
  const right = (header: string) => ({ header, align: "right" as const });
  const far = results?.scenarios.some((scenario) => p999Of(scenario) !== null) ?? false;
  const columns = [
    { header: "framework" },
    { header: "path" },
    { header: "reuse" },
    right("arrival rate"),
    right("RPS"),
    right("P50 ms"),
    right("P95 ms"),
    right("P99 ms"),
    ...(far ? [right("P99.9 ms")] : []),
    right("service P95 ms"),
    right("late"),
    right("dropped"),
    right("error rate"),
    right("n"),
    { header: "status" },
  ];
  if (results === null) return new Table(NO_OPEN_LOOP, columns, []);
  const check = checkNotice(results, "latency at equal load", columns);
  if (check !== null) return check;
  const { scenarios } = results;
  const rows = scenarios.map((scenario): CellValue[] => {
    const { responseMs, serviceMs, delivery, rps, errorRate } = scenario;
    const response = (percent: 50 | 95 | 99 | 99.9) => {
      const estimate = responseMs?.[`p${percent}`] ?? null;
      const bound = isLowerBound(scenario, percent) ? "≥ " : "";
      return estimate && bound + formatNumber(estimate.value);
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
    `P50 to P99 are response times, from when a request was due`,
    columns,
    rows,
    new Set(scenarios.flatMap(({ n }, i) => n === 0 ? [i] : [])),
  );
}
