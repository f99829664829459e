/** Cases of known bottlenecks: a scenario with one put into it, and what takes it away. */

import { type Bottleneck, BOTTLENECKS } from "../bottlenecks.ts";
import { readApp } from "../apps/app.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario, type Framework, type Path, PATHS, type Scenario } from "../scenario.ts";
import type { Random } from "./random.ts";

/** Those of which a request holds a thread. */
const THREADED = FRAMEWORKS.filter((name) => readApp(name).concurrency === "threads");

/** What is put into a run beside its scenario. */
export interface Injection {
  /** CPU quota of the load generator, in cores. */
  generatorCpus?: number;
  /** Programs of others, each of which takes a core. */
  burners?: number;
  /** New posts are counted, in one row for all or one for each author, which is then held. */
  counter?: { rows: "one" | "per author"; holdMs: number };
}

/** A scenario as it is run. */
export interface Trial {
  scenario: Scenario;
  injection: Injection;
}

/** A case. */
export interface VerdictCase {
  /** What limits it. */
  truth: Bottleneck;
  /** How, in words. */
  what: string;
  limited: Trial;
  /** The same without the limit; of light load, what could be thought to be one. */
  reliefs: Trial[];
}

type Settings = Partial<Scenario>;

/** Draws that cases are made of. */
class Draws {
  constructor(private readonly random: Random) {}

  /** Log-uniform between two values: each order of magnitude as likely. */
  number(low: number, high: number, digits = 2): number {
    const value = low * (high / low) ** this.random.uniform();
    return Number(value.toPrecision(digits));
  }

  whole(low: number, high: number): number {
    return Math.round(this.number(low, high, 4));
  }

  pick<T>(values: readonly T[]): T {
    return this.random.pick(values);
  }

  framework(among: readonly Framework[] = FRAMEWORKS): Framework {
    return this.pick(among);
  }

  path(): Path {
    return this.pick(PATHS);
  }

  /** The round-trip time of whichever leg leads to the database. */
  distance(path: Path, rttMs: number): Settings {
    return path === "direct"
      ? { rttAppDbMs: rttMs }
      : { rttAppDbMs: rttMs, rttAppPgbouncerMs: 0, rttPgbouncerDbMs: rttMs };
  }
}

/** No limit but those that a case sets. */
const FREE: Settings = { dbCpus: null, dbMemoryMiB: null };

function trial(values: Parameters<typeof createScenario>[0], injection: Injection = {}): Trial {
  return { scenario: createScenario({ ...FREE, ...values }), injection };
}

/** How a case of each kind is drawn. */
const DRAW: Record<Bottleneck, (draws: Draws) => Omit<VerdictCase, "truth">> = {
  load_limited: (draws) => {
    const [framework, path] = [draws.framework(), draws.path()];
    const think = draws.number(0.2, 0.5);
    const settings = {
      framework,
      path,
      users: draws.whole(8, 25),
      thinkTimeMinS: 0.5 * think,
      thinkTimeMaxS: 1.5 * think,
      dbCpus: 0.5,
    };
    return {
      what: `${settings.users} users who think for ${think} s`,
      limited: trial(settings),
      reliefs: [
        trial({ ...settings, dbCpus: null }),
        trial({ ...settings, workers: 4, defaultPoolSize: 60 }),
      ],
    };
  },
  generator: (draws) => {
    const settings = {
      framework: draws.framework(),
      path: draws.path(),
      users: draws.whole(10, 60),
    };
    const generatorCpus = draws.number(0.01, 0.02);
    return {
      what: `${generatorCpus} cores for the generator`,
      limited: trial(settings, { generatorCpus }),
      reliefs: [trial(settings)],
    };
  },
  host_cpu: (draws) => {
    const settings = {
      framework: draws.framework(),
      path: draws.path(),
      users: draws.whole(20, 80),
    };
    const burners = navigator.hardwareConcurrency * draws.whole(2, 5);
    return {
      what: `${burners} programs of others`,
      limited: trial(settings, { burners }),
      reliefs: [trial(settings)],
    };
  },
  app_cpu: (draws) => {
    const settings = {
      framework: draws.framework(),
      path: draws.path(),
      users: draws.whole(10, 80),
    };
    const appCpus = draws.number(0.1, 0.5);
    return {
      what: `${appCpus} cores for the app`,
      limited: trial({ ...settings, appCpus }),
      reliefs: [trial(settings)],
    };
  },
  workers: (draws) => {
    const path = draws.path();
    const settings = {
      framework: draws.framework(THREADED),
      path,
      users: draws.whole(10, 60),
      ...draws.distance(path, draws.number(4, 15)),
      workers: 1,
    };
    return {
      what: `one thread, ${settings.rttAppDbMs} ms to the database`,
      limited: trial({ ...settings, threads: 1 }),
      reliefs: [trial({ ...settings, threads: 32 })],
    };
  },
  app_pool: (draws) => {
    const path = draws.path();
    const settings = {
      framework: draws.framework(),
      path,
      users: draws.whole(20, 60),
      reuse: "app_pool" as const,
      workers: draws.whole(1, 2),
      ...draws.distance(path, draws.number(5, 20)),
    };
    return {
      what:
        `a pool of one in ${settings.workers} workers, ${settings.rttAppDbMs} ms to the database`,
      limited: trial({ ...settings, poolSize: 1 }),
      reliefs: [trial({ ...settings, poolSize: 32 })],
    };
  },
  pgbouncer_cpu: (draws) => {
    const settings = {
      framework: draws.framework(),
      path: "pooled" as const,
      users: draws.whole(20, 80),
    };
    const pgbouncerCpus = draws.number(0.01, 0.025);
    return {
      what: `${pgbouncerCpus} cores for PgBouncer`,
      limited: trial({ ...settings, pgbouncerCpus }),
      reliefs: [trial(settings)],
    };
  },
  pgbouncer_queue: (draws) => {
    const settings = {
      framework: draws.framework(),
      path: "pooled" as const,
      users: draws.whole(20, 80),
      ...draws.distance("pooled", draws.number(4, 15)),
    };
    return {
      what: `a pool of one, ${settings.rttAppDbMs} ms from the database`,
      limited: trial({ ...settings, defaultPoolSize: 1 }),
      reliefs: [trial({ ...settings, defaultPoolSize: 40 })],
    };
  },
  database_quota: (draws) => {
    const settings = {
      framework: draws.framework(),
      path: draws.path(),
      users: draws.whole(10, 80),
    };
    const dbCpus = draws.number(0.04, 0.12);
    return {
      what: `${dbCpus} cores for PostgreSQL`,
      limited: trial({ ...settings, dbCpus }),
      reliefs: [trial(settings)],
    };
  },
  database_locks: (draws) => {
    const settings = {
      framework: draws.framework(),
      path: draws.path(),
      users: draws.whole(30, 80),
    };
    const holdMs = draws.number(40, 120);
    return {
      what: `one row held for ${holdMs} ms by each new post`,
      limited: trial(settings, { counter: { rows: "one", holdMs } }),
      reliefs: [trial(settings, { counter: { rows: "per author", holdMs } })],
    };
  },
  connection_setup: (draws) => {
    const framework = draws.framework();
    const settings = {
      framework,
      path: draws.path(),
      users: draws.whole(10, 50),
      dbCpus: draws.pick([0.5, null]),
      scramIterations: draws.pick([256, 4096]),
    };
    const kept = readApp(framework).reuse.find((reuse) => reuse !== "per_request")!;
    return {
      what: `a connection for each request, ${settings.dbCpus ?? "no"} CPU quota`,
      limited: trial({ ...settings, reuse: "per_request" }),
      reliefs: [trial({ ...settings, reuse: kept })],
    };
  },
  refused_connections: (draws) => {
    const path = draws.path();
    const settings = {
      framework: draws.framework(),
      path,
      users: draws.whole(40, 80),
    };
    const most = draws.whole(8, 20);
    const limit = path === "direct" ? { maxConnections: most } : { maxClientConn: most };
    return {
      what: `${path === "direct" ? "max_connections" : "max_client_conn"} ${most}`,
      limited: trial({ ...settings, ...limit }),
      reliefs: [trial(settings)],
    };
  },
  held_transactions: (draws) => {
    const settings = {
      framework: draws.framework(),
      path: "pooled" as const,
      users: draws.whole(20, 60),
      defaultPoolSize: draws.whole(2, 6),
    };
    const holdMs = draws.number(40, 120);
    return {
      what: `transactions held for ${holdMs} ms, a pool of ${settings.defaultPoolSize}`,
      limited: trial({ ...settings, holdMs }),
      reliefs: [trial(settings)],
    };
  },
};

/**
 * Draws cases: either so many of each bottleneck, or so many of different ones.
 *
 * @param random What they are drawn from.
 * @param count How many.
 */
export function drawCases(
  random: Random,
  count: { perBottleneck: number } | { all: number },
): VerdictCase[] {
  const draws = new Draws(random);
  const kinds = "all" in count
    ? shuffled(BOTTLENECKS, random).slice(0, count.all)
    : Array.from({ length: count.perBottleneck }, () => shuffled(BOTTLENECKS, random)).flat();
  return kinds.map((truth) => ({ truth, ...DRAW[truth](draws) }));
}

/** Fisher–Yates. */
function shuffled<T>(values: readonly T[], random: Random): T[] {
  const order = [...values];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
