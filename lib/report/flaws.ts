/**
 * The flaws of the published result that Poolscope began with, and whether a study repeats them.
 *
 * @module
 */

import { appTitle } from "../apps/folders.ts";
import { CHURN, pairEvidence } from "../diagnose/evidence.ts";
import { firedGates } from "../diagnose/gates.ts";
import { pairName } from "../figures/claims.ts";
import { median } from "../stats/percentile.ts";
import { flawWords as say } from "../wording/published.ts";
import { capitalise } from "../wording/format.ts";
import { heading } from "../wording/tables.ts";
import { poolerWords } from "../wording/telemetry.ts";
import { left, Table } from "./display.ts";
import { describeCells } from "./gates.ts";
import { hasPublishedCells } from "./published.ts";
import type { Study } from "./study.ts";

/** A flaw, and the gates that name it in a study; none where Poolscope leaves no room for it. */
interface Flaw {
  id: keyof typeof say.flaws;
  gates: string[];
  /** What is said where no gate fired. */
  otherwise: (study: Study) => string;
}

const FLAWS: Flaw[] = [
  { id: "quota", gates: ["at_quota"], otherwise: () => say.quota },
  { id: "multiplexing", gates: ["nothing_to_multiplex"], otherwise: () => say.multiplexing },
  { id: "reconnects", gates: [], otherwise: reuseClaims },
  {
    id: "budgets",
    gates: ["unequal_budgets", "budget_above_server"],
    otherwise: () => say.budgets,
  },
  { id: "settings", gates: ["unequal_settings"], otherwise: () => say.settings },
  { id: "work", gates: ["unequal_work"], otherwise: equalWork },
  { id: "rounds", gates: ["single_round"], otherwise: ({ plan }) => say.rounds(plan.rounds) },
  { id: "order", gates: ["fixed_order"], otherwise: () => say.order },
  {
    id: "ramp",
    gates: ["ramp_in_window", "no_steady_state"],
    otherwise: ({ plan }) => say.ramp(plan.warmUpS),
  },
  { id: "readiness", gates: [], otherwise: readiness },
];

/** Which pairs owe their difference to connections that PostgreSQL need not open anew. */
function reuseClaims(study: Study): string {
  const known = pairEvidence(study).filter(({ rounds }) => rounds > 0);
  if (known.length === 0) return poolerWords.notRecorded;
  const churning = known.filter(({ sessionsDirect }) => (sessionsDirect ?? 0) >= CHURN);
  if (churning.length === 0) return say.noReconnects;
  const texts = churning.map(({ pair, sessionsDirect, sessionsPooled, traces }) =>
    say.reconnects(
      pairName(pair),
      sessionsDirect!,
      sessionsPooled!,
      traces.includes("multiplexing"),
    )
  );
  return [...new Set(texts)].join("; ");
}

/** Data statements per request by framework, as PostgreSQL counted them. */
function equalWork(study: Study): string {
  const frameworks = [...new Set(study.scenarios.map(({ framework }) => framework))];
  const counted = frameworks.flatMap((framework): [string, number][] => {
    const own = study.runs.flatMap(({ scenario, telemetry }) =>
      scenario.framework === framework && telemetry?.work != null ? [telemetry.work] : []
    );
    const perRequest = own.filter(({ requests }) => requests > 0)
      .map(({ dataStatements, requests }) => dataStatements / requests);
    return perRequest.length === 0 ? [] : [[appTitle(framework), median(perRequest)!]];
  });
  return say.work(counted);
}

/** What a run took beside its load. */
function readiness({ manifests }: Study): string {
  return say.readiness(median(manifests.map(({ overheadS }) => overheadS)));
}

/**
 * The flaws of the published result, and whether this study repeats them: by the gates that fired.
 *
 * @param study The study.
 * @returns Nothing where the study has no cells of the published result and is none of its plan.
 */
export function flawsTable(study: Study): Table | undefined {
  if (study.plan.name !== "seed" && !hasPublishedCells(study)) return undefined;
  const fired = firedGates(study);
  const rows = FLAWS.map(({ id, gates, otherwise }) => {
    const own = fired.filter(({ gate }) => gates.includes(gate.id));
    if (own.length === 0) return [say.flaws[id], capitalise(otherwise(study)), null];
    const seen = own.map((one) =>
      one.cells.length === 0 ? one.seen : `${describeCells(one, study)}: ${one.seen}`
    );
    return [
      say.flaws[id],
      capitalise(seen.join("; ")),
      own.map(({ gate }) => gate.title).join(", "),
    ];
  });
  return new Table(
    say.title(study.name),
    [left(heading.flaw), left(heading.here), left(heading.gate)],
    rows,
  );
}
