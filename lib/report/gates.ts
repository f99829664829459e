/**
 * What must be known before any number of a study is read: the gates that fired, by kind.
 *
 * @module
 */

import { type FiredGate, firedGates, type GateKind, GATES } from "../diagnose/gates.ts";
import { atLevels, capitalise, formatCount, formatList } from "../wording/format.ts";
import { escapeHtml, Markdown } from "./display.ts";
import type { Study } from "./study.ts";

/** The kinds with what they do to what is said. */
const KINDS: [GateKind, string][] = [
  ["reject", "Rejected: in no mean and no comparison"],
  ["limit", "Limits of every claim below"],
  ["finding", "Findings: why the numbers are what they are"],
];

/** `FastAPI direct at 1000 users (2 of 5 runs)`, arms with the same cells together. */
export function describeCells({ cells, runs }: FiredGate, study: Study): string {
  const whole = cells.length === study.scenarios.length;
  if (whole && runs === study.runs.length) return "every run";
  if (whole && cells.length > 2) return `every cell (${runs} of ${study.runs.length} runs)`;
  const arms = [...new Set(cells.map(({ scenario }) => scenario.arm))];
  const places = new Map<string, string[]>();
  for (const arm of arms) {
    const own = cells.filter(({ scenario }) => scenario.arm === arm);
    const at = atLevels(own.map(({ scenario }) => scenario));
    places.set(at, [...(places.get(at) ?? []), arm]);
  }
  const texts = [...places].map(([at, names]) => `${formatList(names)} ${at}`);
  const all = cells.reduce((sum, { of }) => sum + of, 0);
  const extent = runs === all ? formatCount(runs, "run") : `${runs} of ${all} runs`;
  return `${texts.join("; ")} (${extent})`;
}

/** A gate in one line, which unfolds to what was seen, the likely cause and the next step. */
function line(fired: FiredGate, study: Study): string {
  const { gate, cells, runs, seen } = fired;
  const worst = runs === 1 || cells.length === 0
    ? ""
    : gate.kind === "finding"
    ? "at most "
    : "at worst, ";
  const where = cells.length === 0 ? "" : `: ${escapeHtml(describeCells(fired, study))}`;
  return [
    `<details><summary><b>${escapeHtml(gate.title)}</b>${where}</summary>`,
    `${capitalise(worst + seen)}. *Likely cause:* ${gate.cause}. *Next step:* ${gate.next}.`,
    "</details>",
  ].join("\n\n");
}

/**
 * Reads the gates: how many runs count, and what was seen, by kind, each in a line
 * that unfolds to its likely cause and the next step.
 *
 * @param study The study.
 */
export function readGates(study: Study): Markdown {
  const fired = firedGates(study);
  const count = (status: string) => study.runs.filter((run) => run.status === status).length;
  const [ok, failed, rejected] = [count("ok"), count("failed"), count("rejected")];
  const rest = [
    ...(rejected > 0 ? [`${rejected} rejected`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ];
  const kinds = KINDS.flatMap(([kind, title]) => {
    const own = fired.filter(({ gate }) => gate.kind === kind);
    return own.length === 0 ? [] : [
      [`**${title}**`, ...own.map((one) => line(one, study))].join("\n\n"),
    ];
  });
  const head = study.runs.length === 0
    ? "No run is complete yet."
    : `${ok} of ${formatCount(study.runs.length, "run")} count${
      rest.length === 0 ? "" : `, ${formatList(rest)}`
    }; ${fired.length === 0 ? "none" : fired.length} of ${GATES.length} gates fired.`;
  const check = study.context.functionalCheck
    ? " A functional check concludes nothing, so that it rejects nothing for its numbers."
    : "";
  return new Markdown([head + check, ...kinds].join("\n\n"));
}
