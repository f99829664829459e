/**
 * The gates, what those that fired say together, and how the work of an arm deviates.
 *
 * @module
 */

import { MIN_USERS } from "../stats/conditions.ts";
import { LATE_MS, MAX_LATE, MIN_DELIVERED } from "../stats/delivery.ts";
import { leastRequests } from "../stats/latency.ts";
import { LITTLE_TOLERANCE } from "../stats/littles_law.ts";
import { TOLERATED_CHANGE, TREND_LEVEL } from "../stats/steady_state.ts";
import { titleOf } from "./causes.ts";
import { measureWords } from "./claims.ts";
import {
  capitalise,
  formatCores,
  formatCount,
  formatLimit,
  formatList,
  formatMs,
  formatPart,
  formatPercent,
  nounFor,
  uncapitalise,
} from "./format.ts";

/** An app by its title, and how many connections it may open in one or several scenarios. */
export interface AppBudget {
  app: string;
  connections: number[];
}

const listBudgets = (budgets: readonly AppBudget[]) =>
  budgets.map(({ app, connections }) =>
    `${app} ${connections.map((n) => Number.isFinite(n) ? n : "unbounded").join(" or ")}`
  ).join(", ");

const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);

const sawTrends = (trends: readonly { of: "throughput" | "service"; change: number }[]) => {
  const texts = trends.map(({ of, change }) =>
    `${measureWords[of]} ${change < 0 ? "fell" : "rose"} by ${formatPercent(Math.abs(change))}`
  );
  return `${texts.join(" and ")} in the window`;
};

/**
 * By a gate's id: what is the matter, when it fires (where that names limits of the gate's own, a
 * function of these), the likely cause, the next step, and what it saw.
 */
export const gateWords = {
  not_verified: {
    title: "Not verified",
    fires: "the checks before the load (contract, nonce, path, network) did not all hold",
    cause: "the app did not start, deviates from the contract, or uses another path",
    next: "see the run's cause and logs/app.log",
  },
  counts_disagree: {
    title: "Counts disagree",
    fires: "requests.csv, final.json and Locust's totals do not count the same requests",
    cause: "files were changed or cut short, or the locustfile raised exceptions",
    next: "run it again (`--retry-failed`)",
  },
  generator_throttled: {
    title: "Generator held back",
    fires: (cores: number, held: number) =>
      `a process of the load generator used more than ${cores} cores, or its quota held it back ` +
      `for more than ${formatLimit(held)} of the window`,
    cause: "the generator, not the service, was the slowest part",
    next: "lower the load, give the generator dedicated cores, or lift its CPU quota",
    saw: {
      held: (share: number) => `held back by its quota for ${formatPercent(share)} of the window`,
      busy: (cores: number) => `one process used ${formatCores(cores)} cores`,
    },
  },
  generator_late: {
    title: "Generator late",
    fires: (lagMs: number, share: number) =>
      `more than ${formatLimit(MAX_LATE)} of an open loop's requests were sent more than ` +
      `${LATE_MS} ms late, or the event loop ran more than ${lagMs} ms and ${
        formatLimit(share)
      } of ` +
      `the median latency late on average`,
    cause: "the generator did not get the CPU when it needed it",
    next: "lower the load, or give the generator dedicated cores",
    saw: {
      late: (share: number) => `${formatPercent(share)} sent more than ${LATE_MS} ms late`,
      lag: (ms: number) => `its event loop ran ${formatMs(ms)} late on average`,
    },
  },
  not_delivered: {
    title: "Load not delivered",
    fires: `less than ${formatLimit(MIN_DELIVERED)} of an open loop's requests were sent`,
    cause: "more requests were unanswered than the generator may keep open",
    next: "lower the arrival rate: the service cannot serve this one",
    saw: (share: number) => `${formatPercent(share)} of the requests were never sent`,
  },
  no_steady_state: {
    title: "No steady state",
    fires: `throughput or service time has a trend of more than ${
      formatLimit(TOLERATED_CHANGE)
    } over the window, significant at ${formatLimit(TREND_LEVEL)}`,
    cause: "the ramp, a queue that still fills, a cache that still warms, or another program",
    next: "a longer warm-up (`--warm-up`) or fewer users",
    saw: sawTrends,
  },
  steady_state_unknown: {
    title: "Steady state not shown",
    fires: (change: number) =>
      `throughput or service time changed by more than ${formatLimit(change)} over the ` +
      `window, or by more than ${formatLimit(TOLERATED_CHANGE)} where neighbouring ` +
      `readings are too correlated to test it`,
    cause: "the window is short for the latencies in it, or something stepped up or down within it",
    next: "a longer window (`--window`) or fewer users",
    saw: sawTrends,
  },
  littles_law: {
    title: "Little's law broken",
    fires: `throughput × (service time + think time) is more than ${
      formatLimit(LITTLE_TOLERANCE)
    } off the users present; with an app's own locustfile, more than ${
      formatLimit(LITTLE_TOLERANCE)
    } of the users waited for the whole window`,
    cause: "some users waited for the whole window while others were served, or stopped sending",
    next: "a longer warm-up and window (`--warm-up`, `--window`) or fewer users",
    saw: (share: number) => `accounts for ${formatPercent(share)} of the users`,
  },
  ramp_in_window: {
    title: "Ramp counted as measurement",
    fires: `less than ${formatLimit(MIN_USERS)} of the users ran when the window began`,
    cause: "the warm-up is shorter than the ramp",
    next: "a longer warm-up (`--warm-up`) or a higher spawnRate",
    saw: (ran: number, users: number) =>
      `${formatPart(ran, users, "user")} ran when the window began`,
  },
  few_samples: {
    title: "Too few requests for P95",
    fires: `fewer than ${leastRequests(95)} correct answers in a window`,
    cause: "the window is short for the throughput",
    next: "a longer window (`--window`)",
    saw: (correct: number) => formatCount(correct, "correct answer"),
  },
  single_round: {
    title: "One run per cell",
    fires: "the plan has one round",
    cause: "a single run has no interval: what the machine does from run to run is not known",
    next:
      "more rounds (`--rounds`): two is the least, five find a difference of 20% in 4 of 5 studies",
    saw: (cells: number) => `${formatCount(cells, "cell")} × 1 run`,
  },
  fixed_order: {
    title: "One order only",
    fires: "the cells had the same order in every round",
    cause: "a machine that slows down or warms up meanwhile favours those that come first or last",
    next: "more rounds: each draws an order of its own",
    saw: (cells: number, rounds: number) =>
      rounds === 1
        ? `${cells} cells in one random order`
        : `${cells} cells in the same order in all ${rounds} rounds`,
  },
  shared_cores: {
    title: "Cores shared with the load generator",
    fires: "generator and services had no dedicated cores",
    cause: "the machine has too few cores to divide, or the engine is local",
    next:
      "compare arms, but do not read absolute numbers as the apps' limits; with four cores, Docker divides them",
    saw: (cores: number, used: readonly number[]) =>
      `${formatCount(cores, "core")} for all services${
        used.length === 0
          ? ""
          : `, of which the generator used up to ${formatCores(Math.max(...used))}`
      }`,
  },
  steal: {
    title: "Time stolen by the hypervisor",
    fires: (share: number) =>
      `the hypervisor took more than ${formatLimit(share)} of all cores' time`,
    cause: "other guests of the same host",
    next:
      "measure at another time or on a dedicated machine; rounds and intervals show what it costs",
    saw: (share: number) => `${formatPercent(share)} of the cores' time`,
  },
  host_load: {
    title: "Other programs on the machine",
    fires: (share: number) =>
      `other processes used more than ${formatLimit(share)} of all cores' time`,
    cause: "another program, or another study",
    next: "end other programs, and run the study again",
    saw: (share: number) => `others used ${formatPercent(share)} of the cores' time`,
  },
  limits_not_in_force: {
    title: "Limits not in force",
    fires: "a limit on CPU or memory was asked for, and the service's own control group has none",
    cause: "this user may not make control groups",
    next: "start as root, by systemd-run --user --scope -p Delegate=yes, or with Docker",
    saw: (services: readonly string[]) => `none for ${services.map(titleOf).join(", ")}`,
  },
  versions_differ: {
    title: "Versions differ between runs",
    fires: "runs of the study were made with different programs, packages, images or machines",
    cause: "the study was resumed after an update or on another machine",
    next: "run it again under another name (`--study NAME`)",
    saw: {
      values: (name: string, values: readonly string[]) => `${name}: ${values.join(", ")}`,
      image: (name: string) => `image of ${name}`,
      commit: "Poolscope's commit",
      kernel: "kernel",
      cpu: "CPU",
      engine: "engine",
    },
  },
  listen_overflow: {
    title: "Listen queue overflowed",
    fires: "the kernel turned a connection away from a full listen queue in the window",
    cause:
      "more clients connect at once than a service accepts; each then waits 1 s, 3 s, … to retry",
    next: "a larger listenBacklog and net.core.somaxconn, or connections that are kept",
    saw: (times: number) => formatCount(times, "time"),
  },
  ports_scarce: {
    title: "Ephemeral ports run short",
    fires: (share: number) =>
      `more than ${formatLimit(share)} of the ephemeral ports were in use or in TIME_WAIT`,
    cause: "connections are opened and closed faster than their ports become free",
    next: `keep connections, or sysctl -w net.ipv4.ip_local_port_range="15000 60999"`,
    saw: (used: number, ports: number) => `${used} of ${ports} ports`,
  },
  connections_lost: {
    title: "Connections not kept",
    fires: (share: number) =>
      `more than ${formatLimit(share)} of the requests opened a connection, or a request lost ` +
      `its own before the answer`,
    cause: "the app or what stands before it closes connections that clients would keep",
    next:
      "switch keep-alive on, or raise its timeout and limit of requests: the rest is the cost of TCP",
    saw: (opened: number | null, lost: number) =>
      [
        opened === null ? [] : [`${formatPercent(opened)} of the requests opened a connection`],
        lost === 0
          ? []
          : [`${formatCount(lost, "request")} lost ${lost === 1 ? "its connection" : "theirs"}`],
      ].flat().join(", "),
  },
  unequal_settings: {
    title: "Paths differ in more than the path",
    fires: "the direct and the pooled arm of a pair have different settings of the app",
    cause: "the plan sets them so",
    next: "give both arms the same: until then the ratio is not the path's effect alone",
    saw: (settings: string, pairs: readonly string[]) => `${settings} (${pairs.join(", ")})`,
  },
  unequal_work: {
    title: "Other work than the contract's",
    fires: (tolerance: number) =>
      `data statements or rows per request of an arm, over all its runs, were more than ${
        formatLimit(tolerance)
      } off the contract's, or queries went past PgBouncer`,
    cause: "the app sends more statements than it must, answers from a cache, or uses another path",
    next: "make the app do what apps/CONTRACT.md says: arms that do different work do not compare",
    saw: (arm: string, deviations: readonly string[]) => `${arm}: ${deviations.join("; ")}`,
  },
  unequal_budgets: {
    title: "Frameworks with unequal connection budgets",
    fires: "the apps of two frameworks may open different numbers of connections",
    cause: "workers × threads or workers × pool differ",
    next: "compare paths, not frameworks; or make the product equal for all",
    saw: listBudgets,
  },
  nothing_to_multiplex: {
    title: "Nothing to multiplex",
    fires: "a pooled app may open no more connections than PgBouncer's default_pool_size, or " +
      "pool_mode is session",
    cause:
      "the app has fewer workers and threads than the pool has connections, or each keeps its " +
      "server for as long as it is connected",
    next:
      "more threads or a smaller default_pool_size, in transaction mode: until then no gain is " +
      "the pooler's sharing",
    saw: (budgets: readonly AppBudget[], pool: number, inSession: boolean) =>
      `${listBudgets(budgets)} ${
        nounFor(sum(budgets.flatMap(({ connections }) => connections)), "connection")
      } for a pool of ${pool}${inSession ? " in session mode" : ""}`,
  },
  budget_above_server: {
    title: "More connections than PostgreSQL takes",
    fires:
      "a direct app, or PgBouncer, may open more connections than max_connections leaves for it",
    cause: "workers × pool, or default_pool_size, is too large: some connections will be refused",
    next: "a smaller pool (defaultPoolSize when pooled), or more maxConnections",
    saw: (budgets: readonly AppBudget[], maxConnections: readonly number[]) =>
      `${listBudgets(budgets)} for max_connections ${maxConnections.join(" or ")}`,
  },
  at_quota: {
    title: "At its CPU quota",
    fires: (share: number, held: number) =>
      `a service used at least ${formatLimit(share)} of its quota, or was held back by it for ` +
      `${formatLimit(held)} of the window`,
    cause: "this quota decides the throughput, whatever else differs",
    next: "read ratios as those of this quota; raise it to see what comes next",
    saw: (services: readonly { service: string; cores: number; quota: number | null }[]) =>
      services.map(({ service, cores, quota }) =>
        `${titleOf(service)} ${formatCores(cores)} of ${quota} CPU`
      ).join(", "),
  },
  machine_full: {
    title: "The machine's cores are used up",
    fires: (share: number) =>
      `busy and stolen time are at least ${formatLimit(share)} of all cores' time`,
    cause: "the cores, which app, database and generator share, decide the throughput",
    next: "more cores, or a lower load, to see the services' own limits",
    saw: (share: number, cores: number) =>
      `${formatPercent(share)} of ${formatCount(cores, "core")}`,
  },
};

/** A title within a sentence, where it keeps the capital of a name. */
function within(title: string): string {
  return title === gateWords.littles_law.title ? title : uncapitalise(title);
}

/** How it is said that a gate fired. */
export const firedWords = {
  rejected: (title: string, saw: string) => `${within(title)}: ${saw}`,
  foreseen: (title: string, saw: string, next: string) =>
    `Warning: ${within(title)}: ${saw}; ${next}`,
  seen: (texts: readonly string[]) => texts.join("; "),
};

/** A line for each gate, under its kind; the head counts the runs. */
export const gateLines = {
  /** By kind: what its gates do to what is said. */
  kinds: {
    reject: "Rejected: in no mean and no comparison",
    limit: "Limits of every claim below",
    finding: "Findings: why the numbers are what they are",
  },
  everyRun: "every run",
  everyCell: (runs: number, all: number) => `every cell (${formatPart(runs, all, "run")})`,
  /** Arms by where they have their cells. */
  cells: (places: readonly [at: string, arms: readonly string[]][], runs: number, all: number) =>
    `${places.map(([at, arms]) => `${formatList(arms)} ${at}`).join("; ")} (${
      runs === all ? formatCount(runs, "run") : formatPart(runs, all, "run")
    })`,
  atMost: "at most: ",
  atWorst: "at worst, ",
  seen: (seen: string, cause: string, next: string) =>
    `${capitalise(seen)}. *Likely cause:* ${cause}. *Next step:* ${next}.`,
  counted: (
    { ok, rejected, failed }: Record<"ok" | "rejected" | "failed", number>,
    fired: number,
    gates: number,
  ) => {
    const rest = [
      ...(rejected > 0 ? [`${rejected} rejected`] : []),
      ...(failed > 0 ? [`${failed} failed`] : []),
    ];
    return `${formatPart(ok, ok + rejected + failed, "run")} ${ok === 1 ? "counts" : "count"}${
      rest.length === 0 ? "" : `, ${formatList(rest)}`
    }; ${fired === 0 ? "none" : fired} of ${gates} gates fired.`;
  },
  check: " A functional check concludes nothing, and so rejects nothing for its numbers.",
} as const;

const unlike = (what: string, app: string) => (seen: number, asked: number) =>
  `${seen.toFixed(2)} ${what} per request where the contract has ${
    asked.toFixed(2)
  }: the app ${app}`;

/** Deviations, without the arm and without a full stop. */
export const workWords = {
  statements: {
    more: unlike(
      "data statements",
      "queries the database more than once for what one statement gives",
    ),
    fewer: unlike("data statements", "answers without querying the database, as from a cache"),
  },
  rows: {
    more: unlike("rows", "reads rows that no answer needs"),
    fewer: unlike("rows", "answers without reading what it shows"),
  },
  past: (seen: number, executed: number, requests: number) =>
    `PgBouncer saw ${(seen / requests).toFixed(2)} queries per request and PostgreSQL executed ${
      (executed / requests).toFixed(2)
    }: ${Math.round(100 * (1 - seen / executed))}% went past PgBouncer`,
  throughPgbouncer: (pooled: number, direct: number) =>
    `${pooled.toFixed(2)} data statements per request where the direct path has ${
      direct.toFixed(2)
    }: the app does other work through PgBouncer`,
  /** Why the arm's runs are rejected. */
  other: (deviations: readonly string[]) =>
    `other work than the contract's: ${deviations.join("; ")}`,
};
