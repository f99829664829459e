// test lane: checkout
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { BOTTLENECKS } from "../bottlenecks.ts";
import { createScenario, type Scenario } from "../scenario.ts";
import { NO_CONDITIONS, type ServiceConditions } from "../stats/conditions.ts";
import { summariseScenarios, unmeasuredRun } from "../stats/summarise.ts";
import type { RunSummary } from "../stats/summary.ts";
import type {
  AppActivity,
  PgbouncerActivity,
  PostgresActivity,
  Telemetry,
} from "../stats/telemetry.ts";
import { verdictTitles } from "../wording/bottlenecks.ts";
import { agreeOnVerdict, judgeBottleneck, scenarioVerdicts } from "./verdict.ts";

/** What differs from a run of ten users who think, in which nothing is used up. */
interface Changes {
  scenario?: Partial<Scenario>;
  /** Cores, quota and throttled time by service. */
  services?: Record<string, [cores: number, quota: number | null, throttled: number]>;
  host?: { busy?: number; stolen?: number; others?: number };
  busiest?: number;
  rps?: number;
  serviceMs?: number;
  postgres?: Partial<PostgresActivity>;
  pgbouncer?: Partial<PgbouncerActivity>;
  app?: Partial<AppActivity> | null;
  run?: Partial<RunSummary>;
}

const SERVICES: NonNullable<Changes["services"]> = {
  postgres: [0.06, 0.5, 0],
  app: [0.11, null, 0],
  pgbouncer: [0.02, null, 0],
  locust: [0.05, null, 0],
};

/** Requests of a window of three seconds at the given throughput. */
function run(changes: Changes = {}): RunSummary {
  const { rps = 30, serviceMs = 6, host = {}, services = {}, busiest = 0.05 } = changes;
  const scenario = createScenario({
    framework: "flask",
    path: "pooled",
    users: 10,
    thinkTimeMinS: 0.3,
    thinkTimeMaxS: 0.3,
    ...changes.scenario,
  });
  const requests = 3 * rps;
  const used = Object.entries({ ...SERVICES, ...services })
    .map(([service, [cores, quota, throttled]]): ServiceConditions => ({
      service,
      cores,
      quota,
      throttled,
    }));
  const head = { scenarioId: "s", scenario, arm: "Flask pooled", round: 1, cause: null };
  return {
    ...unmeasuredRun({ ...head, status: "ok" }),
    measured: true,
    requests,
    rps,
    errorRate: 0,
    conditions: {
      ...NO_CONDITIONS,
      services: used,
      host: { cores: 2, busy: 0.15, stolen: 0, others: 0.02, ...host },
      generator: {
        busiest,
        cores: busiest,
        lagMeanMs: 0.3,
        lagMaxMs: 4,
        users: 10,
        connections: 0,
      },
    },
    telemetry: telemetryOf(scenario, requests, serviceMs, changes),
    ...changes.run,
  };
}

function telemetryOf(
  scenario: Scenario,
  requests: number,
  serviceMs: number,
  changes: Changes,
): Telemetry {
  return {
    postgres: {
      sessions: 0,
      transactions: requests,
      maxConnections: 4,
      meanActive: 1,
      meanWaitingLock: 0,
      meanIdleInTransaction: 0.1,
      ...changes.postgres,
    },
    pgbouncer: scenario.path === "direct" ? null : {
      transactions: requests,
      queries: 3 * requests,
      waitUs: 100,
      queryUs: 2e5,
      transactionUs: 3e5,
      maxClients: 8,
      maxServers: 4,
      maxServersActive: 9,
      meanServersActive: 0.4,
      logins: 0,
      starvedUs: 0,
      meanClients: 8,
      meanWaiting: 0,
      ...changes.pgbouncer,
    },
    work: {
      requests,
      astride: 0,
      serviceMs: requests * serviceMs,
      dataStatements: requests,
      rows: requests,
      transactionControl: 2 * requests,
      setup: 0,
      dataMs: requests,
      otherMs: 0,
      contract: null,
    },
    app: changes.app === null ? null : {
      requests,
      handlerMs: 5 * requests,
      poolWaitMs: 0,
      connectMs: 0,
      connections: 0,
      databaseMs: 2 * requests,
      ...changes.app,
    },
  };
}

const busy = { thinkTimeMinS: 0, thinkTimeMaxS: 0, users: 50 };

/** A run in which a request's time decides how often users ask. */
const eager = (changes: Changes = {}) =>
  run({
    rps: 300,
    serviceMs: 30,
    ...changes,
    scenario: { ...busy, users: 9, ...changes.scenario },
  });

/** A run of each verdict, figures as measured on two cores. */
const CASES: Record<string, [Changes, RegExp]> = {
  load_limited: [
    {},
    /^10 users waited 6\.0 ms .* thought for 300 ms, and nothing was used up; .* 15% of the time/,
  ],
  generator: [
    {
      scenario: busy,
      rps: 150,
      serviceMs: 330,
      services: { locust: [0.02, null, 0.93], app: [0.3, null, 0] },
    },
    /the load generator used 0\.02 cores, and its quota held it back for 93%/,
  ],
  host_cpu: [
    {
      scenario: busy,
      rps: 300,
      serviceMs: 160,
      host: { busy: 0.99, others: 0.5 },
      services: { app: [0.6, null, 0], postgres: [0.2, null, 0] },
    },
    /the machine \(2 cores\) was in use for 99% of the time, 50% by other processes/,
  ],
  app_cpu: [
    {
      scenario: busy,
      rps: 120,
      serviceMs: 410,
      services: { app: [0.29, 0.3, 2.4] },
    },
    /the app used 0\.29 of its quota of 0\.3 cores/,
  ],
  workers: [
    {
      scenario: { ...busy, workers: 1, threads: 1 },
      rps: 30,
      serviceMs: 1600,
    },
    /48 requests at a time met 1 thread \(1 worker × 1\)/,
  ],
  app_pool: [
    {
      scenario: { ...busy, poolSize: 1 },
      rps: 60,
      serviceMs: 820,
      app: { poolWaitMs: 180 * 760 },
    },
    /a request waited 760 ms of its 820 ms for the app's own pool of 2 connections/,
  ],
  pgbouncer_cpu: [
    {
      scenario: busy,
      rps: 200,
      serviceMs: 250,
      services: { pgbouncer: [0.029, 0.03, 0.8] },
      // Servers wait for PgBouncer too.
      pgbouncer: { waitUs: 600 * 50_000 },
    },
    /PgBouncer used 0\.03 of its quota of 0\.03 cores/,
  ],
  pgbouncer_queue: [
    {
      scenario: { ...busy, defaultPoolSize: 1 },
      rps: 50,
      serviceMs: 980,
      // Nearly all threads hold a client connection that waits.
      pgbouncer: { waitUs: 150 * 940_000, meanServersActive: 1 },
    },
    /a request waited 940 ms of its 980 ms in PgBouncer .*, with 1\.0 of 1 in use/,
  ],
  held_transactions: [
    {
      scenario: { ...busy, defaultPoolSize: 5 },
      rps: 95,
      serviceMs: 640,
      postgres: { meanIdleInTransaction: 4.8 },
      pgbouncer: {
        waitUs: 300 * 580_000,
        queryUs: 300 * 2_500,
        transactionUs: 300 * 52_500,
        meanServersActive: 5,
      },
    },
    /waited 6\d\d ms for a connection, and then had one for 5\d ms, for 5\d ms of which its tra.*4\.8 of/,
  ],
  database_quota: [
    {
      scenario: busy,
      rps: 100,
      serviceMs: 480,
      services: { postgres: [0.1, 0.1, 3] },
      // All server connections are taken, and clients queue for them.
      pgbouncer: { waitUs: 300 * 280_000, meanServersActive: 20 },
    },
    /PostgreSQL used 0\.10 of its quota of 0\.1 cores/,
  ],
  database_locks: [
    {
      scenario: { ...busy, workers: 1, threads: 32 },
      rps: 110,
      serviceMs: 430,
      postgres: { meanActive: 19, meanWaitingLock: 18 },
      pgbouncer: { waitUs: 330 * 200_000, meanServersActive: 20 },
    },
    /18 of 19 executing connections waited for a lock/,
  ],
  connection_setup: [
    {
      scenario: { ...busy, reuse: "per_request", path: "direct" },
      rps: 90,
      serviceMs: 540,
      services: { postgres: [0.49, 0.5, 1.4] },
      app: { connections: 270, connectMs: 270 * 400 },
    },
    /the app opened 1\.0 connections per request, which took 400 ms of its 540 ms/,
  ],
  refused_connections: [
    {
      scenario: { ...busy, path: "direct", maxConnections: 10 },
      rps: 120,
      serviceMs: 200,
      host: { busy: 0.97 },
      run: {
        status: "failed",
        errorRate: 0.4,
        cause: "Flask direct: PostgreSQL refused connections (too many clients already): " +
          "2 workers × 32 > max_connections 10",
      },
    },
    /^PostgreSQL refused connections .* max_connections 10; 40% of requests failed$/,
  ],
};

Deno.test("every bottleneck is named, and where symptoms stand beside it, the root is", () => {
  deepEqual(Object.keys(CASES).sort(), [...BOTTLENECKS].sort());
  for (const [verdict, [changes, evidence]] of Object.entries(CASES)) {
    const judged = judgeBottleneck(run(changes));
    equal(judged.verdict, verdict, judged.evidence);
    match(judged.evidence, evidence);
    ok(!judged.evidence.endsWith("."), verdict);
    ok(judged.margin > 0, verdict);
  }
});

Deno.test("each verdict has a title without a full stop", () => {
  for (const title of Object.values(verdictTitles)) ok(title.length > 5 && !/\.$/.test(title));
  deepEqual(Object.keys(verdictTitles).sort(), [...BOTTLENECKS, "unknown"].sort());
});

Deno.test("thresholds hold on both sides", () => {
  const verdicts = (...all: Changes[]) =>
    all.map((changes) => judgeBottleneck(eager(changes)).verdict);
  const quota = (cores: number): Changes => ({ services: { postgres: [cores, 0.5, 0.3] } });
  deepEqual(verdicts(quota(0.44), quota(0.46)), ["load_limited", "database_quota"]);
  // A worker of CPython runs on one core: two are at their limit with two.
  const cores = (app: number, workers: number): Changes => ({
    services: { app: [app, null, 0] },
    scenario: { workers },
  });
  deepEqual(verdicts(cores(0.95, 1), cores(0.95, 2)), ["app_cpu", "load_limited"]);
  const stolen = (share: number): Changes => ({ host: { busy: 0.6, stolen: share } });
  deepEqual(verdicts(stolen(0.24), stolen(0.26)), ["load_limited", "host_cpu"]);
  // Users who think for ten times as long as a request takes ask no more often, whatever is relieved.
  const thinking = (serviceMs: number): Changes => ({
    ...quota(0.5),
    serviceMs,
    scenario: { thinkTimeMinS: 0.2, thinkTimeMaxS: 0.4 },
  });
  deepEqual(verdicts(thinking(29), thinking(31)), ["load_limited", "database_quota"]);
  // Nor can more than all requests of an open loop be answered.
  const due = (rps: number): Changes => ({
    ...quota(0.5),
    rps,
    scenario: { users: null, arrivalRate: 100 },
  });
  deepEqual(verdicts(due(96), due(94)), ["load_limited", "database_quota"]);
  // Connections that are kept are opened once each, even if a slow start takes them into the window.
  const starting: Changes = {
    ...quota(0.5),
    rps: 60,
    serviceMs: 1017,
    app: { connections: 60, connectMs: 180 * 361 },
  };
  const habit = { ...starting, app: { connections: 100, connectMs: 180 * 361 } };
  deepEqual(verdicts(starting, habit), ["database_quota", "connection_setup"]);
  // An event loop has no threads that could be used up.
  const crowd = { ...busy, workers: 1, threads: 1 };
  const many: Changes = { scenario: crowd, rps: 30, serviceMs: 1600 };
  const loop: Changes = { ...many, scenario: { ...crowd, framework: "fastapi" } };
  deepEqual(verdicts(many, loop), ["workers", "load_limited"]);
});

Deno.test("clients that starve in session mode are named, before what is used up by the others", () => {
  // Twenty of 64 users are served, 300 times a second, and use up the database's quota.
  const starving: Changes = {
    rps: 300,
    serviceMs: 66,
    services: { postgres: [0.5, 0.5, 1] },
    pgbouncer: { waitUs: 132e6, starvedUs: 132e6, meanClients: 64, meanWaiting: 44 },
  };
  const judge = (scenario: Partial<Scenario>, changes: Changes = starving) =>
    judgeBottleneck(run({ ...changes, scenario: { ...busy, users: 64, ...scenario } }));
  const { verdict, evidence } = judge({ poolMode: "session" });
  equal(verdict, "pgbouncer_queue");
  equal(
    evidence,
    "in session mode 44 of 64 connections never got a server (default_pool_size 20)",
  );
  // Where servers change hands, clients wait for what makes those slow.
  equal(judge({ poolMode: "transaction" }).verdict, "database_quota");
  equal(judge({ poolMode: "session", reuse: "per_request" }).verdict, "database_quota");
  // Nor is it slow: it stands, as where transactions are left open.
  const idle = judge({ poolMode: "transaction" }, { ...starving, services: {} });
  equal(idle.verdict, "pgbouncer_queue");
  match(idle.evidence, /^a request waited 147 ms of its 213 ms in PgBouncer/);
  const few = { ...starving, pgbouncer: { ...starving.pgbouncer, starvedUs: 19e6 } };
  equal(judge({ poolMode: "session" }, few).verdict, "database_quota");
});

Deno.test("what was not recorded is not known, unless the cause tells", () => {
  const unknown = (changes: Partial<RunSummary>, own: Changes = {}) => {
    const { verdict, evidence } = judgeBottleneck(run({ ...own, run: changes }));
    return `${verdict}: ${evidence}`;
  };
  equal(unknown({ measured: false }), "unknown: no load was measured");
  match(unknown({ telemetry: null }), /^unknown: what the database did/);
  match(unknown({ conditions: NO_CONDITIONS }), /^unknown: what services and host used/);
  // Before the app told how long requests wait for its own pool.
  const small = { scenario: { ...busy, poolSize: 1 }, rps: 60, serviceMs: 820, app: null };
  match(
    unknown({}, small),
    /^unknown: 49 requests at a time may have waited for the app's own pool of 2/,
  );
  // Its new connections were counted even then.
  const reconnecting = { ...CASES.connection_setup![0], postgres: { sessions: 270 }, app: null };
  match(
    unknown({}, reconnecting),
    /^connection_setup: the app opened 1\.0 connections per request$/,
  );
  const cause = CASES.refused_connections![0].run!.cause!;
  match(
    unknown({ measured: false, errorRate: null, cause, status: "failed" }),
    /^refused_connections: /,
  );
});

Deno.test("the rounds of a scenario agree on a verdict, or lower its confidence", () => {
  const quota = (cores: number) => eager({ services: { postgres: [cores, 0.5, 1] } });
  const confidence = (...runs: RunSummary[]) => {
    const { verdict, confidence, rounds, of } = agreeOnVerdict(runs)!;
    return `${verdict} ${confidence} ${rounds}/${of}`;
  };
  equal(agreeOnVerdict([]), null);
  equal(confidence(quota(0.5), quota(0.5), quota(0.5)), "database_quota high 3/3");
  equal(confidence(quota(0.5)), "database_quota medium 1/1");
  equal(confidence(quota(0.453)), "database_quota low 1/1");
  equal(confidence(quota(0.5), quota(0.453)), "database_quota medium 2/2");
  equal(confidence(quota(0.5), quota(0.5), quota(0.5), eager()), "database_quota medium 3/4");
  equal(confidence(quota(0.5), quota(0.5), eager()), "database_quota low 2/3");
  equal(confidence(quota(0.453), eager()), "load_limited low 1/2");
});

Deno.test("scenarioVerdicts() goes by runs that count, and by others only where there are none", () => {
  const runs = [
    run({ run: { status: "rejected" } }),
    eager({ services: { postgres: [0.5, 0.5, 1] }, run: { round: 2 } }),
    run({
      ...CASES.refused_connections![0],
      run: { ...CASES.refused_connections![0].run, round: 3 },
    }),
  ];
  const verdictOf = (own: RunSummary[]) =>
    scenarioVerdicts({ runs: own, scenarios: summariseScenarios(own) }).map(({ verdict }) =>
      verdict
    );
  deepEqual(verdictOf(runs), ["database_quota"]);
  deepEqual(verdictOf(runs.filter(({ status }) => status !== "ok")), ["load_limited"]);
  deepEqual(verdictOf(runs.slice(2)), ["refused_connections"]);
});
