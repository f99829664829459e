/**
 * Headings: of the report's sections with what stands for its plots, and of the columns of tables.
 *
 * @module
 */

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

/** The columns of the tables of checks, flaws, evidence and bottlenecks. */
export const columnTitles = {
  arm: "arm",
  load: "load",
  status: "status",
  verified: "verified by the contract",
  path: "path",
  counted: "requests counted",
  flaw: "flaw of the published result",
  here: "here",
  gate: "gate",
  framework: "framework",
  reuse: "reuse",
  sessionsDirect: "new sessions per 1,000 requests, direct",
  sessionsPooled: "pooled",
  logins: "logins at PgBouncer",
  maxClients: "most client connections",
  maxServers: "most server connections",
  waitMs: "wait per transaction, ms",
  waitShare: "of a request's time",
  cpuRatio: "PostgreSQL's CPU per answer, pooled over direct",
  supports: "supports",
  limitedBy: "limited by",
  evidence: "evidence",
  confidence: "confidence",
  relief: "relief",
  ratio: "ratio",
  interval: "95% interval",
  rounds: "rounds",
  outcome: "outcome",
} as const;
