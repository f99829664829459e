/** Titles, axes, legends, labels and captions of figures. */

import type { LoadLevel, Scenario } from "../scenario.ts";
import type { Stage } from "../stats/waterfall.ts";
import { claimWords } from "./claims.ts";
import {
  atLevels,
  capitalise,
  formatAmount,
  formatCount,
  formatList,
  formatNumber,
  formatPercent,
  formatRounds,
  formatSpan,
  nounFor,
  uncapitalise,
} from "./format.ts";

/** Titles other than claims about comparisons: those of nothing to draw first. */
export const figureTitles = {
  noRun: "No run is complete yet",
  noLatency: "No run was accepted: there is no latency to show",
  noAnswer: "No request succeeded: there is no latency to show",
  noOpenLoop: "No open loop was run",
  noPair: "No pair of direct and pooled arms to compare",
  noOtherArm: "No arm ran twice or with other settings",
  noCpu: "No CPU was sampled",
  noConnection: "No connection was in use at any reading",
  noWaterfall: "No run recorded where its time went",
  checkOnly: (measure: string) => `Functional check only: ${measure} is not compared`,
  figure: (title: string) => `Figure: ${title}`,

  matrix: (
    arms: number,
    users: number,
    rates: number,
    rounds: number,
    runs: number,
    isInTurns: boolean,
  ) => {
    const levels = [
      ...(users > 0 ? [`${formatCount(users, "number")} of users`] : []),
      ...(rates > 0 ? [formatCount(rates, "arrival rate")] : []),
    ];
    const parts = [
      formatCount(arms, "arm"),
      formatList(levels),
      formatCount(rounds, isInTurns ? "start" : "round"),
    ];
    return `${parts.join(" × ")}: ${formatCount(runs, "run")}`;
  },
  howLong: (level: LoadLevel) => `How long answers took ${atLevels([level])}`,
  atLevel: (level: LoadLevel, claim: string) =>
    `${capitalise(atLevels([level]))}: ${uncapitalise(claim)}`,
  ofCell: (claim: string, cell: string) => `${claim}, ${cell}`,

  executed: (active: number) => `${formatAmount(active, "connection")} executed at a time`,
  inUse: (active: number, poolSize: number, waiting: number) =>
    `With ${formatNumber(active)} of ${poolSize} server ${
      nounFor(poolSize, "connection")
    } in use, ` +
    `${formatAmount(waiting, "client")} waited for one`,
  noQuota: "CPU of each service, without a quota",
  noneAtQuota: "No service sat at its CPU quota",
  atQuota: (services: readonly { service: string; share: number }[]) => {
    const list = services.map(({ service, share }) => `${service} (${formatPercent(share)} of it)`);
    return `${formatList(list)} sat at ${list.length === 1 ? "its CPU quota" : "their CPU quotas"}`;
  },

  largestOfOne: (cell: string, stage: Stage, share: number) =>
    `${cell}: ${formatPercent(share)} of a mean request is ${stageWords[stage].within}`,
  largestOfAll: (stage: Stage, shares: readonly number[]) =>
    `The largest part of a mean request is ${stageWords[stage].within} in every scenario: ` +
    `${formatSpan(shares, formatPercent)} of its time`,
  largest: (counts: readonly { stage: Stage; n: number }[], scenarios: number) => {
    const of = ` of ${formatCount(scenarios, "scenario")}`;
    const parts = counts.map(({ stage, n }, i) =>
      `${stageWords[stage].within} in ${n}${i === 0 ? of : ""}`
    );
    return `The largest part of a mean request is ${formatList(parts)}`;
  },
} as const;

/** A stage of a request, on a bar and in the legend, and within a sentence. */
export const stageWords: Record<Stage, { label: string; within: string }> = {
  generator_lag: { label: "generator lag", within: "the generator's lag" },
  http: { label: "HTTP, waiting for a worker", within: "HTTP and waiting for a worker" },
  rest: { label: "everything else", within: "what was not measured separately" },
  app: { label: "app code", within: "the app's code" },
  held: { label: "app, transaction open", within: "the app's code while its transaction is open" },
  app_pool: { label: "app's pool", within: "waiting in the app's pool" },
  connect: { label: "connecting", within: "opening connections" },
  pgbouncer_queue: { label: "PgBouncer's queue", within: "PgBouncer's queue" },
  pgbouncer_starved: {
    label: "never served by PgBouncer",
    within: "waiting in PgBouncer for a server connection that never came",
  },
  pgbouncer_server: {
    label: "server connection",
    within: "waiting for an answer on a server connection",
  },
  database_wait: { label: "way to the database", within: "the way to the database and back" },
  execution: { label: "query execution", within: "query execution" },
};

const LOG = "logarithmic scale";

/** What is plotted, with its unit: subtitles and names of axes. */
export const axisWords = {
  throughput: "Throughput: correct answers per second",
  latency: {
    closed: "service time of correct answers in ms",
    open: "response time in ms, from when a request was due",
    both: "latency in ms: service time at users, response time at arrival rates",
  },
  measure: (axis: string, log: boolean, reading: string) =>
    `${axis}${log ? `, ${LOG}` : ""}, ${reading}`,
  more: "more is better",
  less: "less is better",
  /** The levels of a closed loop, of an open one, and of both. */
  by: {
    closed: "by number of users",
    open: "by arrival rate",
    both: "by number of users or arrival rate",
  },
  pathRatio: `Throughput, pooled over direct, ${LOG}`,
  armRatio: `Throughput over that of the arm compared with, ${LOG}`,
  share: (of: "correct answers" | "requests due" | "requests", latency: string) =>
    `Cumulative share of ${of} by ${latency} in ms, ${LOG}`,
  connections: "connections by what they did over one run; labels give the window's mean",
  cpu: "CPU cores in use by each service over one run; labels give the window's mean",
  waterfall: "mean service time of correct answers in ms, from its sending to its answer",
  sinceWindow: "seconds since the window's start",
  sinceBlocks: "seconds of its own turns since the first block",
} as const;

const ONE_RUN = "one run";

const NO_DIFFERENCE = { ...claimWords.verdict, noisy: "too noisy", single: ONE_RUN };

/** Legends, and labels within plots. */
export const legendWords = {
  lowerBound: "≥ lower bound: too many unfinished",
  singleRuns: "single runs",
  different: "different",
  anyOf: (claims: readonly (keyof typeof NO_DIFFERENCE)[]) =>
    claims.map((claim) => NO_DIFFERENCE[claim]).join(" or "),
  undetectable: "too small to be found",
  partly: "partly",
  warmUp: "← warm-up",
  quota: "quota",
  limit: (limit: string, names: readonly string[], value: number) =>
    `${limit} of ${formatList(names)}: ${value}`,
  mean: (name: string, value: number) => `${name} ${formatNumber(value)}`,
  pooledHigher: "pooled higher →",
  pooledLower: "← pooled lower",
  faster: "faster →",
  slower: "← slower",
  oneRun: `(${ONE_RUN})`,
  reuse: (reuse: string, differences: readonly string[]) =>
    `reuse: ${reuse}` +
    (differences.length === 0 ? "" : `; ${claimWords.settingsDiffer(differences)}`),
  runsDone: (done: number, planned: number) => `${done} of ${planned}`,
  runs: (n: number) => formatCount(n, "run"),
  arm: ({ workers, threads, reuse, path, defaultPoolSize }: Scenario, connections: number) =>
    `${formatCount(workers, "worker")}${threads === 1 ? "" : ` × ${threads} threads`}, ${reuse}: ${
      Number.isFinite(connections)
        ? `up to ${formatCount(connections, "connection")}`
        : "one per request"
    }${path === "pooled" ? ` → PgBouncer: ${defaultPoolSize}` : ""}`,
} as const;

function counted(counts: readonly number[], one: string, per: string): string {
  const span = formatSpan(counts, String);
  return `n = ${span} ${span === "1" ? one : `${one}s`} per ${per}`;
}

/** Parts of captions, and the lines on failures above them. */
export const captionWords = {
  all: (parts: readonly string[]) => `${parts.join("; ")}.`,
  failure: (failure: string) => `× ${failure}`,
  rejection: (rejection: string) => `Rejected: ${rejection}`,
  nothing: "nothing to draw",
  tooShort: (windowS: number) => `Windows of ${windowS}\u00a0s are too short for that.`,
  tooFewSlices: (sliceS: number) => `So few slices of ${sliceS}\u00a0s are not enough for that.`,

  noRun: "no run counts",
  runsPerCell: (counts: readonly number[]) => counted(counts, "run", "cell"),
  runsPerBar: (counts: readonly number[]) =>
    `${counted(counts, "run", "bar")}, means of their means`,
  roundsPerRow: (ratios: readonly { n: number; blocks: number }[]) =>
    `n = ${formatRounds(ratios)} per row`,
  windows: (windowS: number) => `${windowS}\u00a0s windows`,
  slices: (sliceS: number) => `arms in turn, slices of ${sliceS}\u00a0s or more`,
  ownCores: "dedicated cores for each service",
  sharedCores: (cores: number) => `${formatCount(cores, "core")} shared with the load generator`,
  functionalCheck: "functional check only, no conclusion",

  spread: {
    interval: "95% t intervals of each mean; the title goes by ratios paired by round",
    blocks: "95% t intervals of each mean; the title goes by ratios paired by block",
    range:
      "median of the runs' percentiles, range from smallest to largest run: described, not tested",
  },
  noSpread: (kind: "interval" | "range") => `a single run has no ${kind}`,
  longSpread: (kind: "interval" | "range") => `${kind}s reach beyond the scale`,
  tooFewRequests: (percentile: number, least: number, cells: readonly string[]) =>
    `P${percentile} needs ${formatCount(least, "request")} per run and is not shown where there ` +
    `were fewer: ${formatList(cells)}`,

  openLoop: (arrivals: string) => `open loop, ${arrivals} arrivals`,
  ownUsers: "closed loop, paced by its own locustfile",
  noThinkTime: "closed loop, no think time",
  thinkTime: (minS: number, maxS: number) =>
    `closed loop, think time ${minS === maxS ? minS : `${minS} to ${maxS}`}\u00a0s`,

  noRound: "no round to compare",
  noRoundInterval: "a single round has no interval",
  roundRatios: "geometric mean of the ratios paired by round",
  blockRatios: "ratio of the answers in all blocks, which both arms had side by side",
  oneStart: "without the differences from one start to another",
  early: "provisional, as no look at the data is complete",
  ratioInterval: (comparisons: number, isEarly: boolean) =>
    isEarly
      ? `t intervals of their logarithms, ${captionWords.early}`
      : comparisons === 1
      ? "95% t interval of their logarithms"
      : `t intervals of their logarithms, simultaneous: in 95% of studies all ${comparisons} of them hold`,
  band: "differences within the band would be missed in more than 10% of studies",
  unequal: (settings: readonly string[]) =>
    `${claimWords.differ(settings)}: not the path's effect alone`,
  pooledRequests: (requests: number) =>
    `${formatCount(requests, "request")}, pooled over the successful runs of each arm`,
  shapes: "it shows shapes, without intervals",
  oneRun: ONE_RUN,
  eachSecond: "a reading each second",
  host: "host is the busy time of all cores",
  runsPlanned: "runs planned",
  runsDone: "successful runs of those planned",
  warmUp: (warmUpS: number) => `${warmUpS}\u00a0s of warm-up before each window`,
  randomOrder: "the order within a round is random",
  warmUpOfArm: (warmUpS: number) =>
    `${warmUpS}\u00a0s of warm-up or more of each arm before the first block`,
  turnsSetting: (warmUpS: number, sliceS: number) => `at least ${warmUpS} s and ${sliceS} s`,
  randomTurns: "the order within a block is random",
  dashed: "dashed: the remainder after all measured parts",
  starved:
    `"${stageWords.pgbouncer_starved.label}" is added to the mean: how long clients without a server connection waited, for each answer that others got`,
} as const;
