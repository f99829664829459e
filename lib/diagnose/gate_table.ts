/**
 * The table of gates: what must hold before a number supports a sentence. Each row has its published
 * limits, what it looks at and what it says.
 *
 * - *Reject*: the run's numbers support no sentence; it enters no mean and no comparison.
 * - *Limit*: the numbers hold, and what is said of them holds no further than this.
 * - *Finding*: nothing is wrong; this is why the numbers are what they are.
 */

import { canShare } from "../connections.ts";
import type { Plan } from "../plan.ts";
import { MIN_USERS } from "../stats/conditions.ts";
import { MAX_LEFT_OUT, MIN_BLOCKS } from "../stats/disturbed.ts";
import { isUnmet, type StudyContext } from "../stats/context.ts";
import { LATE_MS, MAX_LATE, MIN_DELIVERED } from "../stats/delivery.ts";
import { leastRequests } from "../stats/latency.ts";
import { LITTLE_TOLERANCE, TOLERATED_CHANGE, TREND_LEVEL } from "../stats/steady_state.ts";
import { NO_CAUSE } from "../stats/summarise.ts";
import type { PathRatio, RunSummary, ScenarioSummary } from "../stats/summary.ts";
import type { Manifest } from "../store/manifest.ts";
import {
  formatCores,
  formatCount,
  formatLimit,
  formatMs,
  formatPart,
  formatPercent,
  nounFor,
} from "../wording/format.ts";
import { titleOf } from "../wording/services.ts";
import { findUnequalWork, WORK_TOLERANCE } from "./equal_work.ts";
import {
  budgetsOf,
  LARGEST_CHANGE,
  listBudgets,
  seeAbove,
  seeOrder,
  seeRefusals,
  seeTrends,
  seeVersions,
  type Sighting,
} from "./gate_looks.ts";

/** A process runs on one core: a generator above this is the slowest part of the experiment. */
export const MAX_GENERATOR_CORES = 0.9;
/** A generator that its quota holds back for longer than this share of the window measures itself. */
const MAX_GENERATOR_THROTTLED = 0.01;
/** An event loop later than this on average is late as an arrival is: it shows in every latency… */
const MAX_LAG_MS = 10;
/** …unless it is below this share of the median, which then hardly shows it. */
const MAX_LAG_SHARE = 0.1;
/** The doctor warns from the same share of all cores' time on. */
const MAX_STOLEN = 0.02;
/** Twice what Poolscope itself takes beside a run; more is another program's. */
export const MAX_OTHERS = 0.1;
/** Above this share of the requests that open a connection, users do not keep theirs. */
const MAX_OPENED = 0.05;
/** Above this share of the ephemeral ports in use, the next connections may not get one. */
const MAX_PORTS = 0.8;
/** From this share of its quota on a service has no reserve: the quota ends within one period. */
const AT_QUOTA = 0.95;
/** A service that is held back for this share of the time waits for its quota. */
const THROTTLED = 0.05;
/** Above this share of all cores' time, whatever comes next waits for a core. */
const FULL_MACHINE = 0.95;

export interface GateStudy {
  plan: Plan;
  manifests: readonly Manifest[];
  runs: readonly RunSummary[];
  scenarios: readonly ScenarioSummary[];
  ratios: readonly PathRatio[];
  context: StudyContext;
}

interface Row {
  kind: "reject" | "limit" | "finding";
  title: string;
  fires: string;
  cause: string;
  next: string;
  /** What is said instead of a study whose arms take turns. @default the same */
  inTurns?: Partial<Record<"title" | "cause" | "next", string>>;
  /** Whether a run's throughput is counted correctly all the same. @default false */
  counted?: true;
  run?: (run: RunSummary) => Sighting | null;
  /** What it sees in a plan, a text each: of what is told before anything starts, too. */
  plan?: (plan: Plan) => string[];
  study?: (study: GateStudy) => string[];
}

/** A gate; its id is short and stable, for CSVs. */
export type Gate = Row & { id: string };

/** The table by id, in the order in which gates are told. */
const TABLE: Record<string, Row> = {
  not_verified: {
    kind: "reject",
    title: "Not verified",
    fires: "the checks before the load (contract, nonce, path, network) did not all hold",
    cause: "the app did not start, deviates from the contract, or uses another path",
    next: "see the run's cause and logs/app.log",
    run: ({ status, cause, conditions }) =>
      status === "failed" && conditions.verified === false
        ? { text: cause ?? NO_CAUSE, size: 1 }
        : null,
  },
  counts_disagree: {
    kind: "reject",
    title: "Counts disagree",
    fires: "requests.csv, final.json and Locust's totals do not count the same requests",
    cause: "files were changed or cut short, or the locustfile raised exceptions",
    next: "run it again (`--retry-failed`)",
    run: ({ conditions: { disagreement } }) =>
      disagreement === null ? null : { text: disagreement, size: 1 },
  },
  generator_throttled: {
    kind: "reject",
    title: "Generator held back",
    fires: `a process of the load generator used more than ${MAX_GENERATOR_CORES} cores, or its ` +
      `quota held it back for more than ${formatLimit(MAX_GENERATOR_THROTTLED)} of the window`,
    cause: "the generator, not the service, was the slowest part",
    next: "lower the load, give the generator dedicated cores, or lift its CPU quota",
    run: ({ conditions: { generator, services } }) => {
      const held = services.find(({ service }) => service === "locust")?.throttled ?? 0;
      const quota = `held back by its quota for ${formatPercent(held)} of the window`;
      return held > MAX_GENERATOR_THROTTLED ? { text: quota, size: 1 + held } : seeAbove(
        generator?.busiest,
        MAX_GENERATOR_CORES,
        (cores) => `one process used ${formatCores(cores)} cores`,
      );
    },
  },
  generator_late: {
    kind: "reject",
    title: "Generator late",
    fires: `more than ${formatLimit(MAX_LATE)} of an open loop's requests were sent more than ` +
      `${LATE_MS} ms late, or the event loop ran more than ${MAX_LAG_MS} ms and ` +
      `${formatLimit(MAX_LAG_SHARE)} of the median latency late on average`,
    cause: "the generator did not get the CPU when it needed it",
    next: "lower the load, or give the generator dedicated cores",
    run: ({ delivery, conditions: { generator }, p50Ms }) => {
      const late = delivery === null ? 0 : delivery.late / delivery.arrivals;
      if (late > MAX_LATE) {
        return { text: `${formatPercent(late)} sent more than ${LATE_MS} ms late`, size: late };
      }
      const lag = generator?.lagMeanMs ?? 0;
      return lag > MAX_LAG_MS && lag > MAX_LAG_SHARE * (p50Ms ?? 0)
        ? { text: `its event loop ran ${formatMs(lag)} late on average`, size: lag / MAX_LAG_MS }
        : null;
    },
  },
  not_delivered: {
    kind: "reject",
    title: "Load not delivered",
    fires: `less than ${formatLimit(MIN_DELIVERED)} of an open loop's requests were sent`,
    cause: "more requests were unanswered than the generator may keep open",
    next: "lower the arrival rate: the service cannot serve this one",
    run: ({ delivery }) => {
      if (delivery === null || delivery.arrivals === 0) return null;
      const sent = 1 - delivery.dropped / delivery.arrivals;
      return sent < MIN_DELIVERED
        ? { text: `${formatPercent(1 - sent)} of the requests were never sent`, size: 1 - sent }
        : null;
    },
  },
  few_blocks: {
    kind: "reject",
    title: "Too few blocks",
    fires: "the load of arms that take turns ended before their second block",
    cause: "an arm beside it failed, or its turns are so long that the time had room for one",
    next: "mend the arm that failed, or more minutes (`--minutes`)",
    run: ({ slices }) =>
      slices === null || slices.length > 1
        ? null
        : { text: `it had ${formatCount(slices.length, "whole block")}`, size: 2 - slices.length },
  },
  no_steady_state: {
    kind: "reject",
    title: "No steady state",
    fires: `throughput or service time has a trend of more than ${formatLimit(TOLERATED_CHANGE)} ` +
      `over the window, significant at ${formatLimit(TREND_LEVEL)}`,
    cause: "the ramp, a queue that still fills, a cache that still warms, or another program",
    next: "a longer warm-up (`--warm-up`) or fewer users",
    // Where one is left without anybody to take turns with.
    inTurns: { next: "more minutes (`--minutes`), or end other programs" },
    counted: true,
    run: (run) => run.slices === null ? seeTrends(run, true) : null,
  },
  steady_state_unknown: {
    kind: "reject",
    title: "Steady state not shown",
    fires: `throughput or service time changed by more than ${formatLimit(LARGEST_CHANGE)} over ` +
      `the window, or by more than ${formatLimit(TOLERATED_CHANGE)} where neighbouring readings ` +
      "are too correlated to test it",
    cause: "the window is short for the latencies in it, or something stepped up or down within it",
    next: "a longer window (`--window`) or fewer users",
    counted: true,
    run: (run) => run.slices === null ? seeTrends(run, false) : null,
  },
  drift_in_turns: {
    kind: "limit",
    title: "Drift over the blocks",
    fires: "arms take turns, and throughput or service time has a trend of more than " +
      `${formatLimit(TOLERATED_CHANGE)} over the blocks, significant at ${
        formatLimit(TREND_LEVEL)
      }`,
    cause:
      "a cache that still warms, a table that grows, or another program; both arms of a block " +
      "meet it, so that their ratio bears it",
    next: "end other programs; what changes over minutes is measured by `--design consecutive`",
    run: (run) => run.slices === null ? null : seeTrends(run, true),
  },
  littles_law: {
    kind: "reject",
    title: "Little's law broken",
    fires: "throughput × (service time + think time) is more than " +
      `${formatLimit(LITTLE_TOLERANCE)} off the users present; with an app's own locustfile, ` +
      `more than ${formatLimit(LITTLE_TOLERANCE)} of the users waited for the whole window`,
    cause: "some users waited for the whole window while others were served, or stopped sending",
    next: "a longer warm-up and window (`--warm-up`, `--window`) or fewer users",
    inTurns: {
      cause: "another program kept the generator from sending at once what came next, or some " +
        "users waited while others were served",
      next: "end other programs; else longer slices (`--window`) or fewer users",
    },
    counted: true,
    run: ({ status, conditions: { littlesLaw } }) =>
      status === "failed" || littlesLaw === null || littlesLaw.holds ? null : {
        text: `accounts for ${formatPercent(littlesLaw.ratio)} of the users`,
        size: Math.abs(Math.log(Math.max(1e-3, littlesLaw.ratio))),
      },
  },
  ramp_in_window: {
    kind: "limit",
    title: "Ramp counted as measurement",
    fires: `less than ${formatLimit(MIN_USERS)} of the users ran when the window began`,
    cause: "the warm-up is shorter than the ramp",
    next: "a longer warm-up (`--warm-up`) or a higher spawnRate",
    inTurns: { cause: "users could not be started in time", next: "a higher spawnRate" },
    run: ({ scenario: { users }, conditions: { generator } }) =>
      users === null || generator === null || generator.users >= MIN_USERS * users ? null : {
        text: `${formatPart(generator.users, users, "user")} ran when the window began`,
        size: 1 - generator.users / users,
      },
  },
  few_samples: {
    kind: "limit",
    title: "Too few requests for P95",
    fires: `fewer than ${leastRequests(95)} correct answers in a window, or in a start's slices`,
    cause: "the window is short for the throughput",
    next: "a longer window (`--window`)",
    inTurns: {
      cause: "the blocks are few for the throughput",
      next: "more minutes (`--minutes`)",
    },
    run: ({ status, timed }) => {
      if (status === "failed" || timed >= leastRequests(95)) return null;
      return { text: formatCount(timed, "correct answer"), size: 1 / (1 + timed) };
    },
  },
  single_round: {
    kind: "limit",
    title: "One run per cell",
    fires: "the plan has one round",
    cause: "a single run has no interval: what the machine does from run to run is not known",
    next:
      "more rounds (`--rounds`): two is the least, five find a difference of 20% in 4 of 5 studies",
    inTurns: {
      title: "One start",
      cause: "what one start differs by from another is not known, and in no interval",
      next: "two starts or more (`--rounds`)",
    },
    study: ({ plan: { rounds, scenarios } }) =>
      rounds === 1 ? [`${formatCount(scenarios.length, "cell")} × 1 run`] : [],
  },
  fixed_order: {
    kind: "limit",
    title: "One order only",
    fires: "the cells had the same order in every round, and no arms took turns",
    cause: "a machine that slows down or warms up meanwhile favours those that come first or last",
    next: "more rounds: each draws an order of its own",
    study: ({ manifests }) => seeOrder(manifests),
  },
  shared_cores: {
    kind: "limit",
    title: "Cores shared with the load generator",
    fires: "generator and services had no dedicated cores",
    cause: "the machine has too few cores to divide, or the engine is local",
    next:
      "compare arms, but do not read absolute numbers as the apps' limits; with four cores, Docker divides them",
    study: ({ context, runs }) => {
      if (context.cores === null || context.cpuSets.length > 0) return [];
      const used = runs.flatMap(({ conditions: { generator } }) => generator?.cores ?? []);
      const most = formatCores(Math.max(...used));
      const rest = used.length === 0 ? "" : `, of which the generator used up to ${most}`;
      return [`${formatCount(context.cores, "core")} for all services${rest}`];
    },
  },
  steal: {
    kind: "limit",
    title: "Time stolen by the hypervisor",
    fires: `the hypervisor took more than ${formatLimit(MAX_STOLEN)} of all cores' time`,
    cause: "other guests of the same host",
    next:
      "measure at another time or on a dedicated machine; rounds and intervals show what it costs",
    run: ({ conditions: { host } }) =>
      seeAbove(host?.stolen, MAX_STOLEN, (share) => `${formatPercent(share)} of the cores' time`),
  },
  host_load: {
    kind: "limit",
    title: "Other programs on the machine",
    fires: `other processes used more than ${formatLimit(MAX_OTHERS)} of all cores' time`,
    cause: "another program, or another study",
    next: "end other programs, and run the study again",
    // Of runs that took turns, blocks are left out instead, where these are not too many.
    run: ({ slices, conditions: { host, leftOut } }) =>
      slices !== null && leftOut > 0 ? null : seeAbove(
        host?.others,
        MAX_OTHERS,
        (share) => `others used ${formatPercent(share)} of the cores' time`,
      ),
  },
  blocks_left_out: {
    kind: "limit",
    title: "Blocks left out",
    fires: `other processes used more than ${formatLimit(MAX_OTHERS)} of all cores' time in a ` +
      `block of arms that take turns: left out if at most ${formatLimit(MAX_LEFT_OUT)} of a ` +
      `start's blocks are such and ${MIN_BLOCKS} remain`,
    cause: "another program, or another study",
    next: "end other programs; more minutes (`--minutes`) make up for what is left out",
    run: ({ slices, conditions: { leftOut } }) =>
      slices === null || leftOut === 0
        ? null
        : { text: formatPart(leftOut, slices.length + leftOut, "block"), size: leftOut },
  },
  limits_not_in_force: {
    kind: "limit",
    title: "Limits not in force",
    fires: "a limit on CPU or memory was asked for, and the service's own control group has none",
    cause: "this user may not make control groups",
    next: "start as root, by systemd-run --user --scope -p Delegate=yes, or with Docker",
    study: ({ manifests }) => {
      const missing = manifests.flatMap(({ limits }) =>
        Object.entries(limits).filter(([, service]) => isUnmet(service))
      );
      const services = new Set(missing.map(([service]) => titleOf(service)));
      return services.size === 0 ? [] : [`none for ${[...services].join(", ")}`];
    },
  },
  versions_differ: {
    kind: "limit",
    title: "Versions differ between runs",
    fires: "runs of the study were made with different programs, packages, images or machines",
    cause: "the study was resumed after an update or on another machine",
    next: "run it again under another name (`--study NAME`)",
    study: ({ manifests }) => seeVersions(manifests),
  },
  listen_overflow: {
    kind: "limit",
    title: "Listen queue overflowed",
    fires: "the kernel turned a connection away from a full listen queue in the window",
    cause:
      "more clients connect at once than a service accepts; each then waits 1 s, 3 s, … to retry",
    next: "a larger listenBacklog and net.core.somaxconn, or connections that are kept",
    run: ({ conditions: { tcp } }) =>
      seeAbove(tcp?.listenOverflows, 0, (times) => formatCount(times, "time")),
  },
  ports_scarce: {
    kind: "limit",
    title: "Ephemeral ports run short",
    fires: `more than ${formatLimit(MAX_PORTS)} of the ephemeral ports were in use or in TIME_WAIT`,
    cause: "connections are opened and closed faster than their ports become free",
    next: `keep connections, or sysctl -w net.ipv4.ip_local_port_range="15000 60999"`,
    run: ({ conditions: { tcp } }) => {
      if (tcp === null || tcp.ports === 0) return null;
      const { portsInUse, ports } = tcp;
      return seeAbove(portsInUse / ports, MAX_PORTS, () => `${portsInUse} of ${ports} ports`);
    },
  },
  connections_lost: {
    kind: "limit",
    title: "Connections not kept",
    fires: `more than ${formatLimit(MAX_OPENED)} of the requests opened a connection, or a ` +
      "request lost its own before the answer",
    cause: "the app or what stands before it closes connections that clients would keep",
    next:
      "switch keep-alive on, or raise its timeout and limit of requests: the rest is the cost of TCP",
    run: ({ status, scenario, requests, unfinished, conditions }) => {
      const { generator, lostConnections: lost } = conditions;
      // Users that the ramp starts within the window have their first connection to open.
      const starting = Math.max(0, (scenario.users ?? 0) - (generator?.users ?? 0));
      const more = Math.max(0, (generator?.connections ?? 0) - starting);
      const opened = more / Math.max(1, requests + unfinished);
      const texts: string[] = [];
      if (opened > MAX_OPENED) {
        texts.push(`${formatPercent(opened)} of the requests opened a connection`);
      }
      if (lost > 0) {
        const whose = lost === 1 ? "its connection" : "theirs";
        texts.push(`${formatCount(lost, "request")} lost ${whose}`);
      }
      if (status === "failed" || texts.length === 0) return null;
      return { text: texts.join(", "), size: Math.max(opened, lost / (1 + requests)) };
    },
  },
  unequal_settings: {
    kind: "limit",
    title: "Paths differ in more than the path",
    fires: "the direct and the pooled arm of a pair have different settings of the app",
    cause: "the plan sets them so",
    next: "give both arms the same: until then the ratio is not the path's effect alone",
    study: ({ ratios }) => {
      const unequal = ratios.filter(({ differences }) => differences.length > 0);
      const groups = Map.groupBy(unequal, ({ differences }) => differences.join(", "));
      return [...groups].map(([settings, pairs]) =>
        `${settings} (${[...new Set(pairs.map(({ label }) => label))].join(", ")})`
      );
    },
  },
  unequal_work: {
    kind: "reject",
    title: "Other work than the contract's",
    fires: "data statements or rows per request of an arm, over all its runs, were more than " +
      `${formatLimit(WORK_TOLERANCE)} off the contract's, or queries went past PgBouncer`,
    cause: "the app sends more statements than it must, answers from a cache, or uses another path",
    next: "make the app do what apps/CONTRACT.md says: arms that do different work do not compare",
    study: ({ runs }) => findUnequalWork(runs).map(({ arm, what }) => `${arm}: ${what.join("; ")}`),
  },
  unequal_budgets: {
    kind: "limit",
    title: "Frameworks with unequal connection budgets",
    fires: "the apps of two frameworks may open different numbers of connections",
    cause: "workers × threads or workers × pool differ",
    next: "compare paths, not frameworks; or make the product equal for all",
    study: ({ plan: { scenarios } }) => {
      const budgets = budgetsOf(scenarios);
      const distinct = new Set(budgets.map(({ connections }) => connections.join()));
      return distinct.size > 1 ? [listBudgets(budgets)] : [];
    },
  },
  nothing_to_multiplex: {
    kind: "limit",
    title: "Nothing to multiplex",
    fires: "a pooled app may open no more connections than PgBouncer's default_pool_size, or " +
      "pool_mode is session",
    cause:
      "the app has fewer workers and threads than the pool has connections, or each keeps its server for as long as it is connected",
    next:
      "more threads or a smaller default_pool_size, in transaction mode: until then no gain is the pooler's sharing",
    study: ({ plan: { scenarios } }) => {
      const alone = scenarios.filter((one) => one.path === "pooled" && !canShare(one));
      const groups = Map.groupBy(alone, ({ defaultPoolSize, poolMode }) => {
        const mode = poolMode === "session" ? " in session mode" : "";
        return `for a pool of ${defaultPoolSize}${mode}`;
      });
      return [...groups].map(([pool, own]) => {
        const budgets = budgetsOf(own);
        const total = Number(budgets.flatMap(({ connections }) => connections).join());
        return `${listBudgets(budgets)} ${nounFor(total, "connection")} ${pool}`;
      });
    },
  },
  budget_above_server: {
    kind: "limit",
    title: "More connections than PostgreSQL takes",
    fires:
      "a direct app, or PgBouncer, may open more connections than max_connections leaves for it",
    cause: "workers × pool, or default_pool_size, is too large: some connections will be refused",
    next: "a smaller pool (defaultPoolSize when pooled), or more maxConnections",
    plan: ({ scenarios }) => seeRefusals(scenarios),
  },
  at_quota: {
    kind: "finding",
    title: "At its CPU quota",
    fires: `a service used at least ${formatLimit(AT_QUOTA)} of its quota, or was held back by ` +
      `it for ${formatLimit(THROTTLED)} of the window`,
    cause: "this quota decides the throughput, whatever else differs",
    next: "read ratios as those of this quota; raise it to see what comes next",
    run: ({ status, conditions: { services } }) => {
      const held = services.filter(({ service, quota, cores, throttled }) =>
        service !== "locust" && quota !== null &&
        (cores >= AT_QUOTA * quota || throttled >= THROTTLED)
      );
      if (status === "failed" || held.length === 0) return null;
      const texts = held.map(({ service, cores, quota }) =>
        `${titleOf(service)} ${formatCores(cores)} of ${quota} CPU`
      );
      const size = Math.max(...held.map(({ cores, quota }) => cores / quota!));
      return { text: texts.join(", "), size };
    },
  },
  machine_full: {
    kind: "finding",
    title: "The machine's cores are used up",
    fires: `busy and stolen time are at least ${formatLimit(FULL_MACHINE)} of all cores' time`,
    cause: "the cores, which app, database and generator share, decide the throughput",
    next: "more cores, or a lower load, to see the services' own limits",
    run: ({ status, conditions: { host } }) => {
      const used = host === null ? 0 : host.busy + host.stolen;
      if (status === "failed" || used < FULL_MACHINE) return null;
      const cores = formatCount(host!.cores, "core");
      return { text: `${formatPercent(Math.min(1, used))} of ${cores}`, size: used };
    },
  },
};

export const GATES: readonly Gate[] = Object.entries(TABLE).map(([id, row]) => ({ id, ...row }));
