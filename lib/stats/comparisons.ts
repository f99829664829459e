/** Which scenarios a study compares, and what their family comes to. */

import type { Plan } from "../plan.ts";
import { armLabels, compareLevels, type Scenario, scenarioId } from "../scenario.ts";
import type { RoundPair } from "./blocks.ts";
import { driftBound } from "./drift_bound.ts";
import { type Comparison, decideFamily, stoppingRule } from "./family.ts";
import { momentsOf } from "./interval.ts";
import { latencyRatios } from "./latency_ratios.ts";
import { sizeFamilies } from "./pool_sizes.ts";
import { differingSettings, shortCause } from "./summarise.ts";
import type {
  ArmRatio,
  PathRatio,
  RejectedBound,
  RunSummary,
  ScenarioSummary,
  ThroughputRatio,
} from "./summary.ts";

type PairKind = "path" | ArmRatio["kind"];

/**
 * The pairs that a plan compares, known before the first run, so that no result decides which there
 * are: each pooled scenario with the direct one of the same framework and load that it differs from
 * least; each scenario with the plan's first of the same framework, path and load, and other settings;
 * each copy with its original. Of pool sizes from which one is selected (`pool_sizes.ts`) only the largest,
 * which limits the least, is in any pair.
 */
export function pairScenarios(scenarios: readonly Scenario[]) {
  const selected = new Set(sizeFamilies(scenarios).flatMap((family) => family.slice(0, -1)));
  const originals = scenarios.filter((one) => one.replica === 0 && !selected.has(one));
  const pairOf = (kind: PairKind, base: Scenario, other: Scenario) => ({
    kind,
    /** What is compared with, and what is compared. */
    base,
    other,
    differences: differingSettings(base, other),
  });
  const like = (other: Scenario, path: Scenario["path"]) =>
    originals.filter((one) =>
      one.path === path && one.framework === other.framework && compareLevels(one, other) === 0
    );
  const paths = originals.filter(({ path }) => path === "pooled").flatMap((pooled) =>
    like(pooled, "direct").map((direct) => pairOf("path", direct, pooled))
      .sort((a, b) => a.differences.length - b.differences.length)
      .slice(0, 1)
  );
  const settings = originals.flatMap((other) => {
    const base = like(other, other.path)[0]!;
    return base === other ? [] : [pairOf("settings", base, other)];
  });
  const copies = scenarios.filter(({ replica }) => replica > 0).flatMap((other) => {
    const id = scenarioId({ ...other, replica: 0 });
    const base = originals.find((one) => scenarioId(one) === id);
    return base === undefined ? [] : [pairOf("replica", base, other)];
  });
  return [...paths, ...settings, ...copies];
}

/**
 * One comparison of throughput between two scenarios, from the rounds that both have: with the blocks
 * that both have, where load alternated between them. A slice without an answer counts; a round without
 * any does not.
 */
export function compareThroughput(
  base: string,
  other: string,
  runs: readonly RunSummary[],
): Comparison {
  const byRound = (scenarioId: string) =>
    new Map(runs.filter((run) => run.scenarioId === scenarioId).map((run) => [run.round, run]));
  const counts = (run?: RunSummary) => run?.status === "ok" && run.rps > 0;
  const [bases, others] = [byRound(base), byRound(other)];
  let rounds = 0;
  while (bases.has(rounds + 1) && others.has(rounds + 1)) rounds++;
  const pairs = [...bases.keys()].sort((a, b) => a - b)
    .filter((round) => counts(bases.get(round)) && counts(others.get(round)))
    .flatMap((round) => pairRuns(round, bases.get(round)!, others.get(round)!) ?? []);
  return { id: `${base} ${other}`, scenarios: [base, other], rounds, pairs };
}

function pairRuns(round: number, base: RunSummary, other: RunSummary): RoundPair | null {
  if (base.slices === null || other.slices === null) {
    return { round, base: base.rps, other: other.rps };
  }
  const rates = new Map(other.slices.map(({ block, rps }) => [block, rps]));
  const blocks = base.slices.filter(({ block }) => rates.has(block))
    .map(({ block, rps }) => ({ base: rps, other: rates.get(block)! }));
  const mean = (arm: "base" | "other") => momentsOf(blocks.map((block) => block[arm])).mean;
  const pair = { round, base: mean("base"), other: mean("other"), blocks };
  return pair.base > 0 && pair.other > 0 ? pair : null;
}

/**
 * Bounds the factor between two arms with too few pairs for an interval; null if a run of either failed
 * or was not counted correctly, and in an open loop, whose throughput is what was asked for.
 */
function boundRejected(ids: string[], runs: readonly RunSummary[]): RejectedBound | null {
  const own = ids.map((id) => runs.filter(({ scenarioId }) => scenarioId === id));
  const all = own.flat();
  const isKnown = ({ status, counted, scenario }: RunSummary) =>
    status !== "failed" && counted && scenario.arrivalRate === null;
  const reasons = new Set(all.flatMap(({ cause }) => cause?.split(": ")[0] ?? []));
  if (own.some(({ length }) => length === 0) || reasons.size === 0 || !all.every(isKnown)) {
    return null;
  }
  const [base, other] = own.map((some) => some.map(({ conditions }) => conditions.rates));
  const bound = driftBound(base!, other!);
  return bound && { ...bound, reasons: [...reasons] };
}

/**
 * Decides all comparisons of a study as one family, by `decideFamily`, from nothing but the plan and the
 * runs, so that a report made later comes to the same end.
 */
export function compareScenarios(
  plan: Pick<Plan, "scenarios" | "rounds" | "maxRounds" | "design">,
  scenarios: readonly ScenarioSummary[],
  runs: readonly RunSummary[],
) {
  const labels = armLabels(plan.scenarios);
  const summaries = new Map(scenarios.map((summary) => [summary.scenarioId, summary]));
  const pairs = pairScenarios(plan.scenarios).map((pair) => ({
    ...pair,
    ids: [scenarioId(pair.base), scenarioId(pair.other)] as [string, string],
  }));
  const rule = stoppingRule(plan.rounds, plan.maxRounds, plan.design === "alternating");
  const family = decideFamily(pairs.map(({ ids }) => compareThroughput(...ids, runs)), rule);
  const latency = latencyRatios(pairs.map(({ ids }) => ids), runs);
  const ratios: PathRatio[] = [];
  const armRatios: ArmRatio[] = [];
  for (const [i, { kind, other: scenario, differences, ids }] of pairs.entries()) {
    const result = family.comparisons[i]!;
    const [baseArm, otherArm] = ids.map((id) => labels.get(id)!) as [string, string];
    const known = ids.flatMap((id) => summaries.get(id) ?? []);
    const without = known.filter((summary) => summary.n === 0);
    const bound = result.df !== null ? null : boundRejected(ids, runs);
    const names = kind === "path" ? ["direct", "pooled"] : [baseArm, otherArm];
    const common: ThroughputRatio = {
      framework: scenario.framework,
      users: scenario.users,
      arrivalRate: scenario.arrivalRate,
      label: pairLabel(baseArm, otherArm),
      reuse: scenario.reuse,
      differences,
      ...result,
      missing: result.n > 0
        ? null
        : known.length < 2
        ? NOT_RUN_YET
        : bound !== null
        ? describeBound(bound, names)
        : missingRatio(without, kind),
      bound,
    };
    const [base, other] = ids;
    const { path } = scenario;
    if (kind === "path") {
      const paths = (failed: boolean) =>
        without.filter(({ failedRuns }) => failedRuns > 0 === failed).map(({ path }) => path);
      const [failedPaths, rejectedPaths] = [paths(true), paths(false)];
      const own = { direct: base, pooled: other, latency: latency[i]!, failedPaths, rejectedPaths };
      ratios.push({ ...common, ...own });
    } else {
      const label = kind === "replica" ? baseArm : otherArm;
      armRatios.push({ ...common, label, kind, path, base, other, baseArm, otherArm });
    }
  }
  return {
    /** Pooled over direct. */
    ratios,
    /** Copies and other settings over what they are compared with. */
    armRatios,
    rule,
    family,
  };
}

/** What both arms of a pair of paths share, as a label: the pooled arm's if it names settings. */
function pairLabel(direct: string, pooled: string): string {
  const arm = pooled.includes(", ") ? pooled : direct;
  return arm.replace(/ (direct|pooled)(?=,|$)/, "");
}

export const NOT_RUN_YET = "not run yet";

function describeBound({ ahead, factor, reasons }: RejectedBound, names: string[]): string {
  const name = names[ahead === "base" ? 0 : 1];
  return `${name} answered at least ${factor} times as much; rejected for ${reasons.join(", ")}`;
}

/** Why scenarios have no run that counts: they failed, or gates rejected all that did not. */
function missingRatio(without: readonly ScenarioSummary[], kind: PairKind): string {
  const whys = without.map((scenario) => ({
    name: kind === "path" ? scenario.path : scenario.arm,
    why: scenario.failedRuns > 0
      ? `failed: ${shortCause(scenario)}`
      : `rejected: ${scenario.rejection}`,
  }));
  const [one, two] = whys;
  if (one === undefined) {
    return `no round in which both ${kind === "path" ? "paths" : "arms"} count`;
  }
  if (one.why === two?.why) return `${one.name} and ${two.name} ${one.why}`;
  return whys.map(({ name, why }) => `${name} ${why}`).join("; ");
}
