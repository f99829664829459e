/** Gates that fire, in runs, in plans and in whole studies. The table is in gate_table.ts. */

import type { Plan } from "../plan.ts";
import type { RunSummary, ScenarioSummary } from "../stats/summary.ts";
import { uncapitalise } from "../wording/format.ts";
import { type Gate, GATES, type GateStudy } from "./gate_table.ts";

export interface FiredGate {
  gate: Gate;
  /** Each cell with its runs in which it fired; empty where the study as a whole is meant. */
  cells: { scenario: ScenarioSummary; runs: number; of: number }[];
  /** Runs in which it fired; 0 where the study as a whole is meant. */
  runs: number;
  /** What was seen: in the run in which it was largest, or in the study. */
  seen: string;
}

/** A gate's title within a sentence, where it keeps the capital of a name. */
function within({ title }: Gate): string {
  return title.startsWith("Little's") ? title : uncapitalise(title);
}

/** Why a run's numbers support no sentence, without a full stop: the first rejecting gate that fires. */
export function rejectRun(run: RunSummary): string | null {
  for (const gate of GATES) {
    const seen = gate.kind === "reject" ? gate.run?.(run) : null;
    if (seen != null) return `${within(gate)}: ${seen.text}`;
  }
  return null;
}

/** Whether a run's throughput was counted correctly: no gate fires that says otherwise. */
export function isCounted(run: RunSummary): boolean {
  return run.counted &&
    GATES.every(({ kind, counted, run: look }) =>
      kind !== "reject" || counted === true || look?.(run) == null
    );
}

export function gatesOfRun(run: RunSummary): string[] {
  return GATES.filter((gate) => gate.run?.(run) != null).map(({ id }) => id);
}

/** A gate as it is told of a plan. */
function toldOf({ design }: Plan, gate: Gate): Gate {
  return design === "alternating" ? { ...gate, ...gate.inTurns } : gate;
}

/** The gates that fired in a study, in the order of the table. */
export function firedGates(study: GateStudy): FiredGate[] {
  return GATES.map((gate) => toldOf(study.plan, gate)).flatMap((gate): FiredGate[] => {
    const look = gate.run;
    if (look === undefined) {
      const texts = gate.plan?.(study.plan) ?? gate.study!(study);
      return texts.length === 0 ? [] : [{ gate, cells: [], runs: 0, seen: texts.join("; ") }];
    }
    const hits = study.runs.flatMap((run) => {
      const seen = look(run);
      return seen === null ? [] : [{ run, seen }];
    });
    if (hits.length === 0) return [];
    const cells = study.scenarios.map((scenario) => {
      const isOf = ({ scenarioId }: RunSummary) => scenarioId === scenario.scenarioId;
      const runs = hits.filter(({ run }) => isOf(run)).length;
      return { scenario, runs, of: study.runs.filter(isOf).length };
    }).filter(({ runs }) => runs > 0);
    const largest = hits.reduce((a, b) => b.seen.size > a.seen.size ? b : a);
    return [{ gate, cells, runs: hits.length, seen: largest.seen.text }];
  });
}

/** What will fail in a plan as it is, as warnings with the next step. */
export function foresee(plan: Plan): string[] {
  return GATES.map((gate) => toldOf(plan, gate)).flatMap((gate) =>
    (gate.plan?.(plan) ?? []).map((text) => `Warning: ${within(gate)}: ${text}; ${gate.next}`)
  );
}
