/**
 * What limited each scenario: the verdicts with their evidence, what would take a bottleneck away, and
 * what came of putting that to the test.
 *
 * @module
 */

import type { Reuse, Scenario } from "../scenario.ts";
import { titleOf } from "./causes.ts";
import {
  capitalise,
  formatCores,
  formatCount,
  formatList,
  formatMean,
  formatMs,
  formatPart,
  formatPercent,
  formatUse,
  nounFor,
} from "./format.ts";

/** What can limit a scenario, in a few words. */
export const verdictTitles = {
  load_limited: "The load",
  generator: "Load generator",
  host_cpu: "The machine's CPU",
  app_cpu: "The app's CPU",
  workers: "Workers and threads",
  app_pool: "The app's own pool",
  pgbouncer_cpu: "PgBouncer's CPU",
  pgbouncer_queue: "PgBouncer's queue",
  database_quota: "The database's CPU quota",
  database_locks: "Locks in the database",
  connection_setup: "Connection setup",
  refused_connections: "Connections refused",
  unknown: "Not known",
};

const sawQuota = (service: string, cores: number, quota: number | null, throttled: number) => {
  const used = quota === null
    ? `used ${formatCores(cores)} cores, and its quota`
    : `used ${formatCores(cores)} of its quota of ${quota} ${nounFor(quota, "core")}, which`;
  // Each core that has to wait counts.
  const held = throttled > 1
    ? `${throttled.toFixed(1)} s per second`
    : `${formatUse(throttled)} of the time`;
  return `${titleOf(service)} ${used} held it back for ${held}`;
};

/** By rule: when it applies, as a function of its thresholds, and the figures that it saw. */
export const ruleWords = {
  refused_connections: {
    fires: "requests failed because PostgreSQL's max_connections or PgBouncer's max_client_conn " +
      "was reached",
    saw: (cause: string, failed: number) => `${cause}; ${formatPercent(failed)} of requests failed`,
  },
  starved_clients: {
    fires: (share: number) =>
      `in session mode, clients that never got a server waited for ${
        formatPercent(share)
      } of all the time that requests were under way`,
    saw: (waiting: number, clients: number, poolSize: number) =>
      `in session mode ${formatPart(Math.round(waiting), Math.round(clients), "connection")} ` +
      `never got a server (default_pool_size ${poolSize})`,
  },
  generator: {
    fires: (held: number, cores: number) =>
      `its quota held the load generator back for ${
        formatPercent(held)
      } of the window, or one of ` +
      `its processes used ${cores} cores`,
    saw: {
      quota: sawQuota,
      core: (cores: number) =>
        `a process of the load generator used ${formatCores(cores)} of one core`,
    },
  },
  load_limited: {
    fires: (answered: number, more: number) =>
      `at least ${formatPercent(answered)} of an open loop's requests were answered, or users ` +
      `thought for so long that without any service time they would send less than ${
        formatPercent(more)
      } more requests`,
    saw: {
      arrivals: (rate: number) => `the arrival rate was ${rate}/s`,
      users: (users: number, serviceMs: number, thinkMs: number) =>
        `${formatCount(users, "user")} waited ${
          formatMs(serviceMs)
        } for an answer and thought for ${formatMs(thinkMs)}, and nothing was used up`,
      used: (asked: string, machine: number, quotas: { service: string; use: number }[]) => {
        const texts = quotas.map(({ service, use }) =>
          `${titleOf(service)} used ${formatUse(use)} of its quota`
        );
        return `${asked}; the machine was in use for ${formatUse(machine)} of the time${
          texts.length === 0 ? "" : `; ${formatList(texts)}`
        }`;
      },
    },
  },
  connection_setup: {
    fires: (connections: number, share: number) =>
      `the app opened more than ${connections} connections per request, and opening them took ${
        formatPercent(share)
      } of the time between two requests of a user`,
    saw: (connections: number, times: { connectMs: number; serviceMs: number } | null) =>
      `the app opened ${formatMean(connections)} connections per request${
        times === null
          ? ""
          : `, which took ${formatMs(times.connectMs)} of its ${formatMs(times.serviceMs)}`
      }`,
  },
  pgbouncer_cpu: {
    fires: (share: number, cores: number) =>
      `PgBouncer used ${formatPercent(share)} of its quota, or ${cores} cores, as it runs on one`,
    saw: {
      quota: sawQuota,
      core: (cores: number) => `PgBouncer used ${formatCores(cores)} of the one core it runs on`,
    },
  },
  database_quota: {
    fires: (share: number) => `PostgreSQL used ${formatPercent(share)} of its quota`,
    saw: sawQuota,
  },
  app_cpu: {
    fires: (share: number, cores: number) =>
      `the app used ${formatPercent(share)} of its quota, or ${cores} cores per worker, as a ` +
      `worker of CPython runs on one`,
    saw: {
      quota: sawQuota,
      workers: (cores: number, workers: number) =>
        `the app used ${formatCores(cores)} cores, and its ${formatCount(workers, "worker")} can ` +
        `use one core${workers === 1 ? "" : " each"}`,
    },
  },
  database_locks: {
    fires: (share: number) =>
      `at least one connection waited for a lock on average, and ${
        formatPercent(share)
      } of those that executed`,
    saw: (waiting: number, active: number) =>
      `${formatMean(waiting)} of ${formatMean(active)} executing connections waited for a lock`,
  },
  host_cpu: {
    fires: (share: number) =>
      `busy and stolen time were ${formatPercent(share)} of all cores' time`,
    saw: (cores: number, busy: number, others: number, stolen: number) =>
      `the machine (${formatCount(cores, "core")}) was in use for ${formatUse(busy)} of the time, ${
        formatUse(others)
      } by other processes${stolen < 0.005 ? "" : `, and ${formatUse(stolen)} was stolen`}`,
  },
  pgbouncer_queue: {
    fires: (share: number) =>
      `waiting for one of default_pool_size server connections was ${
        formatPercent(share)
      } of a request's time`,
    saw: (queueMs: number, requestMs: number, servers: number, poolSize: number) =>
      `a request waited ${formatMs(queueMs)} of its ${
        formatMs(requestMs)
      } in PgBouncer for a server connection, with ${formatMean(servers)} of ${poolSize} in use`,
  },
  app_pool: {
    fires: (share: number) =>
      `waiting for a connection of the app's own pool was ${
        formatPercent(share)
      } of a request's time`,
    saw: (poolMs: number, requestMs: number, connections: number) =>
      `a request waited ${formatMs(poolMs)} of its ${
        formatMs(requestMs)
      } for the app's own pool of ${formatCount(connections, "connection")}`,
  },
  workers: {
    fires: (times: number) =>
      `requests in the service, by Little's law, were ${times} times the app's threads`,
    saw: (requests: number, workers: number, threads: number) =>
      `${formatMean(requests)} requests at a time met ${
        formatCount(workers * threads, "thread")
      } (${formatCount(workers, "worker")} × ${threads})`,
  },
  unknown: {
    load: "no load was measured",
    resources: "what services and host used was not recorded",
    database: "what the database did was not recorded",
    pool: (requests: number, connections: number) =>
      `${formatMean(requests)} requests at a time may have waited for the app's own pool of ${
        formatCount(connections, "connection")
      }, which was not recorded`,
  },
};

type Value = Scenario[keyof Scenario] | undefined;

const show = (value: Value) => value === null ? "none" : String(value ?? "default");

/** Sentences lack their full stop, but for that of a plan. */
export const adviceWords = {
  users: (users: number) => `the scenario already has ${formatCount(users, "user")}`,
  generator: "no setting makes the generator faster: give it dedicated cores",
  hostCpu: "no setting adds cores: use a larger machine, or end other programs on it",
  pgbouncerCpu: "PgBouncer runs on one core: start several that share a port (so_reuseport)",
  noQuota: "PostgreSQL has no quota",
  locks: "no setting shortens transactions: see which statements wait in logs and wait_events",
  keepsConnections: (reuse: Reuse) =>
    `the app opens new connections, although it is to keep them (${reuse})`,
  cannotKeep: "the app cannot keep its connections",
  maxConnections: (limit: number) => `max_connections is ${limit} already: use fewer connections`,
  unknown: "what limited it is not known",
  noEffect: "the setting does not act here",
  changes: (changes: readonly { setting: string; before: Value; after: Value }[]) =>
    changes.map(({ setting, before, after }) => `${setting} ${show(before)} → ${show(after)}`)
      .join(", "),
  /** The purpose of the plan that tries the advice. */
  purpose: "Each scenario in turn with itself relieved of what is said to limit it.",
};

/** Verdicts, and the outcomes of their tests; `place` is an arm at its loads. */
export const bottleneckWords = {
  table: "What limited each scenario",
  confidence: (confidence: string, rounds: number, of: number) =>
    `${confidence} (${formatPart(rounds, of, "round")})`,
  reading: "What limited throughput, by rules over what the samplers saw:",
  line: (verdict: string, why: string, places: readonly string[], unsure: number, of: number) =>
    `- **${verdict}**${why}: ${formatList(places)}${
      unsure === 0 ? "" : ` (${unsure} of ${of} with low confidence)`
    }`,
  nothingUsedUp: ", as no resource was used up",
  noRun: "No run of this scenario is complete yet.",
  scenario: (place: string, verdict: string, confidence: string, evidence: string) =>
    `${place}: **${verdict}**, with ${confidence} confidence. ${capitalise(evidence)}.`,
  outcomes: {
    confirmed: "confirmed: throughput rose",
    refuted: "refuted: throughput did not rise",
    undecided: "undecided",
    untested: "not tested",
  },
  notTested:
    "The verdicts were not put to the test: `--confirm` runs each scenario again, relieved " +
    "of what limited it, where a setting relieves that.",
  noneTested: "No verdict was put to the test",
  tested: (
    verdicts: number,
    counts: Record<"confirmed" | "refuted" | "undecided", number>,
  ) =>
    `Of ${formatCount(verdicts, "verdict")} put to the test, ${
      formatList(Object.entries(counts).flatMap(([outcome, n]) => n > 0 ? `${n} ${outcome}` : []))
    }`,
  refuted: (places: readonly string[]) => ` Refuted: ${formatList(places)}.`,
  confirmationTable: "Throughput relieved over original, paired by round, with 95% t intervals",
} as const;
