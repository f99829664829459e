/**
 * The published result that Poolscope's `seed` plan repeats, and how far a study meets it.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatList, formatNumber, formatRatio } from "../wording/format.ts";
import { namedPlan } from "../plan.ts";
import type { Framework, Path, ScenarioKey } from "../scenario.ts";
import { differingSettings } from "../stats/summarise.ts";
import { ROOT } from "../store/layout.ts";
import { type CellValue, Table } from "./display.ts";
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
  const ratio = pooled!.rps / direct!.rps;
  const note = direct!.note === null ? "" : `; direct failed, ${direct!.rps} is ${direct!.note}`;
  return { text: `${direct!.rps} → ${pooled!.rps}: ${formatRatio(ratio)}${note}`, ratio };
}

/** Whether a study agrees with a published ratio: in direction, and within its interval or not. */
function verdictOn(published: number, pair: Study["ratios"][number]): string {
  const { verdict } = pair;
  if (verdict === "none") return pair.missing ?? "no ratio";
  if (pair.open) return "not decided yet";
  if (verdict === "single") return "one run decides nothing";
  const { low, high } = pair.ratio!;
  const within = published >= low! && published <= high!;
  if (verdict === "indistinguishable") {
    return within
      ? "indistinguishable here; published ratio inside the interval"
      : "not met: indistinguishable here";
  }
  if ((verdict === "higher") !== (published > 1)) return "not met: the opposite direction";
  return within
    ? "met: same direction, published ratio inside the interval"
    : "met in direction, not in size";
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
      if (scenario === undefined) return "not run yet";
      const { rps, failedRuns } = scenario;
      return rps !== null ? formatNumber(rps.value) : failedRuns > 0 ? "failed" : "rejected";
    };
    const ratio = pair.ratio === null ? "" : `: ${formatRatio(pair.ratio.value)}`;
    const differences = new Set([
      ...differencesFrom(study, pair.direct),
      ...differencesFrom(study, pair.pooled),
    ]);
    rows.push([
      pair.label,
      published.text,
      `${rpsOf(pair.direct)} → ${rpsOf(pair.pooled)}${ratio}`,
      verdictOn(published.ratio, pair),
      differences.size === 0 ? "none" : formatList([...differences]),
    ]);
  }
  return new Table(
    `The published result (one run per cell, ${PUBLISHED.users} users, RPS direct → pooled) against ${study.name}`,
    [
      { header: "framework" },
      { header: "published" },
      { header: "here" },
      { header: "met?" },
      { header: "settings that differ from the published" },
    ],
    rows,
  );
}
