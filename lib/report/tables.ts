/**
 * The tables of a study.
 *
 * @module
 */

import { connectionBudget, describeInForce } from "../connections.ts";
import {
  formatInterval,
  formatList,
  formatNumber,
  formatPercent,
  formatRatio,
  formatRatioEnd,
  formatSlowdown,
} from "../wording/format.ts";
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
import type { LegInForce, Manifest } from "../store/manifest.ts";
import { checkNotice, checkTable } from "./check.ts";
import { type CellValue, Table, type TableColumn } from "./display.ts";
import { describeStatus } from "./status.ts";
import type { Study } from "./study.ts";

const right = (header: string) => ({ header, align: "right" as const });
const left = (header: string) => ({ header });

/** The stamp of a functional check, for captions and headings; empty otherwise. */
export function checkStamp(study: Pick<Study, "context">): string {
  return study.context.functionalCheck ? "Functional check only, no conclusion: " : "";
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
  return rps === null ? null : `(${formatNumber(rps)})`;
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
      estimate === null
        ? null
        : (isLowerBound(scenario, percent) ? "≥ " : "") + formatNumber(estimate.value);
    return [
      appTitle(scenario.framework) + armSettings(scenario),
      scenario.path,
      scenario.scenario.reuse,
      levelLabel(scenario),
      scenario.rps === null ? inBrackets(scenario) : shown(scenario.rps),
      scenario.rps === null ? null : formatInterval(scenario.rps) || "one run",
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
    `Every scenario of ${study.name}; ${study.context.database}; percentiles of the ${
      latencyName(study.scenarios)
    }, ${describeLoop(study.scenarios)}`,
    [
      left("framework"),
      left("path"),
      left("reuse"),
      right("load"),
      right("RPS"),
      right("95% interval"),
      right("CV"),
      right("P50 ms"),
      right("P95 ms"),
      right("P99 ms"),
      ...(far ? [right("P99.9 ms")] : []),
      ...(open ? [right("service P95 ms"), right("late"), right("dropped")] : []),
      right("failures/s"),
      right("error rate"),
      right("n"),
      left("status"),
    ],
    rows,
    failed,
  );
}

/** A verdict on a ratio in words. */
function verdictWords(pair: ThroughputRatio, higher: string, lower: string): string {
  const verdict = verdictOf(pair);
  switch (verdict) {
    case "higher":
      return higher;
    case "lower":
      return lower;
    case "open":
      return "not decided yet";
    case "single":
      return "one run decides nothing";
    case "none":
      return pair.missing ?? "no ratio";
    case "indistinguishable":
      return verdict;
  }
}

/** What stands in every table of ratios: ratio, interval, rounds, verdict and what could be found. */
function ratioCells(
  pair: ThroughputRatio,
  higher: string,
  lower: string,
): CellValue[] {
  return [
    shown(pair.ratio, formatRatio),
    pair.ratio === null ? null : formatInterval(pair.ratio, formatRatioEnd) || "one run",
    pair.n,
    verdictWords(pair, higher, lower),
    pair.detectable === null ? null : formatSlowdown(pair.detectable),
  ];
}

const RATIO_COLUMNS: TableColumn[] = [
  right("ratio"),
  right("95% interval"),
  right("rounds"),
  left("verdict"),
  right("detectable slowdown"),
];

/** What the columns of ratios hold, for those who have not read the prose. */
function describeColumns({ context: { comparisons } }: Study): string {
  const intervals = comparisons > 1
    ? `intervals are simultaneous over ${comparisons} comparisons`
    : "95% t intervals";
  return `paired by round; ${intervals}; a detectable slowdown is found in 90% of studies like this`;
}

/**
 * Pooled over direct throughput for each pair: ratio, simultaneous interval, rounds spent, verdict,
 * and the least slowdown that would have been found.
 *
 * @param study The study.
 */
export function ratioTable(study: Study): Table {
  const columns = [
    left("framework"),
    left("reuse"),
    right("load"),
    ...RATIO_COLUMNS,
    left("settings that differ"),
  ];
  return checkNotice(study, "throughput", columns) ?? new Table(
    `Pooled over direct throughput, ${describeColumns(study)}`,
    columns,
    study.ratios.map((pair) => [
      pair.label,
      pair.reuse,
      levelLabel(pair),
      ...ratioCells(pair, "pooled faster", "direct faster"),
      pair.differences.length === 0 ? "none" : formatList(pair.differences),
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
    left("arm"),
    left("over"),
    right("load"),
    ...RATIO_COLUMNS,
    left("settings that differ"),
  ];
  return checkNotice(study, "throughput", columns) ?? new Table(
    study.armRatios.length === 0
      ? "No arm ran twice or with other settings"
      : `Throughput of one arm over another, ${describeColumns(study)}`,
    columns,
    study.armRatios.map((pair) => [
      pair.otherArm,
      pair.baseArm,
      levelLabel(pair),
      ...ratioCells(pair, "faster", "slower"),
      pair.kind === "replica" ? "none: the same twice" : formatList(pair.differences),
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
        answered === 0 ? "no answer" : formatPercent(failures / answered),
        shortCause({ scenario: scenario.scenario, cause }),
      ]);
    }
  }
  const planned = study.runs.length + study.missing.length;
  const missing = study.missing.length === 0 ? "" : `; ${study.missing.length} not run yet`;
  return new Table(
    rows.length === 0
      ? `No run failed: ${study.runs.length} of ${planned} runs complete${missing}`
      : `What failed, and why${missing}`,
    [left("arm"), right("load"), left("rounds"), right("error rate"), left("cause")],
    rows,
    new Set(rows.keys()),
  );
}

/** What names a scenario, and is no setting of its arm. */
const NAMED_KEYS: ScenarioKey[] = ["framework", "path", "users", "arrivalRate", "replica"];

function show(value: Scenario[ScenarioKey] | undefined): string {
  // A study that is older than the setting.
  if (value === undefined) return "";
  if (value === null) return "no limit";
  return typeof value === "boolean" ? (value ? "on" : "off") : String(value);
}

/** Whether a setting acts in a scenario: PgBouncer's own are no part of a direct one's id. */
function acts(scenario: Scenario, key: ScenarioKey): boolean {
  // The default client is no part of an id, and sends the requests all the same.
  return key === "client" ||
    scenarioId({ ...scenario, [key]: undefined }) !== scenarioId(scenario);
}

/**
 * The settings in force: those of the scenarios by arm, the limits asked for and read back, what
 * the app was given, and versions of everything.
 *
 * @param study The study.
 */
export function settingsTable(study: Study): Table {
  const arms = [...new Set(study.scenarios.map((scenario) => scenario.arm))];
  const rows: CellValue[][] = [];
  const add = (setting: string, byArm: (arm: string) => string) => {
    const values = arms.map(byArm);
    if (values.every((value) => value === "")) return;
    const same = new Set(values).size === 1;
    if (same) rows.push([setting, "all arms", values[0]!]);
    else {
      for (const value of new Set(values)) {
        const having = arms.filter((_, i) => values[i] === value);
        if (value !== "") rows.push([setting, having.join("; "), value]);
      }
    }
  };
  const scenariosOf = (arm: string) =>
    study.scenarios.filter((s) => s.arm === arm).map((s) => s.scenario);
  const manifestsOf = (arm: string) => {
    const ids = new Set(study.scenarios.filter((s) => s.arm === arm).map((s) => s.scenarioId));
    return study.manifests.filter((manifest) => ids.has(manifest.scenarioId));
  };
  const distinct = (values: string[]) => [...new Set(values)].join(" or ");

  for (const key of scenarioKeys(study.scenarios.map(({ scenario }) => scenario))) {
    if (NAMED_KEYS.includes(key)) continue;
    add(key, (arm) =>
      distinct(
        scenariosOf(arm).filter((scenario) => acts(scenario, key)).map((scenario) =>
          show(scenario[key])
        ),
      ));
  }
  add("app", (arm) => distinct(scenariosOf(arm).flatMap((one) => appStack(one.framework) ?? [])));
  add("connections the app may open", (arm) =>
    distinct(
      scenariosOf(arm).map((scenario) => {
        const budget = connectionBudget(scenario);
        return Number.isFinite(budget) ? String(budget) : "one for each request";
      }),
    ));
  const services = new Set(study.manifests.flatMap(({ limits }) => Object.keys(limits)));
  for (const service of services) {
    add(
      `${service} limits, asked for → in force`,
      (arm) =>
        distinct(
          manifestsOf(arm).flatMap(({ limits }) => {
            const own = limits[service];
            return own === undefined
              ? []
              : [`${describeLimits(own.asked)} → ${describeLimits(own.readBack)}`];
          }),
        ),
    );
  }
  for (const [leg, title] of Object.entries(LEG_TITLES)) {
    const seen = (arm: string, show: (leg: LegInForce) => string) =>
      distinct(
        manifestsOf(arm).flatMap(({ network }) => {
          const own = network?.legs[leg as Leg["name"]];
          return own === undefined ? [] : [show(own)];
        }),
      );
    add(
      `${title}: round-trip time, asked for → measured`,
      (arm) =>
        seen(
          arm,
          ({ rttMs: { asked, measured } }) =>
            measured === null ? "nothing in between" : `${asked} ms → ${formatNumber(measured)} ms`,
        ),
    );
    add(`${title}: encryption in force`, (arm) => seen(arm, ({ tls }) => tls.inForce ?? "none"));
  }
  add(
    "round-trip times made by",
    (arm) => distinct(manifestsOf(arm).flatMap(({ network }) => network?.method ?? [])),
  );
  const variables = new Set(study.manifests.flatMap((m) => Object.keys(m.appOptions)));
  for (const name of variables) {
    add(name, (arm) => distinct(manifestsOf(arm).flatMap((m) => m.appOptions[name] ?? [])));
  }
  for (const service of ["postgres", "pgbouncer"]) {
    const inForce = (manifest: Manifest) => manifest.inputs?.settings?.[service] ?? {};
    for (const name of new Set(study.manifests.flatMap((m) => Object.keys(inForce(m))))) {
      const shown = (manifest: Manifest) => {
        const value = inForce(manifest)[name];
        return value === undefined ? [] : describeInForce(name, value, manifest.ownConnections);
      };
      add(`${service} ${name}, in force`, (arm) => distinct(manifestsOf(arm).flatMap(shown)));
    }
  }
  const software = new Set(study.manifests.flatMap(({ versions }) => Object.keys(versions)));
  for (const name of software) {
    add(
      `${name} version`,
      (arm) => distinct(manifestsOf(arm).flatMap((m) => m.versions[name] ?? [])),
    );
  }
  for (
    const [setting, values] of Object.entries({
      engine: study.context.engines,
      "warm-up and window": [`${study.plan.warmUpS} s and ${study.plan.windowS} s`],
      "host": study.manifests.map(({ host }) =>
        `${host.cpus} × ${host.cpuModel}, ${host.memoryMiB} MiB, Linux ${host.kernel}`
      ),
      "cores of each service": study.context.cpuSets.length > 0
        ? study.context.cpuSets
        : study.manifests.map(({ host }) => `all share the host's ${host.cpus}`),
      "git commit": study.manifests.map(({ gitCommit }) => gitCommit ?? "outside git"),
      "limits warning": study.context.limitsWarnings,
    })
  ) {
    if (values.length > 0) rows.push([setting, "all arms", distinct(values)]);
  }
  return new Table(
    `Settings in force in ${study.name}`,
    [left("setting"), left("arms"), left("value")],
    rows,
  );
}
