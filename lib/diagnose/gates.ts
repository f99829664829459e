/**
 * Gates: what must hold before a number supports a sentence. One table, each line with its published
 * limits and what it looks at; its words stand in lib/wording/gates.ts.
 *
 * - *Reject*: the run's numbers support no sentence; it enters no mean and no comparison.
 * - *Limit*: the numbers hold, and what is said of them holds no further than this.
 * - *Finding*: nothing is wrong; this is why the numbers are what they are.
 *
 * @module
 */

import { canShare } from "../connections.ts";
import type { Plan } from "../plan.ts";
import type { Scenario } from "../scenario.ts";
import { MIN_USERS } from "../stats/conditions.ts";
import type { StudyContext } from "../stats/context.ts";
import { MAX_LATE, MIN_DELIVERED } from "../stats/delivery.ts";
import { leastRequests } from "../stats/latency.ts";
import { NO_CAUSE } from "../stats/summarise.ts";
import type { PathRatio, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import type { Manifest } from "../store/manifest.ts";
import { firedWords, gateWords as say } from "../wording/gates.ts";
import { findUnequalWork, WORK_TOLERANCE } from "./equal_work.ts";
import {
  budgetsOf,
  LARGEST_CHANGE,
  type Seen,
  seeOrder,
  seeRefusals,
  seeTrends,
  seeVersions,
} from "./gate_looks.ts";

/** A process runs on one core: a generator above this is the slowest part of the experiment. */
export const MAX_GENERATOR_CORES = 0.9;
/** A generator that its quota holds back for longer than this share of the window measures itself. */
export const MAX_GENERATOR_THROTTLED = 0.01;
/** An event loop later than this on average is late as an arrival is: it shows in every latency… */
export const MAX_LAG_MS = 10;
/** …unless it is below this share of the median, which then hardly shows it. */
export const MAX_LAG_SHARE = 0.1;
/** The doctor warns from the same share of all cores' time on. */
export const MAX_STOLEN = 0.02;
/** Twice what Poolscope itself takes beside a run; more is another program's. */
export const MAX_OTHERS = 0.1;
/** Above this share of the requests that open a connection, users do not keep theirs. */
export const MAX_OPENED = 0.05;
/** Above this share of the ephemeral ports in use, the next connections may not get one. */
export const MAX_PORTS = 0.8;
/** From this share of its quota on a service has no reserve: the quota ends within one period. */
export const AT_QUOTA = 0.95;
/** A service that is held back for this share of the time waits for its quota. */
export const THROTTLED = 0.05;
/** Above this share of all cores' time, whatever comes next waits for a core. */
export const FULL_MACHINE = 0.95;

/** What a gate does to what is said. */
export type GateKind = "reject" | "limit" | "finding";

/** What gates look at; a `Study` is one. */
export interface GateStudy {
  plan: Plan;
  manifests: readonly Manifest[];
  runs: readonly RunSummary[];
  scenarios: readonly ScenarioSummary[];
  ratios: readonly PathRatio[];
  context: StudyContext;
}

/** A line of the table with its words. */
export interface Gate {
  /** Short and stable, for CSVs. */
  id: string;
  kind: GateKind;
  /** What is the matter, in a few words. */
  title: string;
  /** When it fires. */
  fires: string;
  /** The likely cause. */
  cause: string;
  /** What to do. */
  next: string;
  /** Whether a run's throughput is counted correctly all the same. @default false */
  counted?: true;
  /** What it sees in a run; null when it does not fire. */
  run?: (run: RunSummary) => Seen | null;
  /** What it sees in a plan, a text each: of what is told before anything starts, too. */
  plan?: (plan: Plan) => string[];
  /** What it sees in a study as a whole, a text each. */
  study?: (study: GateStudy) => string[];
}

type GateId = keyof typeof say;

/** A gate without its words, which stand in {@linkcode say} by the same id. */
type Unworded = Omit<Gate, "id" | "title" | "fires" | "cause" | "next">;

/** A row of the table, with the limits that its words name. */
type Row<Fires> =
  & Unworded
  & (Fires extends (...limits: infer Limits) => string ? { limits: Limits } : unknown);

/** The table, in the order in which gates are told. */
const ROWS: { [Id in GateId]: Row<typeof say[Id]["fires"]> } = {
  not_verified: {
    kind: "reject",
    run: ({ status, cause, conditions }) =>
      status === "failed" && conditions.verified === false
        ? { text: cause ?? NO_CAUSE, size: 1 }
        : null,
  },
  counts_disagree: {
    kind: "reject",
    run: ({ conditions: { disagreement } }) =>
      disagreement === null ? null : { text: disagreement, size: 1 },
  },
  generator_throttled: {
    kind: "reject",
    limits: [MAX_GENERATOR_CORES, MAX_GENERATOR_THROTTLED],
    run: ({ conditions: { generator, services } }) => {
      const { saw } = say.generator_throttled;
      const held = services.find(({ service }) => service === "locust")?.throttled ?? 0;
      if (held > MAX_GENERATOR_THROTTLED) return { text: saw.held(held), size: 1 + held };
      if (generator === null || generator.busiest <= MAX_GENERATOR_CORES) return null;
      return { text: saw.busy(generator.busiest), size: generator.busiest };
    },
  },
  generator_late: {
    kind: "reject",
    limits: [MAX_LAG_MS, MAX_LAG_SHARE],
    run: ({ delivery, conditions: { generator }, p50Ms }) => {
      const { saw } = say.generator_late;
      const late = delivery === null ? 0 : delivery.late / delivery.arrivals;
      if (late > MAX_LATE) return { text: saw.late(late), size: late };
      const lag = generator?.lagMeanMs ?? 0;
      return lag > MAX_LAG_MS && lag > MAX_LAG_SHARE * (p50Ms ?? 0)
        ? { text: saw.lag(lag), size: lag / MAX_LAG_MS }
        : null;
    },
  },
  not_delivered: {
    kind: "reject",
    run: ({ delivery }) => {
      if (delivery === null || delivery.arrivals === 0) return null;
      const sent = 1 - delivery.dropped / delivery.arrivals;
      return sent < MIN_DELIVERED
        ? { text: say.not_delivered.saw(1 - sent), size: 1 - sent }
        : null;
    },
  },
  no_steady_state: {
    kind: "reject",
    counted: true,
    run: (run) => seeTrends(run, true),
  },
  steady_state_unknown: {
    kind: "reject",
    limits: [LARGEST_CHANGE],
    counted: true,
    run: (run) => seeTrends(run, false),
  },
  littles_law: {
    kind: "reject",
    counted: true,
    run: ({ status, conditions: { littlesLaw } }) =>
      status === "failed" || littlesLaw === null || littlesLaw.holds ? null : {
        text: say.littles_law.saw(littlesLaw.ratio),
        size: Math.abs(Math.log(Math.max(1e-3, littlesLaw.ratio))),
      },
  },
  ramp_in_window: {
    kind: "limit",
    run: ({ scenario: { users }, conditions: { generator } }) =>
      users === null || generator === null || generator.users >= MIN_USERS * users ? null : {
        text: say.ramp_in_window.saw(generator.users, users),
        size: 1 - generator.users / users,
      },
  },
  few_samples: {
    kind: "limit",
    run: ({ status, requests, failures }) => {
      const correct = requests - failures;
      if (status === "failed" || correct >= leastRequests(95)) return null;
      return { text: say.few_samples.saw(correct), size: 1 / (1 + correct) };
    },
  },
  single_round: {
    kind: "limit",
    study: ({ plan }) => plan.rounds === 1 ? [say.single_round.saw(plan.scenarios.length)] : [],
  },
  fixed_order: {
    kind: "limit",
    study: ({ manifests }) => seeOrder(manifests),
  },
  shared_cores: {
    kind: "limit",
    study: ({ context, runs }) => {
      if (context.cores === null || context.cpuSets.length > 0) return [];
      const used = runs.flatMap(({ conditions: { generator } }) => generator?.cores ?? []);
      return [say.shared_cores.saw(context.cores, used)];
    },
  },
  steal: {
    kind: "limit",
    limits: [MAX_STOLEN],
    run: ({ conditions: { host } }) =>
      host === null || host.stolen <= MAX_STOLEN
        ? null
        : { text: say.steal.saw(host.stolen), size: host.stolen },
  },
  host_load: {
    kind: "limit",
    limits: [MAX_OTHERS],
    run: ({ conditions: { host } }) =>
      host === null || host.others <= MAX_OTHERS
        ? null
        : { text: say.host_load.saw(host.others), size: host.others },
  },
  limits_not_in_force: {
    kind: "limit",
    study: ({ manifests }) => {
      const missing = new Set(
        manifests.flatMap(({ limits }) =>
          Object.entries(limits).flatMap(([service, { asked, readBack }]) =>
            (asked.cpus !== null && readBack.cpus === null) ||
              (asked.memoryMiB !== null && readBack.memoryMiB === null)
              ? [service]
              : []
          )
        ),
      );
      return missing.size === 0 ? [] : [say.limits_not_in_force.saw([...missing])];
    },
  },
  versions_differ: {
    kind: "limit",
    study: ({ manifests }) => seeVersions(manifests),
  },
  listen_overflow: {
    kind: "limit",
    run: ({ conditions: { tcp } }) =>
      tcp === null || tcp.listenOverflows === 0
        ? null
        : { text: say.listen_overflow.saw(tcp.listenOverflows), size: tcp.listenOverflows },
  },
  ports_scarce: {
    kind: "limit",
    limits: [MAX_PORTS],
    run: ({ conditions: { tcp } }) => {
      const share = tcp === null || tcp.ports === 0 ? 0 : tcp.portsInUse / tcp.ports;
      return share <= MAX_PORTS
        ? null
        : { text: say.ports_scarce.saw(tcp!.portsInUse, tcp!.ports), size: share };
    },
  },
  connections_lost: {
    kind: "limit",
    limits: [MAX_OPENED],
    run: ({ status, scenario, requests, unfinished, conditions }) => {
      if (status === "failed") return null;
      const { generator, lostConnections } = conditions;
      // Users that the ramp starts within the window have their first connection to open.
      const starting = Math.max(0, (scenario.users ?? 0) - (generator?.users ?? 0));
      const more = Math.max(0, (generator?.connections ?? 0) - starting);
      const opened = more / Math.max(1, requests + unfinished);
      if (opened <= MAX_OPENED && lostConnections === 0) return null;
      return {
        text: say.connections_lost.saw(opened > MAX_OPENED ? opened : null, lostConnections),
        size: Math.max(opened, lostConnections / (1 + requests)),
      };
    },
  },
  unequal_settings: {
    kind: "limit",
    study: ({ ratios }) => {
      const unequal = ratios.filter(({ differences }) => differences.length > 0);
      const groups = Map.groupBy(unequal, ({ differences }) => differences.join(", "));
      return [...groups].map(([settings, pairs]) =>
        say.unequal_settings.saw(settings, [...new Set(pairs.map(({ label }) => label))])
      );
    },
  },
  unequal_work: {
    kind: "reject",
    limits: [WORK_TOLERANCE],
    study: ({ runs }) =>
      findUnequalWork(runs).map(({ arm, what }) => say.unequal_work.saw(arm, what)),
  },
  unequal_budgets: {
    kind: "limit",
    study: ({ plan }) => {
      const budgets = budgetsOf(plan.scenarios);
      const distinct = new Set(budgets.map(({ connections }) => connections.join()));
      return distinct.size > 1 ? [say.unequal_budgets.saw(budgets)] : [];
    },
  },
  nothing_to_multiplex: {
    kind: "limit",
    study: ({ plan }) => {
      const alone = plan.scenarios.filter((scenario) =>
        scenario.path === "pooled" && !canShare(scenario)
      );
      const inSession = ({ poolMode }: Scenario) => poolMode === "session";
      const groups = Map.groupBy(alone, (one) => `${one.defaultPoolSize} ${inSession(one)}`);
      return [...groups.values()].map((own) =>
        say.nothing_to_multiplex.saw(budgetsOf(own), own[0]!.defaultPoolSize, inSession(own[0]!))
      );
    },
  },
  budget_above_server: {
    kind: "limit",
    plan: ({ scenarios }) => seeRefusals(scenarios),
  },
  at_quota: {
    kind: "finding",
    limits: [AT_QUOTA, THROTTLED],
    run: ({ status, conditions: { services } }) => {
      const held = services.filter(({ service, quota, cores, throttled }) =>
        service !== "locust" && quota !== null &&
        (cores >= AT_QUOTA * quota || throttled >= THROTTLED)
      );
      if (status === "failed" || held.length === 0) return null;
      const size = Math.max(...held.map(({ cores, quota }) => cores / quota!));
      return { text: say.at_quota.saw(held), size };
    },
  },
  machine_full: {
    kind: "finding",
    limits: [FULL_MACHINE],
    run: ({ status, conditions: { host } }) => {
      if (status === "failed" || host === null) return null;
      const used = host.busy + host.stolen;
      return used < FULL_MACHINE
        ? null
        : { text: say.machine_full.saw(Math.min(1, used), host.cores), size: used };
    },
  },
};

/** All gates with their words. */
export const GATES: readonly Gate[] = (Object.keys(ROWS) as GateId[]).map((id) => {
  const { limits = [], ...row }: Unworded & { limits?: number[] } = ROWS[id];
  const fires: string | ((...limits: number[]) => string) = say[id].fires;
  return { id, ...say[id], ...row, fires: typeof fires === "string" ? fires : fires(...limits) };
});

/** A cell in which a gate fired. */
export interface GateCell {
  scenario: ScenarioSummary;
  /** Runs in which it fired, of those that are complete. */
  runs: number;
  of: number;
}

/** A gate that fired, over all runs of a study. */
export interface FiredGate {
  gate: Gate;
  /** Where; empty where the study as a whole is meant. */
  cells: GateCell[];
  /** Runs in which it fired; 0 where the study as a whole is meant. */
  runs: number;
  /** What was seen: in the run in which it was largest, or in the study. */
  seen: string;
}

/**
 * Why a run's numbers support no sentence: the first of the rejecting gates that fires.
 *
 * @returns One sentence without its full stop; null when none fires.
 */
export function rejectRun(run: RunSummary): string | null {
  for (const { kind, title, run: look } of GATES) {
    const seen = kind === "reject" ? look?.(run) : null;
    if (seen != null) return firedWords.rejected(title, seen.text);
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

/** The ids of the gates that fire for a run by itself. */
export function gatesOfRun(run: RunSummary): string[] {
  return GATES.filter((gate) => gate.run?.(run) != null).map(({ id }) => id);
}

/**
 * The gates that fired in a study, in the order of the table. In a functional check, which concludes
 * nothing, the gates of a kind of measurement (steady state, rounds) are told like any others.
 *
 * @param study The study.
 */
export function firedGates(study: GateStudy): FiredGate[] {
  return GATES.flatMap((gate): FiredGate[] => {
    const look = gate.run;
    if (look === undefined) {
      const texts = gate.plan?.(study.plan) ?? gate.study!(study);
      return texts.length === 0 ? [] : [{ gate, cells: [], runs: 0, seen: firedWords.seen(texts) }];
    }
    const hits = study.runs.flatMap((run) => {
      const seen = look(run);
      return seen === null ? [] : [{ run, seen }];
    });
    if (hits.length === 0) return [];
    const cells = study.scenarios.flatMap((scenario): GateCell[] => {
      const own = ({ scenarioId }: RunSummary) => scenarioId === scenario.scenarioId;
      const runs = hits.filter(({ run }) => own(run)).length;
      return runs === 0 ? [] : [{ scenario, runs, of: study.runs.filter(own).length }];
    });
    const largest = hits.reduce((a, b) => b.seen.size > a.seen.size ? b : a);
    return [{ gate, cells, runs: hits.length, seen: largest.seen.text }];
  });
}

/** What will fail in a plan as it is, as warnings with the next step. */
export function foresee(plan: Plan): string[] {
  return GATES.flatMap(({ title, plan: look, next }) =>
    (look?.(plan) ?? []).map((text) => firedWords.foreseen(title, text, next))
  );
}
