/**
 * What limited each scenario, and what came of putting that to the test.
 *
 * @module
 */

import { type Confirmation, readConfirmations } from "../diagnose/relief.ts";
import { type ScenarioVerdict, verdictTitle } from "../diagnose/verdict.ts";
import { levelLabel } from "../scenario.ts";
import { bottleneckWords as say } from "../wording/bottlenecks.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { capitalise, formatInterval, formatRatio, formatRatioEnd } from "../wording/format.ts";
import { heading, tableWords } from "../wording/tables.ts";
import { narrativeWords } from "../wording/study.ts";
import { checkNotice } from "./check.ts";
import { type CellValue, left, Markdown, right, Table } from "./display.ts";
import type { Study } from "./study.ts";
import { checkStamp } from "./tables.ts";

/**
 * The verdict of each scenario with its evidence.
 *
 * @param study The study.
 */
export function verdictTable(study: Study): Table {
  return new Table(
    checkStamp(study) + say.table,
    [
      left(heading.arm),
      right(heading.load),
      left(heading.limitedBy),
      left(heading.evidence),
      left(heading.confidence),
    ],
    study.verdicts.map((one): CellValue[] => [
      one.scenario.arm,
      levelLabel(one.scenario),
      verdictTitle(one.verdict),
      capitalise(one.evidence),
      say.confidence(one.confidence, one.rounds, one.of),
    ]),
    new Set(study.verdicts.flatMap(({ verdict }, i) => verdict === "unknown" ? [i] : [])),
  );
}

/** The arms of some scenarios with their loads, in words. */
function listArms(own: readonly ScenarioVerdict[]): string[] {
  return [...Map.groupBy(own.map(({ scenario }) => scenario), ({ arm }) => arm)]
    .map(([arm, scenarios]) => claimWords.cell(arm, scenarios));
}

/**
 * Reads what limited the scenarios, a line for each bottleneck.
 *
 * @param study The study.
 */
export function readVerdicts(study: Study): Markdown {
  const { verdicts } = study;
  if (verdicts.length === 0) return new Markdown(narrativeWords.noRun);
  const groups = Map.groupBy(verdicts, ({ verdict }) => verdict);
  const lines = [...groups].sort((a, b) => b[1].length - a[1].length).map(([verdict, own]) => {
    const unsure = own.filter(({ confidence }) => confidence === "low").length;
    const why = verdict === "load_limited" ? say.nothingUsedUp : "";
    return say.line(verdictTitle(verdict), why, listArms(own), unsure, own.length);
  });
  return new Markdown(`${checkStamp(study)}${say.reading}\n\n${lines.join("\n")}`);
}

/**
 * Reads what limited one scenario, in one sentence.
 *
 * @param study The study.
 * @param scenarioId The scenario's id.
 */
export function readVerdict(study: Study, scenarioId: string | undefined): Markdown {
  const one = study.verdicts.find(({ scenario }) => scenario.scenarioId === scenarioId);
  if (one === undefined) return new Markdown(say.noRun);
  const place = claimWords.cell(one.scenario.arm, [one.scenario]);
  const sentence = say.scenario(place, verdictTitle(one.verdict), one.confidence, one.evidence);
  return new Markdown(checkStamp(study) + sentence);
}

/**
 * Reads what came of putting the verdicts to the test.
 *
 * @param study The study.
 * @param confirmation What `runConfirmation()` returned, or the study's `confirmation()`.
 */
export function readConfirmation(study: Study, confirmation: Study | null): Markdown {
  if (confirmation === null) return new Markdown(say.notTested);
  const all = readConfirmations(study.verdicts, confirmation.runs);
  const by = (outcome: Confirmation["outcome"]) => all.filter((one) => one.outcome === outcome);
  const tested = all.length - by("untested").length;
  const refuted = by("refuted").map(({ verdict }) => verdict);
  const counts = {
    confirmed: by("confirmed").length,
    refuted: refuted.length,
    undecided: by("undecided").length,
  };
  return new Markdown(
    checkStamp(confirmation) + (tested === 0 ? say.noneTested : say.tested(tested, counts)) + "." +
      (refuted.length === 0 ? "" : say.refuted(listArms(refuted))),
  );
}

/**
 * Each verdict with its relief and what that did to throughput.
 *
 * @param study The study.
 * @param confirmation Likewise; without one, the reliefs alone are told.
 */
export function confirmationTable(study: Study, confirmation: Study | null): Table {
  const columns = [
    left(heading.arm),
    right(heading.load),
    left(heading.limitedBy),
    left(heading.relief),
    right(heading.ratio),
    right(heading.interval),
    right(heading.rounds),
    left(heading.outcome),
  ];
  return checkNotice(study, measureWords.throughput, columns) ?? new Table(
    confirmation === null ? say.noneTested : say.confirmationTable,
    columns,
    readConfirmations(study.verdicts, confirmation?.runs ?? []).map((one): CellValue[] => [
      one.verdict.scenario.arm,
      levelLabel(one.verdict.scenario),
      verdictTitle(one.verdict.verdict),
      [one.what, one.advice].filter((words) => words !== null).join("; "),
      one.ratio && formatRatio(one.ratio.value),
      one.ratio && (formatInterval(one.ratio, formatRatioEnd) || tableWords.oneRun),
      one.n,
      say.outcomes[one.outcome],
    ]),
  );
}
