/**
 * The report's headings, and its tables: columns, captions and cells.
 *
 * @module
 */

import { claimWords } from "./claims.ts";
import { captionWords } from "./figures.ts";
import { capitalise, formatCount, formatNumber, formatPart } from "./format.ts";

/** The page that is the report. */
export const reportHeadings = {
  checkTitle: (study: string) => `# Poolscope: ${study}`,
  title: (study: string) =>
    `# Should you put PgBouncer in front of PostgreSQL? The answer of ${study}`,
  believed: "## Can these numbers be believed?",
  run: "## What was run",
  measured: "## What was measured",
  throughput: "## Throughput",
  latency: "## Latency",
  limited: "## What limited each arm",
  paths: "## Pooled against direct",
  arms: "## Arms that ran twice or with other settings",
  pooler: "## What the pooler did",
  equalLoad: "## Latency at equal load",
  openLoop: "### Its open loop",
  scenarios: "## Every scenario",
  failed: "## What failed",
  published: "## The published result",
  settings: "## Settings",
  rpsPlot: "Throughput of every arm at each load",
  latencyPlot: "P95 latency of every arm at each load",
  openLoopPlot: "Response time of both paths at equal arrival rates",
  legend: "RPS is the mean of correct answers per second over n successful runs, with its 95% t " +
    "interval; in brackets, the throughput of failed or rejected runs. Percentiles are medians of the runs' " +
    "exact percentiles. ≥ marks lower bounds.",
} as const;

/** Headings of columns. */
export const heading = {
  arm: "arm",
  arms: "arms",
  arrivalRate: "arrival rate",
  cause: "cause",
  confidence: "confidence",
  counted: "requests counted",
  cpuRatio: "PostgreSQL's CPU per answer, pooled over direct",
  cv: "CV",
  detectable: "detectable slowdown",
  differences: "settings that differ",
  differencesFromPublished: "settings that differ from the published",
  dropped: "dropped",
  errorRate: "error rate",
  evidence: "evidence",
  execution: "execution, ms per request",
  failuresPerS: "failures/s",
  flaw: "flaw of the published result",
  framework: "framework",
  gate: "gate",
  here: "here",
  interval: "95% interval",
  late: "late",
  limitedBy: "limited by",
  load: "load",
  logins: "logins to PgBouncer per 1,000",
  maxClients: "most client connections",
  maxConnections: "most connections to PostgreSQL",
  maxServers: "most server connections",
  met: "met?",
  n: "n",
  outcome: "outcome",
  over: "over",
  p50: "P50 ms",
  p95: "P95 ms",
  p99: "P99 ms",
  p999: "P99.9 ms",
  path: "path",
  published: "published",
  queueMs: "wait in PgBouncer, ms per request",
  ratio: "ratio",
  relief: "relief",
  reuse: "reuse",
  rounds: "rounds",
  rowsPerRequest: "rows per request",
  rps: "RPS",
  serviceP95: "service P95 ms",
  sessions: "new sessions per 1,000 requests",
  sessionsDirect: "new sessions per 1,000 requests, direct",
  sessionsPooled: "pooled",
  setting: "setting",
  statements: "data statements per request",
  status: "status",
  supports: "supports",
  transactionControl: "BEGIN, COMMIT … per request",
  value: "value",
  verdict: "verdict",
  verified: "verified by the contract",
  waitMs: "wait per transaction, ms",
  waitShare: "of a request's time",
} as const;

/** Captions of tables, and what their cells say. */
export const tableWords = {
  checkStamp: `${capitalise(captionWords.functionalCheck)}: `,
  scenarios: (study: string, database: string, latency: string, loop: string) =>
    `Every scenario of ${study}; ${database}; percentiles of the ${latency}, ${loop}`,
  pathRatios: (intervals: string) => `Pooled over direct throughput, ${pairedByRound(intervals)}`,
  armRatios: (intervals: string) =>
    `Throughput of one arm over another, ${pairedByRound(intervals)}`,
  simultaneous: (comparisons: number) =>
    `intervals are simultaneous over ${comparisons} comparisons`,
  separate: "95% t intervals",
  noneFailed: (complete: number, planned: number, missing: number) =>
    `No run failed: ${formatPart(complete, planned, "run")} complete${notRun(missing)}`,
  failures: (missing: number) => `What failed, and why${notRun(missing)}`,
  milliseconds: (ms: number, isBound: boolean) => (isBound ? "≥ " : "") + formatNumber(ms),
  inBrackets: (rps: number) => `(${formatNumber(rps)})`,
  oneRun: captionWords.oneRun,
  noAnswer: "no answer",
  noDifferences: "none",
  sameTwice: "none (A/A copy)",
  verdicts: { ...claimWords.verdict, none: "no ratio" },
  ofArms: { higher: "faster", lower: "slower" },
} as const;

function pairedByRound(intervals: string): string {
  return `paired by round; ${intervals}; a detectable slowdown is found in 90% of studies like this`;
}

function notRun(missing: number): string {
  return missing === 0 ? "" : `; ${missing} not run yet`;
}

/** The table of settings. */
export const settingWords = {
  caption: (study: string) => `Settings in force in ${study}`,
  allArms: "all arms",
  or: " or ",
  noLimit: "no limit",
  on: "on",
  off: "off",
  app: "app",
  budget: "connections the app may open",
  oneForEachRequest: "one for each request",
  limits: (service: string) => `${service} limits, asked for → in force`,
  change: (asked: string, inForce: string) => `${asked} → ${inForce}`,
  roundTrip: (leg: string) => `${leg}: round-trip time, asked for → measured`,
  roundTripMs: (asked: number, measured: number) => `${asked} ms → ${formatNumber(measured)} ms`,
  nothingBetween: "nothing in between",
  encryption: (leg: string) => `${leg}: encryption in force`,
  noEncryption: "none",
  networkMethod: "round-trip times simulated by",
  inForce: (service: string, name: string) => `${service} ${name}, in force`,
  version: (program: string) => `${program} version`,
  engine: "engine",
  durations: "warm-up and window",
  seconds: (warmUp: number, window: number) => `${warmUp} s and ${window} s`,
  host: "host",
  machine: (cpus: number, model: string, memoryMiB: number, kernel: string) =>
    `${cpus} × ${model}, ${memoryMiB} MiB, Linux ${kernel}`,
  cores: "cores of each service",
  sharedCores: (cores: number) => `all share ${formatCount(cores, "core")} of the host`,
  commit: "git commit",
  outsideGit: "outside git",
  limitsWarning: "limits warning",
} as const;
