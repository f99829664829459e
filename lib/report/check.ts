/**
 * What a functional check shows: that everything ran, was verified and was counted. Its windows are
 * too short for a comparison, so that it says and draws none.
 *
 * @module
 */

import { atLevels, formatCount, formatList } from "../wording/format.ts";
import { levelLabel } from "../scenario.ts";
import type { ScenarioSummary } from "../stats/summary.ts";
import type { Manifest } from "../store/manifest.ts";
import { type CellValue, Markdown, Table, type TableColumn } from "./display.ts";
import { describeStatus } from "./status.ts";
import type { Study } from "./study.ts";

/** What stands instead of a reading that compares; null for a study that is no functional check. */
export function checkReading(
  { context }: Pick<Study, "context">,
  measure: string,
): Markdown | null {
  return context.functionalCheck
    ? new Markdown(`**Functional check only:** ${measure} is not compared.`)
    : null;
}

/** The same instead of a table. */
export function checkNotice(
  { context }: Pick<Study, "context">,
  measure: string,
  columns: readonly TableColumn[],
): Table | null {
  return context.functionalCheck
    ? new Table(`Functional check only: ${measure} is not compared`, columns, [])
    : null;
}

/** The answer of a functional check. */
export function describeCheck(study: Study): string {
  const { runs, missing } = study;
  const planned = runs.length + missing.length;
  const good = runs.filter(({ status }) => status === "ok").length;
  const failed = study.scenarios.filter(({ n }) => n === 0);
  const verdict = good === planned
    ? `all ${formatCount(planned, "run")} ran, were verified and were counted`
    : `${good} of ${formatCount(planned, "run")} ran, were verified and were counted`;
  const broken = failed.length === 0
    ? ""
    : ` What did not: ${
      formatList(failed.map((one) => `${one.arm} ${atLevels([one])}`))
    }; the cause is in the table.`;
  return `**Functional check only: ${verdict}.**${broken} Its windows of ${study.plan.windowS} s are ` +
    `too short to compare anything: run the plan \`quick\` for a first answer, and \`reference\` ` +
    `for one to share.`;
}

/** Whether every run of a scenario holds, in words: `yes`, or of how many. */
function share(having: number, all: number, words = "yes"): string {
  return having === all ? words : having === 0 ? "no" : `${words} in ${having} of ${all} runs`;
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
    share(held(({ ok, nonceMatched }) => ok && nonceMatched !== false), own.length),
    share(
      held(({ throughPgbouncer }) => throughPgbouncer === pooled),
      own.length,
      pooled ? "through PgBouncer" : "straight to PostgreSQL",
    ),
    share(counted, own.length),
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
  const right = (header: string) => ({ header, align: "right" as const });
  return new Table(
    `Functional check only: what ran in ${study.name}`,
    [
      { header: "arm" },
      right("load"),
      { header: "verified by the contract" },
      { header: "path" },
      { header: "requests counted" },
      { header: "status" },
    ],
    study.scenarios.map((scenario) => checkRow(study, scenario)),
    new Set(study.scenarios.flatMap(({ n }, i) => n === 0 ? [i] : [])),
  );
}
