/**
 * The published result that Poolscope's `seed` plan repeats, and how far a study meets it.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { claimWords } from "../wording/claims.ts";
import { formatList, formatNumber } from "../wording/format.ts";
import { publishedWords as say } from "../wording/published.ts";
import { heading, tableWords } from "../wording/tables.ts";
import { namedPlan } from "../plan.ts";
import type { Framework, Path, ScenarioKey } from "../scenario.ts";
import { NOT_RUN_YET } from "../stats/comparisons.ts";
import { differingSettings } from "../stats/summarise.ts";
import { ROOT } from "../store/layout.ts";
import { type CellValue, left, Table } from "./display.ts";
import type { PathRatio } from "../stats/summary.ts";
import type { Study } from "./study.ts";

/** One cell of the published result. */
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

function publishedRatio(framework: Framework): { text: string; ratio: number } {
  const [direct, pooled] = (["direct", "pooled"] as const).map((path) =>
    PUBLISHED.cells.find((cell) => cell.framework === framework && cell.path === path)!
  );
  return {
    text: say.publishedCell(direct!.rps, pooled!.rps, direct!.note),
    ratio: pooled!.rps / direct!.rps,
  };
}

/** Whether a study agrees with a published ratio: in direction, and within its interval or not. */
function verdictOn(published: number, pair: Study["ratios"][number]): string {
  const { verdict } = pair;
  if (verdict === "none") return pair.missing ?? tableWords.verdicts.none;
  if (pair.open) return tableWords.verdicts.open;
  if (verdict === "single") return tableWords.verdicts.single;
  const { low, high } = pair.ratio!;
  const within = published >= low! && published <= high!;
  if (verdict === "indistinguishable") return within ? say.equalWithin : say.equalBeyond;
  if ((verdict === "higher") !== (published > 1)) return say.opposite;
  return within ? say.sameWithin : say.sameBeyond;
}

/** The pairs of a study that have published counterparts. */
function publishedPairs({ ratios }: Study): PathRatio[] {
  return ratios.filter(({ framework, users }) =>
    users === PUBLISHED.users && PUBLISHED.cells.some((cell) => cell.framework === framework)
  );
}

/** Whether a study has cells of the published result, so that the two can be held together. */
export function hasPublishedCells(study: Study): boolean {
  return publishedPairs(study).length > 0;
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
  if (study.context.functionalCheck || !hasPublishedCells(study)) return undefined;
  const rows: CellValue[][] = [];
  for (const pair of publishedPairs(study)) {
    const published = publishedRatio(pair.framework);
    const rpsOf = (id: string) => {
      const scenario = study.scenarios.find(({ scenarioId }) => scenarioId === id);
      if (scenario === undefined) return NOT_RUN_YET;
      const { rps, failedRuns } = scenario;
      return rps !== null
        ? formatNumber(rps.value)
        : claimWords[failedRuns > 0 ? "failed" : "rejected"];
    };
    const differences = new Set([
      ...differencesFrom(study, pair.direct),
      ...differencesFrom(study, pair.pooled),
    ]);
    rows.push([
      pair.label,
      published.text,
      say.cell(rpsOf(pair.direct), rpsOf(pair.pooled), pair.ratio?.value ?? null),
      verdictOn(published.ratio, pair),
      differences.size === 0 ? tableWords.noDifferences : formatList([...differences]),
    ]);
  }
  return new Table(
    say.caption(PUBLISHED.users, study.name),
    [
      left(heading.framework),
      left(heading.published),
      left(heading.here),
      left(heading.met),
      left(heading.differencesFromPublished),
    ],
    rows,
  );
}
