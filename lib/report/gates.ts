/**
 * What must be known before any number of a study is read: the gates that fired, by kind.
 *
 * @module
 */

import { type FiredGate, firedGates, GATES } from "../diagnose/gates.ts";
import { atLevels } from "../wording/format.ts";
import { gateLines as say } from "../wording/gates.ts";
import { narrativeWords } from "../wording/study.ts";
import { escapeHtml, Markdown } from "./display.ts";
import type { Study } from "./study.ts";

/** `Shop direct at 1000 users (2 of 5 runs)`, arms with the same cells together. */
export function describeCells({ cells, runs }: FiredGate, study: Study): string {
  const whole = cells.length === study.scenarios.length;
  if (whole && runs === study.runs.length) return say.everyRun;
  if (whole && cells.length > 2) return say.everyCell(runs, study.runs.length);
  const arms = [...new Set(cells.map(({ scenario }) => scenario.arm))];
  const places = new Map<string, string[]>();
  for (const arm of arms) {
    const own = cells.filter(({ scenario }) => scenario.arm === arm);
    const at = atLevels(own.map(({ scenario }) => scenario));
    places.set(at, [...(places.get(at) ?? []), arm]);
  }
  return say.cells([...places], runs, cells.reduce((sum, { of }) => sum + of, 0));
}

/** A gate in one line, which unfolds to what was seen, the likely cause and the next step. */
function line(fired: FiredGate, study: Study): string {
  const { gate, cells, runs, seen } = fired;
  const worst = runs === 1 || cells.length === 0
    ? ""
    : gate.kind === "finding"
    ? say.atMost
    : say.atWorst;
  const where = cells.length === 0 ? "" : `: ${escapeHtml(describeCells(fired, study))}`;
  return [
    `<details><summary><b>${escapeHtml(gate.title)}</b>${where}</summary>`,
    say.seen(worst + seen, gate.cause, gate.next),
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
  const runs = { ok: count("ok"), rejected: count("rejected"), failed: count("failed") };
  const kinds = (["reject", "limit", "finding"] as const).flatMap((kind) => {
    const own = fired.filter(({ gate }) => gate.kind === kind);
    return own.length === 0 ? [] : [
      [`**${say.kinds[kind]}**`, ...own.map((one) => line(one, study))].join("\n\n"),
    ];
  });
  const head = study.runs.length === 0
    ? narrativeWords.noRun
    : say.counted(runs, fired.length, GATES.length);
  const check = study.context.functionalCheck ? say.check : "";
  return new Markdown([head + check, ...kinds].join("\n\n"));
}
