/**
 * How far a study meets the published result of the `seed` plan, and whether it repeats its flaws.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { appTitle } from "../apps/folders.ts";
import { CHURN, pairEvidence } from "../diagnose/evidence.ts";
import { firedGates } from "../diagnose/gates.ts";
import { pairName } from "../figures/claims.ts";
import { namedPlan } from "../plan.ts";
import type { Framework, Path, ScenarioKey } from "../scenario.ts";
import { NOT_RUN_YET } from "../stats/comparisons.ts";
import { median } from "../stats/percentile.ts";
import { differingSettings } from "../stats/summarise.ts";
import type { PathRatio } from "../stats/summary.ts";
import { ROOT } from "../store/layout.ts";
import { claimWords } from "../wording/claims.ts";
import { capitalise, formatList, formatNumber } from "../wording/format.ts";
import { flawWords, publishedWords as say } from "../wording/published.ts";
import { ratioWords } from "../wording/ratios.ts";
import { poolerWords } from "../wording/telemetry.ts";
import { type Table, tableOf } from "./display.ts";
import { describeCells } from "./readings.ts";
import type { Study } from "./study.ts";

interface PublishedCell {
  framework: Framework;
  path: Path;
  rps: number;
  /** What else is known of it: where its only run failed, `rps` is of a later one. */
  note: string | null;
}

/** The published result: one run per cell, in fixed order, on another machine. */
const PUBLISHED: { users: number; cells: PublishedCell[] } = JSON.parse(
  readFileSync(join(ROOT, "data", "published", "seed.json"), "utf8"),
);

function publishedPairs({ ratios }: Study) {
  return ratios.flatMap((pair) => {
    const find = (path: Path) =>
      PUBLISHED.cells.find((one) => one.framework === pair.framework && one.path === path);
    const [direct, pooled] = [find("direct"), find("pooled")];
    return pair.users !== PUBLISHED.users || direct === undefined || pooled === undefined
      ? []
      : [{ pair, direct, pooled }];
  });
}

/** Whether a study agrees with a published ratio: in direction, and within its interval or not. */
function verdictOn(published: number, pair: PathRatio): string {
  const { verdict } = pair;
  if (verdict === "none") return pair.missing ?? ratioWords.verdicts.none;
  if (pair.open) return ratioWords.verdicts.open;
  if (verdict === "single") return ratioWords.verdicts.single;
  const { low, high } = pair.ratio!;
  const within = published >= low! && published <= high!;
  if (verdict === "indistinguishable") return within ? say.equalWithin : say.equalBeyond;
  if ((verdict === "higher") !== (published > 1)) return say.opposite;
  return within ? say.sameWithin : say.sameBeyond;
}

/** The settings in which a scenario differs from the published ones of its arm. */
function differencesFrom(study: Study, scenarioId: string): ScenarioKey[] {
  const own = study.scenarios.find((scenario) => scenario.scenarioId === scenarioId)?.scenario;
  const published = namedPlan("seed").scenarios.find((scenario) =>
    scenario.framework === own?.framework && scenario.path === own.path &&
    scenario.users === PUBLISHED.users
  );
  return own === undefined || published === undefined ? [] : differingSettings(published, own);
}

/**
 * How far the published result is met on this machine: direction and ratio of pooled over direct at
 * its number of users, and the settings in which the study differs from the published ones. Absolute numbers
 * of two machines are not compared.
 *
 * @param study The study.
 * @returns Nothing where the study has no cells of the published result, or is a functional check.
 */
export function publishedTable(study: Study): Table | undefined {
  const pairs = publishedPairs(study);
  if (study.context.functionalCheck || pairs.length === 0) return undefined;
  const rpsOf = (id: string) => {
    const scenario = study.scenarios.find(({ scenarioId }) => scenarioId === id);
    if (scenario === undefined) return NOT_RUN_YET;
    const { rps, failedRuns } = scenario;
    if (rps !== null) return formatNumber(rps.value);
    return claimWords[failedRuns > 0 ? "failed" : "rejected"];
  };
  return tableOf(say.caption(PUBLISHED.users, study.name), pairs, [
    ["framework", ({ pair }) => pair.label],
    ["published", ({ direct, pooled }) => say.publishedCell(direct.rps, pooled.rps, direct.note)],
    [
      "here",
      ({ pair }) => say.cell(rpsOf(pair.direct), rpsOf(pair.pooled), pair.ratio?.value ?? null),
    ],
    ["met?", ({ pair, direct, pooled }) => verdictOn(pooled.rps / direct.rps, pair)],
    ["settings that differ from the published", ({ pair }) => {
      const ids = [pair.direct, pair.pooled];
      const differences = new Set(ids.flatMap((id) => differencesFrom(study, id)));
      return formatList([...differences]) || ratioWords.noDifferences;
    }],
  ]);
}

function describeReuse(study: Study): string {
  const known = pairEvidence(study).filter(({ rounds }) => rounds > 0);
  if (known.length === 0) return poolerWords.notRecorded;
  const churning = known.filter(({ sessionsDirect }) => (sessionsDirect ?? 0) >= CHURN);
  if (churning.length === 0) return flawWords.noReconnects;
  const texts = churning.map(({ pair, sessionsDirect, sessionsPooled, traces }) => {
    const shared = traces.includes("multiplexing");
    return flawWords.reconnects(pairName(pair), sessionsDirect!, sessionsPooled!, shared);
  });
  return [...new Set(texts)].join("; ");
}

function describeWork({ scenarios, runs }: Study): string {
  const frameworks = [...new Set(scenarios.map(({ framework }) => framework))];
  return flawWords.work(frameworks.flatMap((framework): [string, number][] => {
    const perRequest = runs.flatMap(({ scenario, telemetry }) => {
      const work = telemetry?.work;
      return scenario.framework === framework && work != null && work.requests > 0
        ? [work.dataStatements / work.requests]
        : [];
    });
    return perRequest.length === 0 ? [] : [[appTitle(framework), median(perRequest)!]];
  }));
}

/** The flaws, each with the gates that name it in a study, and what holds where none of them fired. */
const FLAWS: [
  flaw: keyof typeof flawWords.flaws,
  gates: string[],
  otherwise: string | ((study: Study) => string),
][] = [
  ["quota", ["at_quota"], flawWords.quota],
  ["multiplexing", ["nothing_to_multiplex"], flawWords.multiplexing],
  ["reconnects", [], describeReuse],
  ["budgets", ["unequal_budgets", "budget_above_server"], flawWords.budgets],
  ["settings", ["unequal_settings"], flawWords.settings],
  ["work", ["unequal_work"], describeWork],
  [
    "rounds",
    ["single_round"],
    ({ plan, context }) => flawWords.rounds(plan.rounds, context.turns?.blocks),
  ],
  ["order", ["fixed_order"], ({ context }) => flawWords.order[context.turns ? "block" : "round"]],
  [
    "ramp",
    ["ramp_in_window", "no_steady_state"],
    ({ plan, context }) => flawWords.ramp(context.turns?.warmUpS ?? plan.warmUpS),
  ],
  [
    "readiness",
    [],
    ({ manifests }) => flawWords.readiness(median(manifests.map(({ overheadS }) => overheadS))),
  ],
];

/**
 * The flaws of the published result, and whether this study repeats them: by the gates that fired.
 *
 * @param study The study.
 * @returns Nothing where the study has no cells of the published result and is none of its plan.
 */
export function flawsTable(study: Study): Table | undefined {
  if (study.plan.name !== "seed" && publishedPairs(study).length === 0) return undefined;
  const fired = firedGates(study);
  const rows = FLAWS.map(([flaw, gates, otherwise]) => {
    const own = fired.filter(({ gate }) => gates.includes(gate.id));
    const seen = own.map((one) =>
      one.cells.length === 0 ? one.seen : `${describeCells(one, study)}: ${one.seen}`
    );
    if (own.length === 0) seen.push(typeof otherwise === "string" ? otherwise : otherwise(study));
    const titles = own.map(({ gate }) => gate.title);
    return { flaw: flawWords.flaws[flaw], here: capitalise(seen.join("; ")), titles };
  });
  return tableOf(flawWords.title(study.name), rows, [
    ["flaw of the published result", ({ flaw }) => flaw],
    ["here", ({ here }) => here],
    ["gate", ({ titles }) => titles.length === 0 ? null : titles.join(", ")],
  ]);
}
