/**
 * What every caption and every conclusion must say beside its numbers.
 *
 * @module
 */

import type { Plan } from "../plan.ts";
import { type Leg, legsOf } from "../scenario.ts";
import type { Limits, Manifest } from "../store/manifest.ts";
import { pairScenarios } from "./comparisons.ts";

/** The circumstances of a study. */
export interface StudyContext {
  /** The plan's name. */
  plan: string;
  /** True when the plan is too short to conclude anything. */
  functionalCheck: boolean;
  /** Rounds planned. */
  rounds: number;
  /** Comparisons of throughput that the study makes; every verdict is corrected for all of them. */
  comparisons: number;
  /** Length of the measurement window in seconds. */
  windowS: number;
  /** The database's limits in force, for example `database: 0.5 CPU, 512 MiB`. */
  database: string;
  /** Round-trip times and encryption between the services; null when there is neither. */
  network: string | null;
  /** Warnings of the runs about limits that could not be set. */
  limitsWarnings: string[];
  /** Cores of the machine, shared by generator, app and database; null before the first run. */
  cores: number | null;
  /** The cores that each service had for itself, a text for each division; empty: they share all. */
  cpuSets: string[];
  /** The engines that ran it. */
  engines: string[];
}

/** A limit in words: `0.5 CPU, 512 MiB`, or `no limit`. */
export function describeLimits(limits: Limits): string {
  const parts = [
    limits.cpus === null ? [] : [`${limits.cpus}\u00a0CPU`],
    limits.memoryMiB === null ? [] : [`${limits.memoryMiB}\u00a0MiB`],
  ].flat();
  return parts.length === 0 ? "no limit" : parts.join(", ");
}

function describeDatabase(plan: Plan, manifests: readonly Manifest[]): string {
  const inForce = new Set<string>();
  let unmet = false;
  for (const { limits } of manifests) {
    const database = limits.postgres;
    if (database === undefined) continue;
    inForce.add(describeLimits(database.readBack));
    unmet ||= (database.asked.cpus !== null && database.readBack.cpus === null) ||
      (database.asked.memoryMiB !== null && database.readBack.memoryMiB === null);
  }
  const asked = new Set(
    plan.scenarios.map((s) => describeLimits({ cpus: s.dbCpus, memoryMiB: s.dbMemoryMiB })),
  );
  if (inForce.size === 0) return `database: ${[...asked].join(" or ")} asked for, not read back`;
  const text = `database: ${[...inForce].join(" or ")}`;
  return unmet ? `${text} (${[...asked].join(" or ")} asked for, not in force)` : text;
}

/** The legs for people. */
export const LEG_TITLES: Record<Leg["name"], string> = {
  appDb: "app to PostgreSQL",
  appPgbouncer: "app to PgBouncer",
  pgbouncerDb: "PgBouncer to PostgreSQL",
};

/** The settings of the network that are not those of a bare machine. */
function describeNetwork(plan: Plan): string | null {
  const legs = plan.scenarios.flatMap(legsOf);
  const names = (Object.keys(LEG_TITLES) as Leg["name"][])
    .filter((name) => legs.some((leg) => leg.name === name));
  const times = names.flatMap((name) => {
    const own = [...new Set(legs.filter((leg) => leg.name === name).map((leg) => leg.rttMs))]
      .sort((a, b) => a - b);
    return own.some((ms) => ms > 0) ? [`${LEG_TITLES[name]} ${own.join(" or ")}\u00a0ms`] : [];
  });
  const encrypted = names.flatMap((name) => {
    const own = legs.filter((leg) => leg.name === name);
    if (!own.some((leg) => leg.tls)) return [];
    return [`TLS${own.every((leg) => leg.tls) ? "" : " in some arms"} from ${LEG_TITLES[name]}`];
  });
  const parts = [
    times.length === 0 ? [] : [`round-trip time ${times.join(", ")}`],
    legs.every((leg) => leg.tls) ? ["TLS on every connection"] : encrypted,
  ].flat();
  return parts.length === 0 ? null : parts.join("; ");
}

/** Who has which cores, in words; nothing when any of the runs shared them. */
function describeCpuSets(manifests: readonly Manifest[]): string[] {
  const titles = { locust: "generator", app: "app", pgbouncer: "PgBouncer", postgres: "database" };
  const texts = new Set<string>();
  for (const { cpuSets } of manifests) {
    // Manifests of earlier versions have no such field: their services shared all cores.
    if (cpuSets == null) return [];
    // A direct run has no PgBouncer, whose core stays free.
    const known = Object.entries(titles).filter(([name]) => cpuSets[name] !== undefined);
    texts.add(known.map(([name, title]) => `${title} ${cpuSets[name]}`).join(", "));
  }
  return [...texts];
}

/**
 * Gathers the circumstances of a study from its plan and the manifests of its runs.
 *
 * @param plan The frozen plan.
 * @param manifests The manifests that there are.
 */
export function studyContext(plan: Plan, manifests: readonly Manifest[]): StudyContext {
  const distinct = <T>(values: (T | null)[]) =>
    [...new Set(values)].filter((value): value is T => value !== null);
  return {
    plan: plan.name,
    functionalCheck: plan.functionalCheck,
    rounds: plan.rounds,
    comparisons: pairScenarios(plan.scenarios).length,
    windowS: plan.windowS,
    database: describeDatabase(plan, manifests),
    network: describeNetwork(plan),
    limitsWarnings: distinct(manifests.map((manifest) => manifest.limitsWarning)),
    cores: manifests[0]?.host.cpus ?? null,
    cpuSets: describeCpuSets(manifests),
    engines: distinct(manifests.map((manifest) => manifest.engine)),
  };
}
