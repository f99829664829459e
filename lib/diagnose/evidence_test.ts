// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { createScenario, type Path, type Scenario } from "../scenario.ts";
import { NO_CONDITIONS } from "../stats/conditions.ts";
import type { ComparisonVerdict } from "../stats/family.ts";
import { unmeasuredRun } from "../stats/summarise.ts";
import type { PathRatio, RunSummary } from "../stats/summary.ts";
import type { PgbouncerActivity } from "../stats/telemetry.ts";
import { judgeGain, pairEvidence } from "./evidence.ts";

const quiet: PgbouncerActivity = {
  transactions: 1000,
  queries: 1000,
  queryUs: 0,
  transactionUs: 0,
  waitUs: 0,
  starvedUs: 0,
  meanClients: 8,
  meanWaiting: 0,
  maxClients: 8,
  maxServers: 8,
  maxServersActive: 9,
  meanServersActive: 2,
  logins: 0,
};

/** What differs from two runs of 2,000 requests of 10 ms in which PgBouncer had nothing to do. */
interface Changes {
  sessions?: number;
  pgbouncer?: Partial<PgbouncerActivity>;
  scenario?: Partial<Scenario>;
  /** PostgreSQL's cores. */
  cores?: number;
  run?: Partial<RunSummary>;
}

function run(path: Path, changes: Changes = {}): RunSummary {
  const { sessions = 0, cores = 0.2 } = changes;
  const scenario = createScenario({ framework: "django", path, users: 10, ...changes.scenario });
  const head = { scenario, arm: path, round: 1, status: "ok" as const, cause: null };
  const counts = {
    transactions: 2000,
    maxConnections: 8,
    meanActive: 2,
    meanWaitingLock: 0,
    meanIdleInTransaction: 0,
  };
  const work = { requests: 2000, serviceMs: 20_000, dataStatements: 2000, rows: 2000 };
  const rest = {
    astride: 0,
    transactionControl: 0,
    setup: 0,
    dataMs: 0,
    otherMs: 0,
    contract: null,
  };
  return {
    ...unmeasuredRun({ ...head, scenarioId: path[0]! }),
    requests: 2000,
    rps: 200,
    conditions: {
      ...NO_CONDITIONS,
      services: [{ service: "postgres", cores, quota: 0.5, throttled: 0 }],
    },
    telemetry: {
      postgres: { sessions, ...counts },
      pgbouncer: path === "direct" ? null : { ...quiet, ...changes.pgbouncer },
      work: { ...work, ...rest },
      app: null,
    },
    ...changes.run,
  };
}

/** The evidence of a pair of three rounds. */
function evidenceOf(verdict: ComparisonVerdict, direct: Changes, pooled: Changes) {
  const pair = { direct: "d", pooled: "p", label: "django", reuse: "persistent", verdict };
  const runs = [1, 2, 3].flatMap((round) => [
    { ...run("direct", direct), round },
    { ...run("pooled", pooled), round },
  ]);
  return pairEvidence({ ratios: [pair as PathRatio], runs, unequalWork: [] })[0]!;
}

const claims = (...args: Parameters<typeof evidenceOf>) => evidenceOf(...args).claims;

Deno.test("without a trace of the pooler, only the extra hop is measured, whatever was gained", () => {
  deepEqual(claims("indistinguishable", {}, {}), []);
  deepEqual(claims("higher", {}, { cores: 0.1 }), []);
  equal(judgeGain(evidenceOf("higher", {}, { cores: 0.1 })), "unexplained");
});

Deno.test("a reuse claim needs churn that the pooled arm does not have", () => {
  const churning = { sessions: 2000 };
  deepEqual(claims("higher", churning, { sessions: 4 }), ["reuse"]);
  equal(judgeGain(evidenceOf("higher", churning, { sessions: 4 })), "explained");
  // Both churn, as through a pool of one connection for each client; or neither does.
  deepEqual(claims("higher", churning, { sessions: 1900 }), []);
  deepEqual(claims("higher", { sessions: 19 }, {}), []);
});

Deno.test("a multiplexing claim needs more client than server connections", () => {
  const shared = { pgbouncer: { maxClients: 64, maxServers: 20 } };
  deepEqual(claims("higher", {}, shared), ["multiplexing"]);
  // An app of six connections has none to share, however many come and go.
  const six = { scenario: { workers: 3, threads: 2 } };
  const few = { ...six, pgbouncer: { maxClients: 7, maxServers: 6 } };
  deepEqual(claims("higher", six, few), []);
});

Deno.test("a trace without a consequence is no claim, as at ten users who hardly ever wait", () => {
  // Measured: 64 kept connections, ten at work, a mean wait of 0.0008 ms.
  const idle = { pgbouncer: { maxClients: 64, maxServers: 10, waitUs: 800 } };
  deepEqual(evidenceOf("indistinguishable", {}, idle).traces, ["multiplexing"]);
  deepEqual(claims("indistinguishable", {}, idle), []);
  deepEqual(claims("lower", {}, idle), []);
  deepEqual(claims("indistinguishable", { sessions: 2000 }, { sessions: 4 }), []);
  // PostgreSQL's CPU per answer is one: a tenth less in every round.
  deepEqual(claims("indistinguishable", {}, { ...idle, cores: 0.181 }), []);
  deepEqual(claims("indistinguishable", {}, { ...idle, cores: 0.179 }), ["multiplexing"]);
  deepEqual(claims("indistinguishable", { sessions: 2000 }, { sessions: 4, cores: 0.1 }), [
    "reuse",
  ]);
  // Per answer: twice the cores for twice the answers are nothing.
  const twice = { ...idle, cores: 0.2, run: { rps: 400 } };
  deepEqual(claims("indistinguishable", { cores: 0.1 }, twice), []);
  equal(evidenceOf("indistinguishable", { cores: 0.1 }, twice).cpuRatio, 1);
  // So are clients that PostgreSQL has no room for: three of its connections are not the app's.
  const many = (maxConnections: number) => ({ ...idle, scenario: { maxConnections } });
  deepEqual(claims("none", many(67), many(67)), []);
  deepEqual(claims("none", many(66), many(66)), ["multiplexing"]);
});

Deno.test("CPU time of few rounds decides nothing, nor does that of some of them", () => {
  const pair = { direct: "d", pooled: "p", verdict: "indistinguishable" } as PathRatio;
  const shared = { pgbouncer: { maxClients: 64, maxServers: 20 } };
  const rounds = (...cores: number[]) =>
    pairEvidence({
      ratios: [pair],
      unequalWork: [],
      runs: cores.flatMap((pooled, i) => [
        { ...run("direct"), round: i + 1 },
        { ...run("pooled", { ...shared, cores: pooled }), round: i + 1 },
      ]),
    })[0]!;
  deepEqual([rounds(0.1, 0.1).cpuRatio, rounds(0.1, 0.1).claims], [null, []]);
  deepEqual(rounds(0.1, 0.1, 0.19).claims, []);
  deepEqual(rounds(0.1, 0.1, 0.1).claims, ["multiplexing"]);
});

Deno.test("session mode shares nothing: clients that it leaves without a server queue", () => {
  const starving = {
    pgbouncer: {
      maxClients: 64,
      maxServers: 20,
      meanWaiting: 44,
      waitUs: 44 * 10e6,
      starvedUs: 44 * 10e6,
    },
    scenario: { poolMode: "session" as const },
  };
  const { claims, waitShare, starving: clients } = evidenceOf("higher", {}, starving);
  deepEqual([claims, clients], [["queueing"], 44]);
  // 220 ms for each answer, of which each took 10 ms.
  equal(waitShare, 220 / 230);
});

Deno.test("a queueing claim needs a wait, and one that is some of a request's time", () => {
  const waiting = (waitUs: number) => ({ pgbouncer: { waitUs, transactions: 2000 } });
  // A twentieth of the 10 ms of 2,000 requests.
  deepEqual(claims("indistinguishable", {}, waiting(0.99e6)), []);
  deepEqual(claims("indistinguishable", {}, waiting(1.01e6)), ["queueing"]);
  // Of many short transactions none waits for long.
  const short = { pgbouncer: { waitUs: 1.01e6, transactions: 20_000 } };
  deepEqual(claims("indistinguishable", {}, short), []);
});

Deno.test("an arm of unequal work is compared with nothing", () => {
  const pair = { direct: "d", pooled: "p", verdict: "none" } as PathRatio;
  const runs = [run("direct", { sessions: 2000 }), run("pooled", { cores: 0.1 })];
  const [evidence] = pairEvidence({
    ratios: [pair],
    runs,
    unequalWork: [{ arm: "direct", what: [] }],
  });
  deepEqual([evidence!.rounds, evidence!.sessionsDirect, evidence!.traces], [0, null, []]);
});

Deno.test("what was not recorded supports nothing", () => {
  const silent = { run: { telemetry: null } };
  const evidence = evidenceOf("higher", silent, silent);
  deepEqual([evidence.rounds, evidence.claims, evidence.waitMs], [0, [], null]);
  equal(judgeGain(evidence), "unrecorded");
  equal(pairEvidence({ ratios: [], runs: [], unequalWork: [] }).length, 0);
});
