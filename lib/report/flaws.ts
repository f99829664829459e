/**
 * The flaws of the published result that Poolscope began with, and whether a study repeats them.
 *
 * @module
 */

import { appTitle } from "../apps/folders.ts";
import { pairEvidence } from "../diagnose/evidence.ts";
import { firedGates } from "../diagnose/gates.ts";
import { pairName } from "../figures/claims.ts";
import { capitalise, formatList, formatNumber } from "../wording/format.ts";
import { median } from "../stats/percentile.ts";
import { Table } from "./display.ts";
import { describeCells } from "./gates.ts";
import { hasPublishedCells } from "./published.ts";
import type { Study } from "./study.ts";

/** A flaw, and the gates that name it in a study; none where Poolscope leaves no room for it. */
interface Flaw {
  flaw: string;
  gates: string[];
  /** What is said where no gate fired. */
  otherwise: (study: Study) => string;
}

const FLAWS: Flaw[] = [
  {
    flaw: "Every cell sat at a CPU quota, which decided the throughput",
    gates: ["at_quota"],
    otherwise: () => "not repeated: no service reached its quota",
  },
  {
    flaw: "Sync apps had 6 connections against a pool of 20: nothing was multiplexed",
    gates: ["nothing_to_multiplex"],
    otherwise: () => "not repeated: every pooled app may open more connections than the pool has",
  },
  {
    flaw: "The largest gain came from an app that reconnected per request, not from pooling",
    gates: [],
    otherwise: reuseClaims,
  },
  {
    flaw: "Frameworks had 6 and 160 connections",
    gates: ["unequal_budgets", "budget_above_server"],
    otherwise: () => "not repeated: all apps may open equally many",
  },
  {
    flaw: "Prepared statements were off in one arm alone",
    gates: ["unequal_settings"],
    otherwise: () => "not repeated: both paths have the same settings",
  },
  {
    flaw: "Frameworks sent different numbers of queries per request",
    gates: ["unequal_work"],
    otherwise: equalWork,
  },
  {
    flaw: "One run per cell",
    gates: ["single_round"],
    otherwise: ({ plan }) => `not repeated: ${plan.rounds} rounds`,
  },
  {
    flaw: "Cells ran in a fixed order",
    gates: ["fixed_order"],
    otherwise: () => "not repeated: each round drew an order of its own",
  },
  {
    flaw: "The ramp was counted as measurement",
    gates: ["ramp_in_window", "no_steady_state"],
    otherwise: ({ plan }) =>
      `not repeated: the ramp was over within the ${plan.warmUpS} s of warm-up`,
  },
  {
    flaw: "Readiness was a fixed sleep of 30 s, 38 s lost per cell",
    gates: [],
    otherwise: readiness,
  },
];

/** Which pairs owe their difference to connections that PostgreSQL need not open anew. */
function reuseClaims(study: Study): string {
  const known = pairEvidence(study).filter(({ rounds }) => rounds > 0);
  if (known.length === 0) return "not recorded";
  const churning = known.filter(({ sessionsDirect }) => (sessionsDirect ?? 0) >= 10);
  if (churning.length === 0) {
    return "not repeated: no app reconnected, so that PostgreSQL had no churn to be spared";
  }
  const texts = churning.map(({ pair, sessionsDirect, sessionsPooled, traces }) =>
    `${pairName(pair)} opened ${
      formatNumber(sessionsDirect!)
    } sessions per 1,000 requests direct, ${formatNumber(sessionsPooled!)} pooled, ${
      traces.includes("multiplexing")
        ? "and shared server connections too"
        : "and shared no server connections"
    }`
  );
  return [...new Set(texts)].join("; ");
}

/** Data statements per request by framework, as PostgreSQL counted them. */
function equalWork(study: Study): string {
  const frameworks = [...new Set(study.scenarios.map(({ framework }) => framework))];
  const texts = frameworks.flatMap((framework) => {
    const own = study.runs.flatMap(({ scenario, telemetry }) =>
      scenario.framework === framework && telemetry?.work != null ? [telemetry.work] : []
    );
    const perRequest = own.filter(({ requests }) => requests > 0)
      .map(({ dataStatements, requests }) => dataStatements / requests);
    return perRequest.length === 0
      ? []
      : [`${appTitle(framework)} ${median(perRequest)!.toFixed(2)}`];
  });
  const counted = texts.length === 0
    ? ""
    : `; PostgreSQL counted data statements per request: ${formatList(texts)}`;
  return `not repeated: one contract, answers compared before each load${counted}`;
}

/** What a run took beside its load. */
function readiness({ manifests }: Study): string {
  const waited = "not repeated: every service was waited for by condition";
  if (manifests.length === 0) return waited;
  const lost = median(manifests.map(({ overheadS }) => overheadS))!;
  return `${waited}; ${lost.toFixed(1)} s per run outside the load (median)`;
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
  const rows = FLAWS.map(({ flaw, gates, otherwise }) => {
    const own = fired.filter(({ gate }) => gates.includes(gate.id));
    if (own.length === 0) return [flaw, capitalise(otherwise(study)), null];
    const seen = own.map((one) =>
      one.cells.length === 0 ? one.seen : `${describeCells(one, study)}: ${one.seen}`
    );
    return [flaw, capitalise(seen.join("; ")), own.map(({ gate }) => gate.title).join(", ")];
  });
  return new Table(
    `The published result's flaws, and ${study.name}`,
    [{ header: "flaw of the published result" }, { header: "here" }, { header: "gate" }],
    rows,
  );
}
