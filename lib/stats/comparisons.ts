/**
 * The comparisons that a study makes: which scenarios are held against each other, and what their
 * family comes to.
 *
 * @module
 */

import type { Plan } from "../plan.ts";
import {
  armLabels,
  compareLevels,
  type Scenario,
  scenarioId,
  type ScenarioKey,
} from "../scenario.ts";
import {
  type Comparison,
  type ComparisonResult,
  decideFamily,
  type FamilyResult,
  type StoppingRule,
  stoppingRule,
} from "./family.ts";
import { driftBound } from "./drift_bound.ts";
import { differingSettings, shortCause } from "./summarise.ts";
import type {
  ArmRatio,
  PathRatio,
  RejectedBound,
  RunSummary,
  ScenarioSummary,
  ThroughputRatio,
} from "./summary.ts";

/** Two scenarios that are compared. */
export interface ScenarioPair {
  /** Direct and pooled, a scenario and its copy, or two settings of one arm. */
  kind: "path" | ArmRatio["kind"];
  /** What is compared with, and what is compared. */
  base: Scenario;
  other: Scenario;
  /** Settings that differ, besides what the kind says. */
  differences: ScenarioKey[];
}

/**
 * The pairs that a plan compares; they are known before the first run, so that no result decides
 * which there are:
 *
 * - each pooled scenario with the direct one of the same framework and load that it differs from
 *   least;
 * - each scenario with the first of the plan that has the same framework, path and load, and other
 *   settings;
 * - each copy with its original.
 *
 * @param scenarios A plan's scenarios, in its order.
 */
export function pairScenarios(scenarios: readonly Scenario[]): ScenarioPair[] {
  const originals = scenarios.filter(({ replica }) => replica === 0);
  const alike = (a: Scenario, b: Scenario) =>
    a.framework === b.framework && compareLevels(a, b) === 0;
  const paths = originals.filter(({ path }) => path === "pooled").flatMap((pooled) => {
    const [nearest] = originals.filter((one) => one.path === "direct" && alike(one, pooled))
      .map((direct) => ({ direct, differences: differingSettings(direct, pooled) }))
      .sort((a, b) => a.differences.length - b.differences.length);
    if (nearest === undefined) return [];
    const { direct, differences } = nearest;
    return [{ kind: "path" as const, base: direct, other: pooled, differences }];
  });
  const settings = originals.flatMap((other) => {
    const base = originals.find((one) => one.path === other.path && alike(one, other))!;
    if (base === other) return [];
    return [{
      kind: "settings" as const,
      base,
      other,
      differences: differingSettings(base, other),
    }];
  });
  const copies = scenarios.filter(({ replica }) => replica > 0).flatMap((other) => {
    const id = scenarioId({ ...other, replica: 0 });
    const base = originals.find((one) => scenarioId(one) === id);
    return base === undefined ? [] : [{ kind: "replica" as const, base, other, differences: [] }];
  });
  return [...paths, ...settings, ...copies];
}

/**
 * One comparison of throughput between two scenarios, from the rounds that both have.
 *
 * @param id Tells it from the others of its family.
 * @param base The id of the scenario that is compared with.
 * @param other The id of the scenario that is compared.
 * @param runs All runs of the study, failed ones among them.
 */
export function compareThroughput(
  id: string,
  base: string,
  other: string,
  runs: readonly RunSummary[],
): Comparison {
  const byRound = (scenarioId: string) =>
    new Map(
      runs.filter((run) => run.scenarioId === scenarioId).map((run) => [run.round, run]),
    );
  const [bases, others] = [byRound(base), byRound(other)];
  let rounds = 0;
  while (bases.has(rounds + 1) && others.has(rounds + 1)) rounds++;
  const pairs = [...bases.keys()].sort((a, b) => a - b)
    .filter((round) => counts(bases.get(round)) && counts(others.get(round)))
    .map((round) => ({ round, base: bases.get(round)!.rps, other: others.get(round)!.rps }));
  return { id, scenarios: [base, other], rounds, pairs };
}

/**
 * What two arms bear of which too few pairs of runs count for an interval: nothing if a run of either failed or was not
 * counted correctly, and nothing of an open loop, whose throughput is what was asked for.
 */
function boundRejected(
  ids: readonly [string, string],
  runs: readonly RunSummary[],
): RejectedBound | null {
  const [base, other] = ids.map((id) => runs.filter((run) => run.scenarioId === id)) as [
    RunSummary[],
    RunSummary[],
  ];
  const all = [...base, ...other];
  const isKnown = ({ status, counted, scenario }: RunSummary) =>
    status !== "failed" && counted && scenario.arrivalRate === null;
  const reasons = new Set(all.flatMap(({ cause }) => cause?.split(": ")[0] ?? []));
  if (base.length === 0 || other.length === 0 || reasons.size === 0) return null;
  if (!all.every(isKnown)) return null;
  const ratesOf = (own: RunSummary[]) => own.map(({ conditions }) => conditions.rates);
  const bound = driftBound(ratesOf(base), ratesOf(other));
  return bound && { ...bound, reasons: [...reasons] };
}

/** Whether a run may enter a comparison. */
function counts(run: RunSummary | undefined): boolean {
  return run?.status === "ok" && run.rps > 0;
}

/** Everything that a study compares, decided. */
export interface StudyComparisons {
  /** Pooled over direct. */
  ratios: PathRatio[];
  /** Copies and other settings over what they are compared with. */
  armRatios: ArmRatio[];
  /** When the study looks at its data. */
  rule: StoppingRule;
  /** All of these comparisons together, in the order of `pairScenarios`. */
  family: FamilyResult;
}

/**
 * Decides all comparisons of a study as one family; see `decideFamily`. Nothing but the plan and
 * the runs goes into it, so that a report made later comes to the same end.
 *
 * @param plan The study's plan.
 * @param scenarios Its scenarios over their rounds, as far as they were run.
 * @param runs Its runs.
 */
export function compareScenarios(
  plan: Pick<Plan, "scenarios" | "rounds" | "maxRounds">,
  scenarios: readonly ScenarioSummary[],
  runs: readonly RunSummary[],
): StudyComparisons {
  const labels = armLabels(plan.scenarios);
  const summaries = new Map(scenarios.map((summary) => [summary.scenarioId, summary]));
  const pairs = pairScenarios(plan.scenarios).map((pair) => ({
    ...pair,
    ids: [scenarioId(pair.base), scenarioId(pair.other)] as [string, string],
  }));
  const rule = stoppingRule(plan.rounds, plan.maxRounds);
  const family = decideFamily(
    pairs.map(({ ids: [base, other] }) => compareThroughput(`${base} ${other}`, base, other, runs)),
    rule,
  );
  const ratios: PathRatio[] = [];
  const armRatios: ArmRatio[] = [];
  pairs.forEach(({ kind, other, differences, ids }, i) => {
    const [baseArm, otherArm] = ids.map((id) => labels.get(id)!) as [string, string];
    const without = ids.flatMap((id) => summaries.get(id) ?? []).filter(({ n }) => n === 0);
    const notRun = ids.some((id) => !summaries.has(id));
    const bound = family.comparisons[i]!.n > 1 ? null : boundRejected(ids, runs);
    const names = kind === "path" ? ["direct", "pooled"] as const : [baseArm, otherArm] as const;
    const common: ThroughputRatio = {
      framework: other.framework,
      users: other.users,
      arrivalRate: other.arrivalRate,
      label: pairLabel(baseArm, otherArm),
      reuse: other.reuse,
      differences,
      ...decided(family.comparisons[i]!),
      missing: family.comparisons[i]!.n > 0
        ? null
        : notRun
        ? NOT_RUN_YET
        : bound !== null
        ? describeBound(bound, names)
        : missingRatio(without, kind),
      bound,
    };
    if (kind === "path") {
      const paths = (failed: boolean) =>
        without.filter(({ failedRuns }) => failedRuns > 0 === failed).map(({ path }) => path);
      ratios.push({
        ...common,
        direct: ids[0],
        pooled: ids[1],
        failedPaths: paths(true),
        rejectedPaths: paths(false),
      });
    } else {
      const { path } = other;
      const label = kind === "replica" ? baseArm : otherArm;
      armRatios.push({
        ...common,
        label,
        kind,
        path,
        base: ids[0],
        other: ids[1],
        baseArm,
        otherArm,
      });
    }
  });
  return { ratios, armRatios, rule, family };
}

/** What is said of a comparison beside its scenarios. */
function decided({ n, ratio, verdict, open, detectable, deviation }: ComparisonResult) {
  return { n, ratio, verdict, open, detectable, deviation };
}

/** What both arms of a pair of paths share, as a label: the pooled arm's if it names settings. */
function pairLabel(direct: string, pooled: string): string {
  const arm = pooled.includes(", ") ? pooled : direct;
  return arm.replace(/ (direct|pooled)(?=,|$)/, "");
}

/** What stands for a ratio whose runs are to come. */
export const NOT_RUN_YET = "not run yet";

/** Why a scenario has no run that counts: it failed, or gates rejected all that did not. */
function whyNone(scenario: ScenarioSummary): string {
  return scenario.failedRuns > 0
    ? `failed: ${shortCause(scenario)}`
    : `rejected: ${scenario.rejection}`;
}

function describeBound(
  { ahead, factor, reasons }: RejectedBound,
  [base, other]: readonly [string, string],
): string {
  const name = ahead === "base" ? base : other;
  return `${name} answered at least ${factor} times as much; rejected for ${reasons.join(", ")}`;
}

function missingRatio(without: readonly ScenarioSummary[], kind: ScenarioPair["kind"]): string {
  if (without.length === 0) {
    return `no round in which both ${kind === "path" ? "paths" : "arms"} count`;
  }
  const whys = without.map((scenario) => ({
    name: kind === "path" ? scenario.path : scenario.arm,
    why: whyNone(scenario),
  }));
  if (whys.length === 2 && whys[0]!.why === whys[1]!.why) {
    return `${whys.map(({ name }) => name).join(" and ")} ${whys[0]!.why}`;
  }
  return whys.map(({ name, why }) => `${name} ${why}`).join("; ");
}
