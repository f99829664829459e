/**
 * What a functional check shows: that everything ran, was verified and was counted. Its windows are
 * too short for a comparison, so that it says and draws none.
 *
 * @module
 */

import { levelLabel } from "../scenario.ts";
import type { ScenarioSummary } from "../stats/summary.ts";
import type { Manifest } from "../store/manifest.ts";
import { claimWords } from "../wording/claims.ts";
import { figureTitles } from "../wording/figures.ts";
import { checkWords as say } from "../wording/study.ts";
import { heading } from "../wording/tables.ts";
import { type CellValue, left, Markdown, right, Table, type TableColumn } from "./display.ts";
import { describeStatus } from "./status.ts";
import type { Study } from "./study.ts";

/** What stands instead of a reading that compares; null for a study that is no functional check. */
export function checkReading(
  { context }: Pick<Study, "context">,
  measure: string,
): Markdown | null {
  return context.functionalCheck ? new Markdown(say.reading(measure)) : null;
}

/** The same instead of a table. */
export function checkNotice(
  { context }: Pick<Study, "context">,
  measure: string,
  columns: readonly TableColumn[],
): Table | null {
  return context.functionalCheck ? new Table(figureTitles.checkOnly(measure), columns, []) : null;
}

/** The answer of a functional check. */
export function describeCheck(study: Study): string {
  const { runs, missing } = study;
  const planned = runs.length + missing.length;
  const good = runs.filter(({ status }) => status === "ok").length;
  const broken = study.scenarios.filter(({ n }) => n === 0)
    .map((one) => claimWords.cell(one.arm, [one]));
  return say.answer(good, planned, broken, study.plan.windowS);
}

function checkRow(study: Study, scenario: ScenarioSummary): CellValue[] {
  const own = study.runs.filter(({ scenarioId }) => scenarioId === scenario.scenarioId);
  const manifests = study.manifests.filter((one) => one.scenarioId === scenario.scenarioId);
  const held = (check: (verification: NonNullable<Manifest["verification"]>) => boolean) =>
    manifests.filter(({ verification }) => verification !== null && check(verification)).length;
  const counted =
    own.filter((run) => run.measured && run.requests > 0 && run.conditions.disagreement === null)
      .length;
  const pooled = scenario.path === "pooled";
  return [
    scenario.arm,
    levelLabel(scenario),
    say.share(held(({ ok, nonceMatched }) => ok && nonceMatched !== false), own.length),
    say.share(
      held(({ throughPgbouncer }) => throughPgbouncer === pooled),
      own.length,
      say[scenario.path],
    ),
    say.share(counted, own.length),
    describeStatus(scenario),
  ];
}

/**
 * Every scenario of a functional check: whether the app was ours and answered as the contract says,
 * which way its queries went, and whether its requests were counted as the generator counted them.
 *
 * @param study The study.
 */
export function checkTable(study: Study): Table {
  return new Table(
    say.table(study.name),
    [
      left(heading.arm),
      right(heading.load),
      left(heading.verified),
      left(heading.path),
      left(heading.counted),
      left(heading.status),
    ],
    study.scenarios.map((scenario) => checkRow(study, scenario)),
    new Set(study.scenarios.flatMap(({ n }, i) => n === 0 ? [i] : [])),
  );
}
