/** What limited each scenario, and what came of putting that to the test. */

import { readConfirmations } from "../diagnose/relief.ts";
import type { ScenarioVerdict } from "../diagnose/verdict.ts";
import { levelLabel } from "../scenario.ts";
import { bottleneckWords as say, verdictTitles } from "../wording/bottlenecks.ts";
import { claimWords, measureWords } from "../wording/claims.ts";
import { capitalise } from "../wording/format.ts";
import { narrativeWords } from "../wording/study.ts";
import { Markdown, right, type Table, tableOf } from "./display.ts";
import type { Study } from "./study.ts";
import { checkStamp, ratioColumns, unlessCheck } from "./tables.ts";

/** The verdict of each scenario with its evidence. */
export function verdictTable(study: Study): Table {
  return tableOf(checkStamp(study) + say.table, study.verdicts, [
    ["arm", ({ scenario }) => scenario.arm],
    right("load", ({ scenario }) => levelLabel(scenario)),
    ["limited by", ({ verdict }) => verdictTitles[verdict]],
    ["evidence", ({ evidence }) => capitalise(evidence)],
    [
      "confidence",
      (one) => say.confidence(one.confidence, one.rounds, one.of, study.context.turns !== null),
    ],
  ], ({ verdict }) => verdict === "unknown");
}

function listArms(verdicts: readonly ScenarioVerdict[]): string[] {
  return [...Map.groupBy(verdicts.map(({ scenario }) => scenario), ({ arm }) => arm)]
    .map(([arm, scenarios]) => claimWords.cell(arm, scenarios));
}

/** Reads what limited the scenarios, a line for each bottleneck. */
export function readVerdicts(study: Study): Markdown {
  const { verdicts } = study;
  if (verdicts.length === 0) return new Markdown(narrativeWords.noRun);
  const groups = Map.groupBy(verdicts, ({ verdict }) => verdict);
  const lines = [...groups].sort((a, b) => b[1].length - a[1].length).map(([verdict, own]) => {
    const unsure = own.filter(({ confidence }) => confidence === "low").length;
    const why = verdict === "load_limited" ? say.nothingUsedUp : "";
    return say.line(verdictTitles[verdict], why, listArms(own), unsure, own.length);
  });
  return new Markdown(`${checkStamp(study)}${say.reading}\n\n${lines.join("\n")}`);
}

/**
 * Reads what limited one scenario, in one sentence.
 *
 * @param scenarioId The scenario's id.
 */
export function readVerdict(study: Study, scenarioId: string | undefined): Markdown {
  const one = study.verdicts.find(({ scenario }) => scenario.scenarioId === scenarioId);
  if (one === undefined) return new Markdown(say.noRun);
  const place = claimWords.cell(one.scenario.arm, [one.scenario]);
  const sentence = say.scenario(place, verdictTitles[one.verdict], one.confidence, one.evidence);
  return new Markdown(checkStamp(study) + sentence);
}

/**
 * Reads what came of putting the verdicts to the test.
 *
 * @param confirmation What `runConfirmation()` returned, or the study's `confirmation()`.
 */
export function readConfirmation(study: Study, confirmation: Study | null): Markdown {
  if (confirmation === null) return new Markdown(say.notTested);
  const all = readConfirmations(study.verdicts, confirmation.runs)
    .filter(({ outcome }) => outcome !== "untested");
  const refuted = all.filter(({ outcome }) => outcome === "refuted").map(({ verdict }) => verdict);
  const told = all.length === 0 ? say.noneTested : say.tested(all.map(({ outcome }) => outcome));
  const which = refuted.length === 0 ? "" : say.refuted(listArms(refuted));
  return new Markdown(`${checkStamp(confirmation)}${told}.${which}`);
}

/**
 * Each verdict with its relief and what that did to throughput.
 *
 * @param confirmation Likewise; without one, the reliefs alone are told.
 */
export function confirmationTable(study: Study, confirmation: Study | null): Table {
  const caption = confirmation === null ? say.noneTested : say.confirmationTable;
  const all = readConfirmations(study.verdicts, confirmation?.runs ?? []);
  const table = tableOf(caption, all, [
    ["arm", ({ verdict }) => verdict.scenario.arm],
    right("load", ({ verdict }) => levelLabel(verdict.scenario)),
    ["limited by", ({ verdict }) => verdictTitles[verdict.verdict]],
    ["relief", ({ what, advice }) => advice === null ? what : `${what}; ${advice}`],
    ...ratioColumns(false),
    ["outcome", ({ outcome }) => say.outcomes[outcome]],
  ]);
  return unlessCheck(study, measureWords.throughput, table);
}
