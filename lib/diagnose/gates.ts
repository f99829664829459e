/**
 * Gates: what must hold before a number supports a sentence. One table, each line with its published
 * threshold, what it looks at, the likely cause and the next step.
 *
 * - *Reject*: the run's numbers support no sentence; it enters no mean and no comparison.
 * - *Limit*: the numbers hold, and what is said of them holds no further than this.
 * - *Finding*: nothing is wrong; this is why the numbers are what they are.
 *
 * @module
 */

import { canShare } from "../connections.ts";
import type { Plan } from "../plan.ts";
import { MIN_USERS } from "../stats/conditions.ts";
import type { StudyContext } from "../stats/context.ts";
import { MAX_LATE, MIN_DELIVERED } from "../stats/delivery.ts";
import { leastRequests } from "../stats/latency.ts";
import { LITTLE_TOLERANCE } from "../stats/littles_law.ts";
import { TOLERATED_CHANGE, TREND_LEVEL } from "../stats/steady_state.ts";
import type { PathRatio, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import type { Manifest } from "../store/manifest.ts";
import { findUnequalWork, WORK_TOLERANCE } from "./equal_work.ts";
import {
  budgetOf,
  byFramework,
  LARGEST_CHANGE,
  percent,
  type Seen,
  seeOrder,
  seeRefusals,
  seeTrends,
  seeVersions,
  stated,
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

/** A line of the table. */
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

const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const cores = (value: number) => `${value.toFixed(2)} cores`;

const TITLES: Record<string, string> = {
  postgres: "PostgreSQL",
  pgbouncer: "PgBouncer",
  app: "the app",
  locust: "the generator",
};

/** All gates, in the order in which they are told. */
export const GATES: readonly Gate[] = [
  {
    id: "not_verified",
    kind: "reject",
    title: "Not verified",
    fires: "the checks before the load (contract, nonce, path, network) did not all hold",
    cause: "the app did not start, answers otherwise than the contract says, or takes another way",
    next: "see the run's cause and logs/app.log",
    run: ({ status, cause, conditions }) =>
      status === "failed" && conditions.verified === false
        ? { text: cause ?? "no cause was recorded", size: 1 }
        : null,
  },
  {
    id: "counts_disagree",
    kind: "reject",
    title: "Counts disagree",
    fires: "requests.csv, final.json and Locust's totals do not count the same requests",
    cause: "files were changed or cut short, or the locustfile raised exceptions",
    next: "run it again (`--retry-failed`)",
    run: ({ conditions: { disagreement } }) =>
      disagreement === null ? null : { text: disagreement, size: 1 },
  },
  {
    id: "generator_throttled",
    kind: "reject",
    title: "Generator held back",
    fires: `a process of the load generator used more than ${MAX_GENERATOR_CORES} cores, or its ` +
      `quota held it back for more than ${stated(MAX_GENERATOR_THROTTLED)} of the window`,
    cause: "the generator, not the service, was the slowest part",
    next: "lower the load, give the generator cores of its own, or lift its CPU quota",
    run: ({ conditions: { generator, services } }) => {
      const held = services.find(({ service }) => service === "locust")?.throttled ?? 0;
      if (held > MAX_GENERATOR_THROTTLED) {
        return {
          text: `held back by its quota for ${percent(held)} of the window`,
          size: 1 + held,
        };
      }
      if (generator === null || generator.busiest <= MAX_GENERATOR_CORES) return null;
      return { text: `one process used ${cores(generator.busiest)}`, size: generator.busiest };
    },
  },
  {
    id: "generator_late",
    kind: "reject",
    title: "Generator late",
    fires: `more than ${stated(MAX_LATE)} of an open loop's requests were sent more than 10 ms ` +
      `late, or the event loop ran more than ${MAX_LAG_MS} ms and ${stated(MAX_LAG_SHARE)} of ` +
      `the median latency late on average`,
    cause: "the generator did not get the CPU when it needed it",
    next: "lower the load, or give the generator cores of its own",
    run: ({ delivery, conditions: { generator }, p50Ms }) => {
      const late = delivery === null ? 0 : delivery.late / delivery.arrivals;
      if (late > MAX_LATE) {
        return { text: `${percent(late)} sent more than 10 ms late`, size: late };
      }
      const lag = generator?.lagMeanMs ?? 0;
      return lag > MAX_LAG_MS && lag > MAX_LAG_SHARE * (p50Ms ?? 0)
        ? { text: `its event loop ran ${ms(lag)} late on average`, size: lag / MAX_LAG_MS }
        : null;
    },
  },
  {
    id: "not_delivered",
    kind: "reject",
    title: "Load not delivered",
    fires: `less than ${stated(MIN_DELIVERED)} of an open loop's requests were sent`,
    cause: "more requests were without an answer than the generator may have open",
    next: "lower the arrival rate: the service cannot serve this one",
    run: ({ delivery }) => {
      if (delivery === null || delivery.arrivals === 0) return null;
      const sent = 1 - delivery.dropped / delivery.arrivals;
      return sent < MIN_DELIVERED
        ? { text: `${percent(1 - sent)} of the requests were never sent`, size: 1 - sent }
        : null;
    },
  },
  {
    id: "no_steady_state",
    kind: "reject",
    title: "No steady state",
    fires: `throughput or service time has a trend of more than ${stated(TOLERATED_CHANGE)} over ` +
      `the window, significant at ${stated(TREND_LEVEL)}`,
    cause: "the ramp, a queue that still fills, a cache that still warms, or another program",
    next: "a longer warm-up (`--warm-up`) or fewer users",
    counted: true,
    run: (run) => seeTrends(run, true),
  },
  {
    id: "steady_state_unknown",
    kind: "reject",
    title: "Steady state not shown",
    fires: `throughput or service time changed by more than ${stated(LARGEST_CHANGE)} over the ` +
      `window, or by more than ${
        stated(TOLERATED_CHANGE)
      } where its moments depend on each other ` +
      `too much to test that`,
    cause: "the window is short for the latencies in it, or something stepped up or down within it",
    next: "a longer window (`--window`) or fewer users",
    counted: true,
    run: (run) => seeTrends(run, false),
  },
  {
    id: "littles_law",
    kind: "reject",
    title: "Little's law broken",
    fires:
      `throughput × (service time + think time) is more than ${stated(LITTLE_TOLERANCE)} off ` +
      `the users that were there; of an app's own locustfile, more than ${
        stated(LITTLE_TOLERANCE)
      } of them waited for the whole window`,
    cause: "some users waited for the whole window while others were served, or stopped asking",
    next: "a longer warm-up and window (`--warm-up`, `--window`) or fewer users",
    counted: true,
    run: ({ status, conditions: { littlesLaw } }) =>
      status === "failed" || littlesLaw === null || littlesLaw.holds ? null : {
        text: `accounts for ${percent(littlesLaw.ratio)} of the users`,
        size: Math.abs(Math.log(Math.max(1e-3, littlesLaw.ratio))),
      },
  },
  {
    id: "ramp_in_window",
    kind: "limit",
    title: "Ramp counted as measurement",
    fires: `less than ${stated(MIN_USERS)} of the users ran when the window began`,
    cause: "the warm-up is shorter than the ramp",
    next: "a longer warm-up (`--warm-up`) or a higher spawnRate",
    run: ({ scenario: { users }, conditions: { generator } }) =>
      users === null || generator === null || generator.users >= MIN_USERS * users ? null : {
        text: `${generator.users} of ${users} users ran when the window began`,
        size: 1 - generator.users / users,
      },
  },
  {
    id: "few_samples",
    kind: "limit",
    title: "Too few requests for P95",
    fires: `fewer than ${leastRequests(95)} correct answers in a window`,
    cause: "the window is short for the throughput",
    next: "a longer window (`--window`)",
    run: ({ status, requests, failures }) => {
      const correct = requests - failures;
      if (status === "failed" || correct >= leastRequests(95)) return null;
      return { text: `${correct} correct answers`, size: 1 / (1 + correct) };
    },
  },
  {
    id: "single_round",
    kind: "limit",
    title: "One run per cell",
    fires: "the plan has one round",
    cause: "a single run has no interval: what the machine does from run to run is not known",
    next:
      "more rounds (`--rounds`): two is the least, five find a difference of 20% in 4 of 5 studies",
    study: ({ plan }) => plan.rounds === 1 ? [`${plan.scenarios.length} cells, one run each`] : [],
  },
  {
    id: "fixed_order",
    kind: "limit",
    title: "One order only",
    fires: "the cells had the same order in every round",
    cause: "a machine that slows down or warms up meanwhile favours those that come first or last",
    next: "more rounds: each draws an order of its own",
    study: ({ manifests }) => seeOrder(manifests),
  },
  {
    id: "shared_cores",
    kind: "limit",
    title: "Cores shared with the load generator",
    fires: "generator and services had no cores of their own",
    cause: "the machine has too few cores to divide, or the engine is local",
    next:
      "compare arms, do not read absolute numbers as the apps' limits; four cores and Docker divide them",
    study: ({ context, runs }) => {
      if (context.cores === null || context.cpuSets.length > 0) return [];
      const used = runs.flatMap(({ conditions: { generator } }) => generator?.cores ?? []);
      const most = used.length === 0
        ? ""
        : `, of which the generator used up to ${Math.max(...used).toFixed(2)}`;
      return [`${context.cores} cores for all services${most}`];
    },
  },
  {
    id: "steal",
    kind: "limit",
    title: "Time stolen by the hypervisor",
    fires: `more than ${stated(MAX_STOLEN)} of all cores' time`,
    cause: "other guests of the same host",
    next:
      "measure at another time or on a dedicated machine; rounds and intervals show what it costs",
    run: ({ conditions: { host } }) =>
      host === null || host.stolen <= MAX_STOLEN
        ? null
        : { text: `${percent(host.stolen)} of the cores' time`, size: host.stolen },
  },
  {
    id: "host_load",
    kind: "limit",
    title: "Other programs on the machine",
    fires: `other processes used more than ${stated(MAX_OTHERS)} of all cores' time`,
    cause: "another program, or another study",
    next: "end what else runs here, and run the study again",
    run: ({ conditions: { host } }) =>
      host === null || host.others <= MAX_OTHERS
        ? null
        : { text: `others used ${percent(host.others)} of the cores' time`, size: host.others },
  },
  {
    id: "limits_not_in_force",
    kind: "limit",
    title: "Limits not in force",
    fires: "a limit on CPU or memory was asked for, and the service's own control group has none",
    cause: "this user may not make control groups",
    next: "start as root, by systemd-run --user --scope -p Delegate=yes, or with Docker",
    study: ({ manifests }) => {
      const missing = new Set(
        manifests.flatMap(({ limits }) =>
          Object.entries(limits).flatMap(([service, { asked, readBack }]) =>
            (asked.cpus !== null && readBack.cpus === null) ||
              (asked.memoryMiB !== null && readBack.memoryMiB === null)
              ? [TITLES[service] ?? service]
              : []
          )
        ),
      );
      return missing.size === 0 ? [] : [`none for ${[...missing].join(", ")}`];
    },
  },
  {
    id: "versions_differ",
    kind: "limit",
    title: "Versions differ between runs",
    fires: "runs of the study were made with different programs, packages, images or machines",
    cause: "the study was resumed after an update or on another machine",
    next: "run it again under another name (`--study NAME`)",
    study: ({ manifests }) => seeVersions(manifests),
  },
  {
    id: "listen_overflow",
    kind: "limit",
    title: "Listen queue overflowed",
    fires: "the kernel turned a connection away from a full listen queue in the window",
    cause:
      "more clients connect at once than a service accepts; each then waits 1 s, 3 s, … to retry",
    next: "a larger listenBacklog and net.core.somaxconn, or connections that are kept",
    run: ({ conditions: { tcp } }) =>
      tcp === null || tcp.listenOverflows === 0
        ? null
        : { text: `${tcp.listenOverflows} times`, size: tcp.listenOverflows },
  },
  {
    id: "ports_scarce",
    kind: "limit",
    title: "Ephemeral ports run short",
    fires: `more than ${stated(MAX_PORTS)} of the ephemeral ports were in use or in TIME_WAIT`,
    cause: "connections are opened and closed faster than their ports become free",
    next: `keep connections, or sysctl -w net.ipv4.ip_local_port_range="15000 60999"`,
    run: ({ conditions: { tcp } }) => {
      const share = tcp === null || tcp.ports === 0 ? 0 : tcp.portsInUse / tcp.ports;
      return share <= MAX_PORTS
        ? null
        : { text: `${tcp!.portsInUse} of ${tcp!.ports} ports`, size: share };
    },
  },
  {
    id: "connections_lost",
    kind: "limit",
    title: "Connections not kept",
    fires: `more than ${stated(MAX_OPENED)} of the requests opened a connection, or a request ` +
      `lost its own before the answer`,
    cause: "the app or what stands before it closes connections that clients would keep",
    next:
      "switch keep-alive on, or raise its timeout and limit of requests: the rest is the cost of TCP",
    run: ({ status, scenario, requests, unfinished, conditions }) => {
      if (status === "failed") return null;
      const { generator, lostConnections } = conditions;
      // Users that the ramp starts within the window have their first connection to open.
      const starting = Math.max(0, (scenario.users ?? 0) - (generator?.users ?? 0));
      const more = Math.max(0, (generator?.connections ?? 0) - starting);
      const opened = more / Math.max(1, requests + unfinished);
      const texts = [
        opened > MAX_OPENED ? [`${percent(opened)} of the requests opened a connection`] : [],
        lostConnections > 0 ? [`${lostConnections} requests lost theirs`] : [],
      ].flat();
      return texts.length === 0
        ? null
        : { text: texts.join(", "), size: Math.max(opened, lostConnections / (1 + requests)) };
    },
  },
  {
    id: "unequal_settings",
    kind: "limit",
    title: "Paths differ in more than the path",
    fires: "the direct and the pooled arm of a pair have different settings of the app",
    cause: "the plan sets them so",
    next: "give both arms the same: until then the ratio is not the path's effect alone",
    study: ({ ratios }) => {
      const texts = ratios.filter(({ differences }) => differences.length > 0)
        .map(({ label, differences }) => ({ label, what: differences.join(", ") }));
      return [...new Set(texts.map(({ what }) => what))].map((what) => {
        const labels = new Set(texts.filter((text) => text.what === what).map((t) => t.label));
        return `${what} (${[...labels].join(", ")})`;
      });
    },
  },
  {
    id: "unequal_work",
    kind: "reject",
    title: "Other work than the contract's",
    fires: `data statements or rows per request of an arm, over all its runs, were more than ${
      stated(WORK_TOLERANCE)
    } off the contract's, or queries went past PgBouncer`,
    cause: "the app asks more often than it must, answers from a cache, or takes another way",
    next: "make the app do what apps/CONTRACT.md says: arms that do different work do not compare",
    study: ({ runs }) => findUnequalWork(runs).map(({ arm, what }) => `${arm}: ${what.join("; ")}`),
  },
  {
    id: "unequal_budgets",
    kind: "limit",
    title: "Frameworks with unequal connection budgets",
    fires: "the apps of two frameworks may open different numbers of connections",
    cause: "workers × threads or workers × pool differ",
    next: "compare paths, not frameworks; or give all the same product",
    study: ({ plan }) => {
      const { text, distinct } = byFramework(plan.scenarios, budgetOf);
      return distinct > 1 ? [text] : [];
    },
  },
  {
    id: "nothing_to_multiplex",
    kind: "limit",
    title: "Nothing to multiplex",
    fires: "a pooled app may open no more connections than PgBouncer's default_pool_size, or " +
      "pool_mode is session",
    cause:
      "the app has fewer workers and threads than the pool has connections, or each keeps its " +
      "server for as long as it is connected",
    next:
      "more threads or a smaller default_pool_size, in transaction mode: until then no gain is " +
      "the pooler's sharing",
    study: ({ plan }) => {
      const alone = plan.scenarios.filter((scenario) =>
        scenario.path === "pooled" && !canShare(scenario)
      );
      const groups = Map.groupBy(
        alone,
        ({ defaultPoolSize, poolMode }) =>
          `${defaultPoolSize}${poolMode === "session" ? " in session mode" : ""}`,
      );
      return [...groups].map(([pool, own]) =>
        `${byFramework(own, budgetOf).text} connections for a pool of ${pool}`
      );
    },
  },
  {
    id: "budget_above_server",
    kind: "limit",
    title: "More connections than PostgreSQL takes",
    fires:
      "a direct app, or PgBouncer, may open more connections than max_connections leaves for it",
    cause: "workers × pool, or default_pool_size, is too large: some connections will be refused",
    next: "a smaller pool (defaultPoolSize when pooled), or more maxConnections",
    plan: ({ scenarios }) => seeRefusals(scenarios),
  },
  {
    id: "at_quota",
    kind: "finding",
    title: "At its CPU quota",
    fires: `a service used at least ${stated(AT_QUOTA)} of its quota, or was held back by it for ` +
      `${stated(THROTTLED)} of the window`,
    cause: "this quota decides the throughput, whatever else differs",
    next: "read ratios as those of this quota; raise it to see what comes next",
    run: ({ status, conditions: { services } }) => {
      const held = services.filter(({ service, quota, cores, throttled }) =>
        service !== "locust" && quota !== null &&
        (cores >= AT_QUOTA * quota || throttled >= THROTTLED)
      );
      if (status === "failed" || held.length === 0) return null;
      const text = held.map(({ service, quota, cores }) =>
        `${TITLES[service] ?? service} ${cores.toFixed(2)} of ${quota} CPU`
      );
      return { text: text.join(", "), size: Math.max(...held.map((s) => s.cores / s.quota!)) };
    },
  },
  {
    id: "machine_full",
    kind: "finding",
    title: "The machine's cores are used up",
    fires: `busy and stolen time are at least ${stated(FULL_MACHINE)} of all cores' time`,
    cause: "the cores, which app, database and generator share, decide the throughput",
    next: "more cores, or a lower load, to see the services' own limits",
    run: ({ status, conditions: { host } }) => {
      if (status === "failed" || host === null) return null;
      const used = host.busy + host.stolen;
      return used < FULL_MACHINE
        ? null
        : { text: `${percent(Math.min(1, used))} of ${host.cores} cores`, size: used };
    },
  },
];

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
    if (seen != null) return `${title.charAt(0).toLowerCase()}${title.slice(1)}: ${seen.text}`;
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
      return texts.length === 0 ? [] : [{ gate, cells: [], runs: 0, seen: texts.join("; ") }];
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
    (look?.(plan) ?? []).map((text) =>
      `Warning: ${title.charAt(0).toLowerCase()}${title.slice(1)}: ${text}; ${next}`
    )
  );
}
