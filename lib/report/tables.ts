/**
 * The tables of a study.
 *
 * @module
 */

import { connectionBudget, describeInForce } from "../connections.ts";
import { measureWords } from "../wording/claims.ts";
import { figureTitles } from "../wording/figures.ts";
import {
  formatInterval,
  formatList,
  formatNumber,
  formatPercent,
  formatRatio,
  formatRatioEnd,
  formatSlowdown,
} from "../wording/format.ts";
import { ratioWords } from "../wording/ratios.ts";
import { heading, settingWords, tableWords as say } from "../wording/tables.ts";
import {
  type Leg,
  levelLabel,
  type Scenario,
  scenarioId,
  type ScenarioKey,
  scenarioKeys,
} from "../scenario.ts";
import { appStack, appTitle } from "../apps/folders.ts";
import { verdictOf } from "../figures/claims.ts";
import { describeLoop, latencyName } from "../figures/options.ts";
import { describeLimits, LEG_TITLES } from "../stats/context.ts";
import type { Delivery } from "../stats/delivery.ts";
import { isLowerBound, shortCause } from "../stats/summarise.ts";
import type { Estimate, ScenarioSummary, ThroughputRatio } from "../stats/summary.ts";
import type { Manifest } from "../store/manifest.ts";
import { checkNotice, checkTable } from "./check.ts";
import { type CellValue, left, right, Table, type TableColumn } from "./display.ts";
import { describeStatus } from "./status.ts";
import type { Study } from "./study.ts";

/** The stamp of a functional check, for captions and headings; empty otherwise. */
export function checkStamp(study: Pick<Study, "context">): string {
  return study.context.functionalCheck ? say.checkStamp : "";
}

function shown(estimate: Estimate | null, format = formatNumber): string | null {
  return estimate === null ? null : format(estimate.value);
}

/** A share of an open loop's arrivals. */
export function shareOf(delivery: Delivery | null, what: "late" | "dropped"): string | null {
  return delivery === null || delivery.arrivals === 0
    ? null
    : formatPercent(delivery[what] / delivery.arrivals);
}

/** P99.9, which only long runs allow. */
export function p999Of({ responseMs, serviceMs }: ScenarioSummary): Estimate | null {
  return (responseMs ?? serviceMs)["p99.9"];
}

/** The throughput of runs that do not count. */
function inBrackets({ failedRps, rejectedRps }: ScenarioSummary): string | null {
  const rps = failedRps ?? rejectedRps;
  return rps === null ? null : say.inBrackets(rps);
}

/** Settings of an arm beside framework and path, empty when its label has none. */
function armSettings({ arm }: ScenarioSummary): string {
  return arm.includes(", ") ? arm.slice(arm.indexOf(", ")) : "";
}

/**
 * The reference table: every scenario with throughput, percentiles, failures, n and spread, or with
 * the cause of its failure. A failed scenario keeps its own throughput, marked as failed. Of a
 * functional check, {@linkcode checkTable}.
 *
 * @param study The study.
 */
export function referenceTable(study: Study): Table {
  if (study.context.functionalCheck) return checkTable(study);
  const open = study.scenarios.some((scenario) => scenario.users === null);
  const far = study.scenarios.some((scenario) => p999Of(scenario) !== null);
  const rows = study.scenarios.map((scenario): CellValue[] => {
    const ms = (estimate: Estimate | null, percent: number) =>
      estimate && say.milliseconds(estimate.value, isLowerBound(scenario, percent));
    return [
      appTitle(scenario.framework) + armSettings(scenario),
      scenario.path,
      scenario.scenario.reuse,
      levelLabel(scenario),
      scenario.rps === null ? inBrackets(scenario) : shown(scenario.rps),
      scenario.rps === null ? null : formatInterval(scenario.rps) || say.oneRun,
      scenario.rpsCv === null ? null : formatPercent(scenario.rpsCv),
      ms(scenario.p50Ms, 50),
      ms(scenario.p95Ms, 95),
      ms(scenario.p99Ms, 99),
      ...(far ? [ms(p999Of(scenario), 99.9)] : []),
      ...(open
        ? [
          shown(scenario.serviceMs.p95),
          shareOf(scenario.delivery, "late"),
          shareOf(scenario.delivery, "dropped"),
        ]
        : []),
      scenario.failuresPerS === null ? null : formatNumber(scenario.failuresPerS),
      scenario.errorRate === null ? null : formatPercent(scenario.errorRate),
      scenario.n,
      describeStatus(scenario),
    ];
  });
  const failed = new Set(
    study.scenarios.flatMap((scenario, i) => scenario.n === 0 ? [i] : []),
  );
  return new Table(
    say.scenarios(
      study.name,
      study.context.database,
      latencyName(study.scenarios),
      describeLoop(study.scenarios),
    ),
    [
      left(heading.framework),
      left(heading.path),
      left(heading.reuse),
      right(heading.load),
      right(heading.rps),
      right(heading.interval),
      right(heading.cv),
      right(heading.p50),
      right(heading.p95),
      right(heading.p99),
      ...(far ? [right(heading.p999)] : []),
      ...(open ? [right(heading.serviceP95), right(heading.late), right(heading.dropped)] : []),
      right(heading.failuresPerS),
      right(heading.errorRate),
      right(heading.n),
      left(heading.status),
    ],
    rows,
    failed,
  );
}

/** What stands in every table of ratios: ratio, interval, rounds, verdict and what could be found. */
function ratioCells(
  pair: ThroughputRatio,
  directions: Record<"higher" | "lower", string>,
): CellValue[] {
  const verdict = verdictOf(pair);
  return [
    shown(pair.ratio, formatRatio),
    pair.ratio === null ? null : formatInterval(pair.ratio, formatRatioEnd) || say.oneRun,
    pair.n,
    (verdict === "none" ? pair.missing : null) ?? { ...say.verdicts, ...directions }[verdict],
    pair.detectable === null ? null : formatSlowdown(pair.detectable),
  ];
}

const RATIO_COLUMNS: TableColumn[] = [
  right(heading.ratio),
  right(heading.interval),
  right(heading.rounds),
  left(heading.verdict),
  right(heading.detectable),
];

/** What the intervals of ratios hold, for those who have not read the prose. */
function describeIntervals({ context: { comparisons } }: Study): string {
  return comparisons > 1 ? say.simultaneous(comparisons) : say.separate;
}

/**
 * Pooled over direct throughput for each pair: ratio, simultaneous interval, rounds spent, verdict,
 * and the least slowdown that would have been found.
 *
 * @param study The study.
 */
export function ratioTable(study: Study): Table {
  const columns = [
    left(heading.framework),
    left(heading.reuse),
    right(heading.load),
    ...RATIO_COLUMNS,
    left(heading.differences),
  ];
  return checkNotice(study, measureWords.throughput, columns) ?? new Table(
    say.pathRatios(describeIntervals(study)),
    columns,
    study.ratios.map((pair) => [
      pair.label,
      pair.reuse,
      levelLabel(pair),
      ...ratioCells(pair, ratioWords.ofPaths),
      pair.differences.length === 0 ? say.noDifferences : formatList(pair.differences),
    ]),
    new Set(study.ratios.flatMap((pair, i) => pair.ratio === null ? [i] : [])),
  );
}

/**
 * The same for copies (A/A) and other settings, each over the arm that it is compared with.
 *
 * @param study The study.
 */
export function armRatioTable(study: Study): Table {
  const columns = [
    left(heading.arm),
    left(heading.over),
    right(heading.load),
    ...RATIO_COLUMNS,
    left(heading.differences),
  ];
  return checkNotice(study, measureWords.throughput, columns) ?? new Table(
    study.armRatios.length === 0
      ? figureTitles.noOtherArm
      : say.armRatios(describeIntervals(study)),
    columns,
    study.armRatios.map((pair) => [
      pair.otherArm,
      pair.baseArm,
      levelLabel(pair),
      ...ratioCells(pair, say.ofArms),
      pair.kind === "replica" ? say.sameTwice : formatList(pair.differences),
    ]),
    new Set(study.armRatios.flatMap((pair, i) => pair.ratio === null ? [i] : [])),
  );
}

/**
 * Which runs failed, and of what: one row for each scenario and cause.
 *
 * @param study The study.
 */
export function failuresTable(study: Study): Table {
  const rows: CellValue[][] = [];
  for (const scenario of study.scenarios) {
    const failed = study.runs
      .filter((run) => run.scenarioId === scenario.scenarioId && run.status === "failed");
    for (const cause of new Set(failed.map((run) => run.cause))) {
      const same = failed.filter((run) => run.cause === cause);
      const answered = same.reduce((sum, run) => sum + run.requests, 0);
      const failures = same.reduce((sum, run) => sum + run.failures, 0);
      rows.push([
        scenario.arm,
        levelLabel(scenario),
        formatList(same.map((run) => String(run.round))),
        answered === 0 ? say.noAnswer : formatPercent(failures / answered),
        shortCause({ scenario: scenario.scenario, cause }),
      ]);
    }
  }
  const planned = study.runs.length + study.missing.length;
  return new Table(
    rows.length === 0
      ? say.noneFailed(study.runs.length, planned, study.missing.length)
      : say.failures(study.missing.length),
    [
      left(heading.arm),
      right(heading.load),
      left(heading.rounds),
      right(heading.errorRate),
      left(heading.cause),
    ],
    rows,
    new Set(rows.keys()),
  );
}

/** What names a scenario, and is no setting of its arm. */
const NAMED_KEYS: ScenarioKey[] = ["framework", "path", "users", "arrivalRate", "replica"];

function show(value: Scenario[ScenarioKey] | undefined): string {
  // A study that is older than the setting.
  if (value === undefined) return "";
  if (value === null) return settingWords.noLimit;
  if (typeof value === "boolean") return value ? settingWords.on : settingWords.off;
  return String(value);
}

/** Whether a setting acts in a scenario: PgBouncer's own are no part of a direct one's id. */
function acts(scenario: Scenario, key: ScenarioKey): boolean {
  // The default client is no part of an id, and sends the requests all the same.
  return key === "client" ||
    scenarioId({ ...scenario, [key]: undefined }) !== scenarioId(scenario);
}

/** One arm with what is known of its settings. */
interface ArmRecords {
  arm: string;
  scenarios: Scenario[];
  manifests: Manifest[];
}

/** A setting's name, and its values in an arm; none where it does not act. */
type Setting = [name: string, valuesOf: (arm: ArmRecords) => string[]];

function distinct(values: readonly string[]): string {
  return [...new Set(values)].join(settingWords.or);
}

/** Every key that a record has in any of the manifests. */
function keysOf(manifests: readonly Manifest[], record: (manifest: Manifest) => object): string[] {
  return [...new Set(manifests.flatMap((manifest) => Object.keys(record(manifest))))];
}

/** What was asked for, and what the app makes of it. */
function scenarioSettings(scenarios: readonly Scenario[]): Setting[] {
  return [
    ...scenarioKeys(scenarios).filter((key) => !NAMED_KEYS.includes(key)).map((key): Setting => [
      key,
      (arm) => arm.scenarios.filter((one) => acts(one, key)).map((one) => show(one[key])),
    ]),
    [settingWords.app, (arm) => arm.scenarios.flatMap((one) => appStack(one.framework) ?? [])],
    [settingWords.budget, (arm) =>
      arm.scenarios.map((scenario) => {
        const budget = connectionBudget(scenario);
        return Number.isFinite(budget) ? String(budget) : settingWords.oneForEachRequest;
      })],
  ];
}

function limitSettings(manifests: readonly Manifest[]): Setting[] {
  return keysOf(manifests, ({ limits }) => limits).map((service) => [
    settingWords.limits(service),
    (arm) =>
      arm.manifests.flatMap(({ limits: { [service]: own } }) =>
        own === undefined
          ? []
          : [settingWords.change(describeLimits(own.asked), describeLimits(own.readBack))]
      ),
  ]);
}

function networkSettings(): Setting[] {
  const byLeg = Object.entries(LEG_TITLES).flatMap(([leg, title]): Setting[] => {
    const legsOf = ({ manifests }: ArmRecords) =>
      manifests.flatMap(({ network }) => network?.legs[leg as Leg["name"]] ?? []);
    return [
      [
        settingWords.roundTrip(title),
        (arm) =>
          legsOf(arm).map(({ rttMs: { asked, measured } }) =>
            measured === null
              ? settingWords.nothingBetween
              : settingWords.roundTripMs(asked, measured)
          ),
      ],
      [
        settingWords.encryption(title),
        (arm) => legsOf(arm).map(({ tls }) => tls.inForce ?? settingWords.noEncryption),
      ],
    ];
  });
  return [
    ...byLeg,
    [
      settingWords.networkMethod,
      (arm) => arm.manifests.flatMap(({ network }) => network?.method ?? []),
    ],
  ];
}

/** What apps and servers were given or say themselves, and versions of everything. */
function recordedSettings(manifests: readonly Manifest[]): Setting[] {
  const servers = ["postgres", "pgbouncer"].flatMap((service): Setting[] => {
    const inForce = (manifest: Manifest) => manifest.inputs?.settings?.[service] ?? {};
    return keysOf(manifests, inForce).map((name) => [
      settingWords.inForce(service, name),
      (arm) =>
        arm.manifests.flatMap((manifest) => {
          const value = inForce(manifest)[name];
          return value === undefined ? [] : describeInForce(name, value, manifest.ownConnections);
        }),
    ]);
  });
  return [
    ...keysOf(manifests, ({ appOptions }) => appOptions).map((name): Setting => [
      name,
      (arm) => arm.manifests.flatMap(({ appOptions }) => appOptions[name] ?? []),
    ]),
    ...servers,
    ...keysOf(manifests, ({ versions }) => versions).map((name): Setting => [
      settingWords.version(name),
      (arm) => arm.manifests.flatMap(({ versions }) => versions[name] ?? []),
    ]),
  ];
}

/** The rows of a setting: one for each of its values, with the arms that have it. */
function settingRows([name, valuesOf]: Setting, arms: readonly ArmRecords[]): CellValue[][] {
  return [...Map.groupBy(arms, (arm) => distinct(valuesOf(arm)))].flatMap(([value, having]) => {
    if (value === "") return [];
    const all = having.length === arms.length;
    return [[name, all ? settingWords.allArms : having.map(({ arm }) => arm).join("; "), value]];
  });
}

/** What holds for the study as a whole. */
function studyRows({ context, plan, manifests }: Study): CellValue[][] {
  const settings: [name: string, values: string[]][] = [
    [settingWords.engine, context.engines],
    [settingWords.durations, [settingWords.seconds(plan.warmUpS, plan.windowS)]],
    [
      settingWords.host,
      manifests.map(({ host: { cpus, cpuModel, memoryMiB, kernel } }) =>
        settingWords.machine(cpus, cpuModel, memoryMiB, kernel)
      ),
    ],
    [
      settingWords.cores,
      context.cpuSets.length > 0
        ? context.cpuSets
        : manifests.map(({ host }) => settingWords.sharedCores(host.cpus)),
    ],
    [settingWords.commit, manifests.map(({ gitCommit }) => gitCommit ?? settingWords.outsideGit)],
    [settingWords.limitsWarning, context.limitsWarnings],
  ];
  return settings.flatMap(([name, values]) =>
    values.length === 0 ? [] : [[name, settingWords.allArms, distinct(values)]]
  );
}

/**
 * The settings in force: those of the scenarios by arm, the limits asked for and read back, what
 * the app was given, and versions of everything.
 *
 * @param study The study.
 */
export function settingsTable(study: Study): Table {
  const { scenarios, manifests } = study;
  const arms = [...Map.groupBy(scenarios, ({ arm }) => arm)].map(([arm, own]): ArmRecords => {
    const ids = new Set(own.map(({ scenarioId }) => scenarioId));
    return {
      arm,
      scenarios: own.map(({ scenario }) => scenario),
      manifests: manifests.filter(({ scenarioId }) => ids.has(scenarioId)),
    };
  });
  const settings = [
    ...scenarioSettings(scenarios.map(({ scenario }) => scenario)),
    ...limitSettings(manifests),
    ...networkSettings(),
    ...recordedSettings(manifests),
  ];
  return new Table(
    settingWords.caption(study.name),
    [left(heading.setting), left(heading.arms), left(heading.value)],
    [...settings.flatMap((setting) => settingRows(setting, arms)), ...studyRows(study)],
  );
}
