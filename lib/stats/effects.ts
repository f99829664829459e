/** What each single choice brings: of one app at one load, two arms that differ in it alone. */

import type { Plan } from "../plan.ts";
import {
  armLabels,
  compareLevels,
  type Scenario,
  scenarioId,
  type ScenarioKey,
} from "../scenario.ts";
import { compareThroughput, NOT_RUN_YET } from "./comparisons.ts";
import { decideFamily, stoppingRule } from "./family.ts";
import { momentsOf } from "./interval.ts";
import { differingSettings } from "./summarise.ts";
import type { Estimate, RunSummary, ThroughputRatio } from "./summary.ts";

/** The choices, each with its values in the order in which they are compared. */
const CHOICES = {
  reuse: ["per_request", "persistent", "app_pool"],
  path: ["direct", "pooled"],
  preparedStatements: [false, true],
  livenessCheck: [false, true],
  poolMode: ["session", "transaction"],
} as const satisfies Partial<Record<ScenarioKey, readonly unknown[]>>;

export type Choice = keyof typeof CHOICES;

const CHOICE_NAMES = Object.keys(CHOICES) as Choice[];

/** Settings that follow from a choice, so that they differ with it. */
const FOLLOWING: Partial<Record<ScenarioKey, Choice>> = {
  maxPreparedStatements: "preparedStatements",
};

/** What one choice brings to an app at a load, with simultaneous intervals over all effects of a study. */
export interface Effect extends ThroughputRatio {
  choice: Choice;
  /** What is compared with, and what is compared. */
  base: Scenario;
  other: Scenario;
  /** Choices beside this one in which the app's arms differ at all: what `other` has of them, `base` has too. */
  beside: Choice[];
  /**
   * Milliseconds that a request takes more, or less below 0: between requests, N users that think for
   * Z take N / X - Z (the interactive response time law: Denning & Buzen, "The operational analysis of
   * queueing network models", Computing Surveys 10(3), 1978). Null in an open loop, and without a pair.
   */
  addedMs: Estimate | null;
}

/** The choice in which two arms differ, and nothing else; null where there is none, or another one too. */
function choiceBetween(a: Scenario, b: Scenario): Choice | null {
  const differing: string[] = differingSettings(a, b);
  if (a.path !== b.path) differing.push("path");
  const own = differing.filter((key) => {
    const choice = FOLLOWING[key as ScenarioKey];
    return choice === undefined || !differing.includes(choice);
  });
  const [only] = own;
  return own.length === 1 && Object.hasOwn(CHOICES, only!) ? only as Choice : null;
}

/**
 * The pairs of arms whose effects a plan shows, known before the first run; none where the path alone
 * differs, which is what a study compares anyway.
 */
export function effectPairs(
  scenarios: readonly Scenario[],
): { choice: Choice; base: Scenario; other: Scenario }[] {
  const arms = scenarios.filter(({ replica }) => replica === 0);
  const pairs = arms.flatMap((a, i) =>
    arms.slice(i + 1)
      .filter((b) => b.framework === a.framework && compareLevels(a, b) === 0)
      .flatMap((b) => {
        const choice = choiceBetween(a, b);
        if (choice === null) return [];
        const place = (one: Scenario) =>
          (CHOICES[choice] as readonly unknown[]).indexOf(one[choice]);
        const [base, other] = place(a) <= place(b) ? [a, b] : [b, a];
        return [{ choice, base, other }];
      })
  );
  const placeOf = ({ choice }: { choice: Choice }) => CHOICE_NAMES.indexOf(choice);
  if (pairs.every(({ choice }) => choice === "path")) return [];
  return pairs.toSorted((a, b) => placeOf(a) - placeOf(b));
}

/** The choices that some of these arms have one way and some another. */
function varying(scenarios: readonly Scenario[]): Choice[] {
  return CHOICE_NAMES.filter((choice) => new Set(scenarios.map((one) => one[choice])).size > 1);
}

/** By how much longer requests take where throughput changes by a ratio. */
function addedMs(
  { ratio, users }: Pick<ThroughputRatio, "ratio" | "users">,
  baseRps: number,
): Estimate | null {
  if (ratio === null || users === null) return null;
  const added = (of: number | null) => of === null ? null : 1000 * users / baseRps * (1 / of - 1);
  // Who answers less takes longer.
  return { value: added(ratio.value)!, low: added(ratio.high), high: added(ratio.low) };
}

/** Effects of a study's choices, in the order of these. */
export function effectsOf(
  { scenarios, rounds, maxRounds, design }: Pick<
    Plan,
    "scenarios" | "rounds" | "maxRounds" | "design"
  >,
  runs: readonly RunSummary[],
): Effect[] {
  const pairs = effectPairs(scenarios);
  const compared = pairs.map(({ base, other }) =>
    compareThroughput(scenarioId(base), scenarioId(other), runs)
  );
  const rule = stoppingRule(rounds, maxRounds, design === "alternating");
  const { comparisons } = decideFamily(compared, rule);
  const labels = armLabels(scenarios);
  return pairs.map(({ choice, base, other }, i): Effect => {
    const { framework, users, arrivalRate, reuse } = other;
    const result = comparisons[i]!;
    const bases = compared[i]!.pairs.map((pair) => pair.base);
    const arms = scenarios.filter((one) =>
      one.framework === framework && compareLevels(one, other) === 0
    );
    return {
      ...result,
      framework,
      users,
      arrivalRate,
      reuse,
      label: labels.get(scenarioId(other))!,
      differences: [],
      missing: result.n > 0 ? null : NOT_RUN_YET,
      bound: null,
      choice,
      base,
      other,
      beside: varying(arms).filter((one) =>
        one !== choice && (one === "poolMode" ? other.path === "pooled" : base[one] === other[one])
      ),
      addedMs: addedMs({ ratio: result.ratio, users }, momentsOf(bases).mean),
    };
  });
}

/** The effects that are shown to make a difference, the largest first. */
export function shownEffects(effects: readonly Effect[]): Effect[] {
  const size = ({ ratio }: Effect) => Math.abs(Math.log(ratio!.value));
  return effects.filter(({ verdict }) => verdict === "higher" || verdict === "lower")
    .toSorted((a, b) => size(b) - size(a));
}
