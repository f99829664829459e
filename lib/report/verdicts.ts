/**
 * What limited each scenario, and what came of putting that to the test.
 *
 * @module
 */

import { type Confirmation, readConfirmations } from "../diagnose/relief.ts";
import { type ScenarioVerdict, type Verdict, verdictTitle } from "../diagnose/verdict.ts";
import {
  atLevels,
  capitalise,
  formatCount,
  formatInterval,
  formatList,
  formatRatio,
  formatRatioEnd,
} from "../wording/format.ts";
import { levelLabel } from "../scenario.ts";
import { checkNotice } from "./check.ts";
import { type CellValue, Markdown, Table } from "./display.ts";
import type { Study } from "./study.ts";
import { checkStamp } from "./tables.ts";

const left = (header: string) => ({ header });
const right = (header: string) => ({ header, align: "right" as const });

function describeConfidence({ confidence, rounds, of }: ScenarioVerdict): string {
  return `${confidence} (${rounds} of ${formatCount(of, "round")})`;
}

/**
 * The verdict of each scenario with its evidence.
 *
 * @param study The study.
 */
export function verdictTable(study: Study): Table {
  return new Table(
    `${checkStamp(study)}What limited each scenario`,
    [left("arm"), right("load"), left("limited by"), left("evidence"), left("confidence")],
    study.verdicts.map((one): CellValue[] => [
      one.scenario.arm,
      levelLabel(one.scenario),
      verdictTitle(one.verdict),
      capitalise(one.evidence),
      describeConfidence(one),
    ]),
    new Set(study.verdicts.flatMap(({ verdict }, i) => verdict === "unknown" ? [i] : [])),
  );
}

/** The arms of some scenarios with their loads, in words. */
function listArms(own: readonly ScenarioVerdict[]): string {
  const arms = [...new Set(own.map(({ scenario }) => scenario.arm))];
  return formatList(
    arms.map((arm) =>
      `${arm} ${atLevels(own.map((one) => one.scenario).filter((one) => one.arm === arm))}`
    ),
  );
}

/**
 * Reads what limited the scenarios, a line for each bottleneck.
 *
 * @param study The study.
 */
export function readVerdicts(study: Study): Markdown {
  const { verdicts } = study;
  if (verdicts.length === 0) return new Markdown("No run is complete yet.");
  const groups = Map.groupBy(verdicts, ({ verdict }) => verdict);
  const lines = [...groups].sort((a, b) => b[1].length - a[1].length).map(([verdict, own]) => {
    const unsure = own.filter(({ confidence }) => confidence === "low").length;
    const note = unsure === 0 ? "" : ` (${unsure} of ${own.length} with low confidence)`;
    return `- **${verdictTitle(verdict)}**${explain(verdict)}: ${listArms(own)}${note}`;
  });
  return new Markdown(
    `${checkStamp(study)}What limited throughput, by rules over what the samplers saw:\n\n${
      lines.join("\n")
    }`,
  );
}

function explain(verdict: Verdict): string {
  return verdict === "load_limited" ? ", as no resource was used up" : "";
}

/**
 * Reads what limited one scenario, in one sentence.
 *
 * @param study The study.
 * @param scenarioId The scenario's id.
 */
export function readVerdict(study: Study, scenarioId: string | undefined): Markdown {
  const one = study.verdicts.find(({ scenario }) => scenario.scenarioId === scenarioId);
  if (one === undefined) return new Markdown("No run of this scenario is complete yet.");
  return new Markdown(
    `${checkStamp(study)}${one.scenario.arm} ${atLevels([one.scenario])}: **${
      verdictTitle(one.verdict)
    }**, with ${one.confidence} confidence. ${capitalise(one.evidence)}.`,
  );
}

const OUTCOMES: Record<Confirmation["outcome"], string> = {
  confirmed: "confirmed: throughput rose",
  refuted: "refuted: throughput did not rise",
  undecided: "undecided",
  untested: "not tested",
};

/** What is said where nothing was put to the test. */
const NO_CONFIRMATION =
  "The verdicts were not put to the test: `--confirm` runs each scenario again, relieved of what limited it, where a setting relieves that.";

/**
 * Reads what came of putting the verdicts to the test.
 *
 * @param study The study.
 * @param confirmation What `runConfirmation()` returned, or the study's `confirmation()`.
 */
export function readConfirmation(study: Study, confirmation: Study | null): Markdown {
  if (confirmation === null) return new Markdown(NO_CONFIRMATION);
  const all = readConfirmations(study.verdicts, confirmation.runs);
  const by = (outcome: Confirmation["outcome"]) => all.filter((one) => one.outcome === outcome);
  const tested = all.length - by("untested").length;
  const counts = (["confirmed", "refuted", "undecided"] as const)
    .flatMap((outcome) => by(outcome).length === 0 ? [] : [`${by(outcome).length} ${outcome}`]);
  const refuted = by("refuted").map(({ verdict }) => verdict);
  return new Markdown(
    `${checkStamp(confirmation)}${
      tested === 0
        ? "No verdict was put to the test"
        : `Of ${formatCount(tested, "verdict")} that were put to the test, ${formatList(counts)}`
    }.${refuted.length === 0 ? "" : ` Not to be believed: ${listArms(refuted)}.`}`,
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
    left("arm"),
    right("load"),
    left("limited by"),
    left("relief"),
    right("ratio"),
    right("95% interval"),
    right("rounds"),
    left("outcome"),
  ];
  return checkNotice(study, "throughput", columns) ?? new Table(
    confirmation === null
      ? "No verdict was put to the test"
      : "Throughput relieved over original, paired by round, with 95% t intervals",
    columns,
    readConfirmations(study.verdicts, confirmation?.runs ?? []).map((one): CellValue[] => [
      one.verdict.scenario.arm,
      levelLabel(one.verdict.scenario),
      verdictTitle(one.verdict.verdict),
      [one.what, one.advice].filter((words) => words !== null).join("; "),
      one.ratio && formatRatio(one.ratio.value),
      one.ratio && (formatInterval(one.ratio, formatRatioEnd) || "one run"),
      one.n,
      OUTCOMES[one.outcome],
    ]),
  );
}
