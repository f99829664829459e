/** The tables of a study. */

import { appStack, appTitle } from "../apps/folders.ts";
import { connectionBudget, describeInForce } from "../connections.ts";
import { verdictOf } from "../figures/claims.ts";
import type { OpenLoopResults } from "../figures/levels.ts";
import { describeLoop, latencyName } from "../figures/options.ts";
import {
  type Leg,
  levelLabel,
  type Scenario,
  scenarioId,
  type ScenarioKey,
  scenarioKeys,
} from "../scenario.ts";
import { describeLimits, LEG_TITLES } from "../stats/context.ts";
import type { PercentileName } from "../stats/latency.ts";
import { isLowerBound, shortCause } from "../stats/summarise.ts";
import type { ScenarioSummary, ThroughputRatio } from "../stats/summary.ts";
import type { Manifest } from "../store/manifest.ts";
import { measureWords } from "../wording/claims.ts";
import { captionWords, figureTitles } from "../wording/figures.ts";
import {
  capitalise,
  formatBound,
  formatCount,
  formatInterval,
  formatList,
  formatNumber,
  formatPart,
  formatPercent,
  formatRatio,
  formatRatioEnd,
  formatRounds,
  formatSlowdown,
} from "../wording/format.ts";
import { ratioWords } from "../wording/ratios.ts";
import { type ColumnOf, numeric, right, Table, tableOf } from "./display.ts";
import type { Study } from "./study.ts";

type InContext = Pick<Study, "context">;

/** The stamp of a functional check, for captions and headings; empty otherwise. */
export function checkStamp({ context }: InContext): string {
  return context.functionalCheck ? `${capitalise(captionWords.functionalCheck)}: ` : "";
}

/** A table that compares; in a functional check, which is too short for that, its columns alone. */
export function unlessCheck({ context }: InContext, measure: string, table: Table): Table {
  return context.functionalCheck
    ? new Table(figureTitles.checkOnly(measure), table.columns, [])
    : table;
}

/** Failed or rejected, as a whole or in part, or neither, with the cause. */
function describeStatus(scenario: ScenarioSummary): string {
  const { n, failedRuns, rejectedRuns, rejection } = scenario;
  const all = n + failedRuns + rejectedRuns;
  const describe = (runs: number, status: string, cause: string) =>
    `${runs === all ? status : `${runs} of ${all} ${status}`}: ${cause}`;
  const parts = [
    failedRuns > 0 ? describe(failedRuns, "failed", shortCause(scenario)) : [],
    rejectedRuns > 0 ? describe(rejectedRuns, "rejected", rejection!) : [],
  ].flat();
  return parts.join("; ") || "ok";
}

type ScenarioColumn = ColumnOf<ScenarioSummary>;

const PATH_COLUMNS: ScenarioColumn[] = [
  ["path", ({ path }) => path],
  ["reuse", ({ scenario }) => scenario.reuse],
];

const STATUS_COLUMNS: ScenarioColumn[] = [
  numeric("error rate", ({ errorRate }) => errorRate, formatPercent),
  right("n", ({ n }) => n),
  ["status", describeStatus],
];

/** Percentiles; P99.9 where a run is long enough for it. */
function latencyColumns(scenarios: readonly ScenarioSummary[]): ScenarioColumn[] {
  const names: PercentileName[] = ["p50", "p95", "p99", "p99.9"];
  const estimateOf = ({ responseMs, serviceMs }: ScenarioSummary, name: PercentileName) =>
    (responseMs ?? serviceMs)[name];
  return names.filter((name) => name !== "p99.9" || scenarios.some((one) => estimateOf(one, name)))
    .map((name) =>
      right(`${name.toUpperCase()} ms`, (scenario) => {
        const estimate = estimateOf(scenario, name);
        const isBound = isLowerBound(scenario, Number(name.slice(1)));
        return estimate && formatBound(estimate.value, isBound);
      })
    );
}

function deliveryColumn(what: "late" | "dropped"): ScenarioColumn {
  return numeric(
    what,
    ({ delivery }) => delivery?.arrivals ? delivery[what] / delivery.arrivals : null,
    formatPercent,
  );
}

/** When requests were sent and answered, beside when they were due. */
const OPEN_LOOP_COLUMNS: ScenarioColumn[] = [
  numeric("service P95 ms", ({ serviceMs }) => serviceMs.p95?.value),
  deliveryColumn("late"),
  deliveryColumn("dropped"),
];

/** Settings of an arm beside framework and path, empty when its label has none. */
function armSettings({ arm }: ScenarioSummary): string {
  return arm.includes(", ") ? arm.slice(arm.indexOf(", ")) : "";
}

/** Throughput; in brackets that of runs that do not count. */
function describeRps({ rps, failedRps, rejectedRps }: ScenarioSummary): string | null {
  if (rps !== null) return formatNumber(rps.value);
  const others = failedRps ?? rejectedRps;
  return others === null ? null : `(${formatNumber(others)})`;
}

/**
 * The reference table: every scenario with throughput, percentiles, failures, n and spread, or with
 * the cause of its failure. A failed scenario keeps its own throughput, marked as failed. Of a
 * functional check: whether the app was ours and answered as the contract says, which way its queries
 * went, and whether its requests were counted as the generator counted them.
 */
export function referenceTable(study: Study): Table {
  const { name, context, scenarios } = study;
  if (context.functionalCheck) return checkTable(study);
  const caption = `Every scenario of ${name}; ${context.database}; ` +
    `percentiles of the ${latencyName(scenarios)}, ${describeLoop(scenarios)}`;
  return tableOf(caption, scenarios, [
    ["framework", (one) => appTitle(one.framework) + armSettings(one)],
    ...PATH_COLUMNS,
    right("load", levelLabel),
    right("RPS", describeRps),
    right("95% interval", ({ rps }) => rps && (formatInterval(rps) || captionWords.oneRun)),
    numeric("CV", ({ rpsCv }) => rpsCv, formatPercent),
    ...latencyColumns(scenarios),
    ...(scenarios.some(({ users }) => users === null) ? OPEN_LOOP_COLUMNS : []),
    numeric("failures/s", ({ failuresPerS }) => failuresPerS),
    ...STATUS_COLUMNS,
  ], ({ n }) => n === 0);
}

const WAYS = { pooled: "through PgBouncer", direct: "straight to PostgreSQL" };

/** Whether something holds of every run, or of how many. */
function shareOf(runs: number, all: number, what = "yes"): string {
  if (runs === all) return what;
  return runs === 0 ? "no" : `${what} in ${formatPart(runs, all, "run")}`;
}

function checkTable({ name, scenarios, runs, manifests }: Study): Table {
  const runsOf = ({ scenarioId }: ScenarioSummary) =>
    runs.filter((run) => run.scenarioId === scenarioId);
  const share = (
    scenario: ScenarioSummary,
    held: (verification: NonNullable<Manifest["verification"]>) => boolean,
    what = "yes",
  ) => {
    const own = manifests.filter(({ scenarioId, verification }) =>
      scenarioId === scenario.scenarioId && verification !== null && held(verification)
    );
    return shareOf(own.length, runsOf(scenario).length, what);
  };
  return tableOf(`Functional check only: what ran in ${name}`, scenarios, [
    ["arm", ({ arm }) => arm],
    right("load", levelLabel),
    [
      "verified by the contract",
      (one) => share(one, ({ ok, nonceMatched }) => ok && nonceMatched !== false),
    ],
    [
      "path",
      (one) =>
        share(one, (seen) => seen.throughPgbouncer === (one.path === "pooled"), WAYS[one.path]),
    ],
    ["requests counted", (one) => {
      const own = runsOf(one);
      const counted = own.filter(({ measured, requests, conditions }) =>
        measured && requests > 0 && conditions.disagreement === null
      );
      return shareOf(counted.length, own.length);
    }],
    ["status", describeStatus],
  ], ({ n }) => n === 0);
}

/**
 * Every scenario of an open loop: response time from when requests were due, service time from when
 * they were sent, and how much of the load was late or never sent.
 *
 * @param results What `runOpenLoop()` returned.
 */
export function openLoopTable(results: OpenLoopResults | null): Table {
  const scenarios = results?.scenarios ?? [];
  const caption = results === null
    ? figureTitles.noOpenLoop
    : "P50 to P99 are response times, from when a request was due";
  const table = tableOf(caption, scenarios, [
    ["framework", ({ framework }) => appTitle(framework)],
    ...PATH_COLUMNS,
    right("arrival rate", levelLabel),
    numeric("RPS", ({ rps }) => rps?.value),
    ...latencyColumns(scenarios),
    ...OPEN_LOOP_COLUMNS,
    ...STATUS_COLUMNS,
  ], ({ n }) => n === 0);
  return results === null ? table : unlessCheck(results, measureWords.latencyAtEqualLoad, table);
}

/** A ratio, its interval and the rounds behind it, or the blocks where it is made of these. */
export function ratioColumns(
  byBlock: boolean,
): ColumnOf<
  Pick<ThroughputRatio, "ratio" | "n"> & Partial<Pick<ThroughputRatio, "blocks">>
>[] {
  return [
    numeric("ratio", ({ ratio }) => ratio?.value, formatRatio),
    right(
      "95% interval",
      ({ ratio }) => ratio && (formatInterval(ratio, formatRatioEnd) || captionWords.oneRun),
    ),
    right(byBlock ? "blocks" : "rounds", (made) => made.blocks ? formatRounds([made]) : made.n),
  ];
}

/** In every table of comparisons: the ratio, the verdict and what could be found. */
function comparisonColumns(
  ratios: readonly ThroughputRatio[],
  directions: Record<"higher" | "lower", string>,
): ColumnOf<ThroughputRatio>[] {
  const verdicts = { ...ratioWords.verdicts, ...directions };
  return [
    ...ratioColumns(ratios.some(({ blocks }) => blocks > 0)),
    ["verdict", (pair) => (pair.verdict === "none" && pair.missing) || verdicts[verdictOf(pair)]],
    numeric("detectable slowdown", ({ detectable }) => detectable, formatSlowdown),
  ];
}

/** What the intervals of ratios hold, for those who have not read the prose. */
function describeIntervals(
  { context: { comparisons } }: Study,
  ratios: readonly ThroughputRatio[],
): string {
  const byBlock = ratios.some(({ blocks }) => blocks > 0);
  return ratioWords.intervals(
    comparisons,
    byBlock,
    ratios.some(({ starts }) => starts === 1),
    ratios.some(({ isEarly }) => isEarly),
  );
}

/**
 * Pooled over direct throughput for each pair: ratio, simultaneous interval, rounds spent, verdict,
 * and the least slowdown that would have been found.
 */
export function ratioTable(study: Study): Table {
  const caption = `Pooled over direct throughput, ${describeIntervals(study, study.ratios)}`;
  const table = tableOf(caption, study.ratios, [
    ["framework", ({ label }) => label],
    ["reuse", ({ reuse }) => reuse],
    right("load", levelLabel),
    ...comparisonColumns(study.ratios, ratioWords.ofPaths),
    [
      "settings that differ",
      ({ differences }) => formatList(differences) || ratioWords.noDifferences,
    ],
  ], ({ ratio }) => ratio === null);
  return unlessCheck(study, measureWords.throughput, table);
}

/** The same for copies (A/A) and other settings, each over the arm that it is compared with. */
export function armRatioTable(study: Study): Table {
  const { armRatios } = study;
  const caption = armRatios.length === 0
    ? figureTitles.noOtherArm
    : `Throughput of one arm over another, ${describeIntervals(study, armRatios)}`;
  const table = tableOf(caption, armRatios, [
    ["arm", ({ otherArm }) => otherArm],
    ["over", ({ baseArm }) => baseArm],
    right("load", levelLabel),
    ...comparisonColumns(armRatios, ratioWords.ofArms),
    [
      "settings that differ",
      ({ kind, differences }) => kind === "replica" ? "none (A/A copy)" : formatList(differences),
    ],
  ], ({ ratio }) => ratio === null);
  return unlessCheck(study, measureWords.throughput, table);
}

/** Which runs failed, and of what: one row for each scenario and cause. */
export function failuresTable({ scenarios, runs, missing }: Study): Table {
  const failed = scenarios.flatMap((summary) => {
    const own = runs.filter(({ scenarioId, status }) =>
      scenarioId === summary.scenarioId && status === "failed"
    );
    const byCause = Map.groupBy(own, ({ cause }) => cause);
    return [...byCause].map(([cause, same]) => ({ ...summary, cause, same }));
  });
  const planned = runs.length + missing.length;
  const toCome = missing.length === 0 ? "" : `; ${missing.length} not run yet`;
  const caption = failed.length === 0
    ? `No run failed: ${formatPart(runs.length, planned, "run")} complete`
    : "What failed, and why";
  return tableOf(caption + toCome, failed, [
    ["arm", ({ arm }) => arm],
    right("load", levelLabel),
    ["rounds", ({ same }) => formatList(same.map(({ round }) => String(round)))],
    right("error rate", ({ same }) => {
      const answered = same.reduce((sum, run) => sum + run.requests, 0);
      const failures = same.reduce((sum, run) => sum + run.failures, 0);
      return answered === 0 ? "no answer" : formatPercent(failures / answered);
    }),
    ["cause", shortCause],
  ], () => true);
}

const ALL_ARMS = "all arms";

/** What names a scenario, and is no setting of its arm. */
const NAMED_KEYS: ScenarioKey[] = ["framework", "path", "users", "arrivalRate", "replica"];

type NamedValue = [name: string, value: string];

/** A setting as it was asked for; none where it does not act: PgBouncer's own in a direct scenario. */
function askedFor(scenario: Scenario, key: ScenarioKey): NamedValue[] {
  // The default client is no part of an id, and sends the requests all the same.
  const acts = key === "client" ||
    scenarioId({ ...scenario, [key]: undefined }) !== scenarioId(scenario);
  if (!acts) return [];
  const value: Scenario[ScenarioKey] | undefined = scenario[key];
  if (value === null) return [[key, "no limit"]];
  if (typeof value === "boolean") return [[key, value ? "on" : "off"]];
  // A study that is older than the setting has none.
  return [[key, String(value ?? "")]];
}

/** What an app makes of a scenario. */
const OF_SCENARIO: ((scenario: Scenario) => NamedValue[])[] = [
  ({ framework }) => {
    const stack = appStack(framework);
    return stack === null ? [] : [["app", stack]];
  },
  (scenario) => {
    const budget = connectionBudget(scenario);
    const text = Number.isFinite(budget) ? String(budget) : "one for each request";
    return [["connections the app may open", text]];
  },
];

/** Limits and network asked for and in force, what apps and servers say themselves, and versions. */
const OF_MANIFEST: ((manifest: Manifest) => NamedValue[])[] = [
  ({ limits }) =>
    Object.entries(limits).map(([service, { asked, readBack }]) => [
      `${service} limits, asked for → in force`,
      `${describeLimits(asked)} → ${describeLimits(readBack)}`,
    ]),
  ...Object.entries(LEG_TITLES).map(([leg, title]) => ({ network }: Manifest): NamedValue[] => {
    const inForce = network?.legs[leg as Leg["name"]];
    if (inForce === undefined) return [];
    const { rttMs: { asked, measured }, tls } = inForce;
    const rtt = measured === null
      ? "nothing in between"
      : `${asked} ms → ${formatNumber(measured)} ms`;
    return [
      [`${title}: round-trip time, asked for → measured`, rtt],
      [`${title}: encryption in force`, tls.inForce ?? "none"],
    ];
  }),
  ({ network }) => network?.method ? [["round-trip times simulated by", network.method]] : [],
  ({ appOptions }) => Object.entries(appOptions),
  ...["postgres", "pgbouncer"].map((service) => (manifest: Manifest) =>
    Object.entries(manifest.inputs?.settings?.[service] ?? {}).map(([name, value]): NamedValue => [
      `${service} ${name}, in force`,
      describeInForce(name, value, manifest.ownConnections),
    ])
  ),
  ({ versions }) =>
    Object.entries(versions).map(([program, version]) => [`${program} version`, version]),
];

function studySettings({ context, manifests }: Study): [name: string, values: string[]][] {
  const { turns } = context;
  return [
    ["engine", context.engines],
    turns === null
      ? ["warm-up and window", [`${context.warmUpS} s and ${context.windowS} s`]]
      : ["warm-up of each arm, and slice", [
        captionWords.turnsSetting(turns.warmUpS, turns.sliceS),
      ]],
    [
      "host",
      manifests.map(({ host: { cpus, cpuModel, memoryMiB, kernel } }) =>
        `${cpus} × ${cpuModel}, ${memoryMiB} MiB, Linux ${kernel}`
      ),
    ],
    [
      "cores of each service",
      context.cpuSets.length > 0
        ? context.cpuSets
        : manifests.map(({ host }) => `all share ${formatCount(host.cpus, "core")} of the host`),
    ],
    ["git commit", manifests.map(({ gitCommit }) => gitCommit ?? "outside git")],
    ["limits warning", context.limitsWarnings],
  ];
}

/**
 * The settings in force: those of the scenarios by arm, the limits asked for and read back, what
 * the app was given, and versions of everything.
 */
export function settingsTable(study: Study): Table {
  const { scenarios, manifests } = study;
  const armOf = new Map(scenarios.map(({ scenarioId, arm }) => [scenarioId, arm]));
  const arms = [...new Set(armOf.values())];
  const asked = scenarioKeys(scenarios.map(({ scenario }) => scenario))
    .filter((key) => !NAMED_KEYS.includes(key))
    .map((key) => (scenario: Scenario) => askedFor(scenario, key));
  const facts = [
    ...[...asked, ...OF_SCENARIO].flatMap((valuesOf) =>
      scenarios.map(({ arm, scenario }) => ({ arm, values: valuesOf(scenario) }))
    ),
    ...OF_MANIFEST.flatMap((valuesOf) =>
      manifests.map((one) => ({ arm: armOf.get(one.scenarioId), values: valuesOf(one) }))
    ),
  ].flatMap(({ arm, values }) => values.map(([name, value]) => ({ arm, name, value })));
  const distinct = (values: readonly string[]) => [...new Set(values)].join(" or ");
  // A row for each value of a setting, with the arms that have it.
  const byArm = [...Map.groupBy(facts, ({ name }) => name)].flatMap(([name, own]) => {
    const valueOf = (arm: string) =>
      distinct(own.filter((fact) => fact.arm === arm).map(({ value }) => value));
    return [...Map.groupBy(arms, valueOf)].map(([value, having]) => ({
      name,
      arms: having.length === arms.length ? ALL_ARMS : having.join("; "),
      value,
    }));
  });
  const ofStudy = studySettings(study)
    .map(([name, values]) => ({ name, arms: ALL_ARMS, value: distinct(values) }));
  const rows = [...byArm, ...ofStudy].filter(({ value }) => value !== "");
  return tableOf(`Settings in force in ${study.name}`, rows, [
    ["setting", ({ name }) => name],
    ["arms", ({ arms }) => arms],
    ["value", ({ value }) => value],
  ]);
}
