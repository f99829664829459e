/** What every caption and every conclusion must say beside its numbers. */

import { LEAST_WARM_UP_S, type Plan } from "../plan.ts";
import { type Leg, legsOf } from "../scenario.ts";
import type { Limits, Manifest, ServiceLimits } from "../store/manifest.ts";
import { pairScenarios } from "./comparisons.ts";

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** A limit in words: `0.5 CPU, 512 MiB`, or `no limit`. */
export function describeLimits({ cpus, memoryMiB }: Limits): string {
  const parts = Object.entries({ CPU: cpus, MiB: memoryMiB })
    .flatMap(([unit, value]) => value === null ? [] : `${value}\u00a0${unit}`);
  return parts.join(", ") || "no limit";
}

/** Whether a limit that was asked for is not in force. */
export function isUnmet({ asked, readBack }: ServiceLimits): boolean {
  return (["cpus", "memoryMiB"] as const).some((key) =>
    asked[key] !== null && readBack[key] === null
  );
}

function describeDatabase(plan: Plan, manifests: readonly Manifest[]): string {
  const limits = manifests.flatMap((manifest) => manifest.limits.postgres ?? []);
  const list = (all: Limits[]) => distinct(all.map(describeLimits)).join(" or ");
  const asked = list(plan.scenarios.map((s) => ({ cpus: s.dbCpus, memoryMiB: s.dbMemoryMiB })));
  if (limits.length === 0) return `database: ${asked} asked for, not read back`;
  const text = `database: ${list(limits.map(({ readBack }) => readBack))}`;
  return limits.some(isUnmet) ? `${text} (${asked} asked for, not in force)` : text;
}

export const LEG_TITLES: Record<Leg["name"], string> = {
  appDb: "app to PostgreSQL",
  appPgbouncer: "app to PgBouncer",
  pgbouncerDb: "PgBouncer to PostgreSQL",
};

/** The settings of the network that are not those of a bare machine. */
function describeNetwork(plan: Plan): string | null {
  const legs = plan.scenarios.flatMap(legsOf);
  const times: string[] = [];
  const encrypted: string[] = [];
  for (const [name, title] of Object.entries(LEG_TITLES)) {
    const own = legs.filter((leg) => leg.name === name);
    const rtts = distinct(own.map((leg) => leg.rttMs)).sort((a, b) => a - b);
    if (rtts.some((ms) => ms > 0)) times.push(`${title} ${rtts.join(" or ")}\u00a0ms`);
    if (!own.some((leg) => leg.tls)) continue;
    encrypted.push(`TLS${own.every((leg) => leg.tls) ? "" : " in some arms"} from ${title}`);
  }
  const tls = legs.every((leg) => leg.tls) ? ["TLS on every connection"] : encrypted;
  const parts = times.length === 0 ? tls : [`round-trip time ${times.join(", ")}`, ...tls];
  return parts.join("; ") || null;
}

/** Which cores each service has, in words; nothing when any of the runs shared them. */
function describeCpuSets(manifests: readonly Manifest[]): string[] {
  const titles = { locust: "generator", app: "app", pgbouncer: "PgBouncer", postgres: "database" };
  // Manifests of earlier versions have no such field: their services shared all cores.
  if (manifests.some(({ cpuSets }) => cpuSets == null)) return [];
  return distinct(manifests.map(({ cpuSets }) =>
    // A direct run has no PgBouncer, whose core stays free.
    Object.entries(titles).filter(([name]) => cpuSets![name] !== undefined)
      .map(([name, title]) => `${title} ${cpuSets![name]}`).join(", ")
  ));
}

/** How arms that stand side by side were loaded in turn. */
export interface Turns {
  /** Seconds of a slice; more where an arm's service time asks for it. */
  sliceS: number;
  /** Seconds of each arm's warm-up; more where it is not steady by then. */
  warmUpS: number;
  /** Starts of which a run is there, and those that are planned. */
  starts: number;
  planned: number;
  /** Blocks of each scenario that was run, over all of its starts. */
  blocks: number[];
}

/** Null in the consecutive design, and where what was asked for cannot take turns. */
function turnsOf(
  { design, rounds, windowS, warmUpS }: Plan,
  manifests: readonly Manifest[],
): Turns | null {
  const sliced = manifests.filter(({ slices }) => slices !== undefined);
  if (design !== "alternating" || (manifests.length > 0 && sliced.length === 0)) return null;
  const scenarios = Map.groupBy(sliced, ({ scenarioId }) => scenarioId);
  return {
    sliceS: windowS,
    warmUpS: Math.max(LEAST_WARM_UP_S, warmUpS),
    starts: distinct(sliced.map(({ round }) => round)).length,
    planned: Math.max(rounds, ...sliced.map(({ round }) => round)),
    blocks: [...scenarios.values()]
      .map((own) => own.reduce((sum, { slices }) => sum + slices!, 0)),
  };
}

export type StudyContext = ReturnType<typeof studyContext>;

export function studyContext(plan: Plan, manifests: readonly Manifest[]) {
  const turns = turnsOf(plan, manifests);
  // An arm of an alternating plan that stood alone has had a window, which the plan does not name.
  const { warmUpS, windowS } = turns === null ? manifests[0] ?? plan : plan;
  return {
    plan: plan.name,
    functionalCheck: plan.functionalCheck,
    rounds: plan.rounds,
    /** Comparisons of throughput that the study makes; every verdict is corrected for all of them. */
    comparisons: pairScenarios(plan.scenarios).length,
    warmUpS,
    windowS,
    /** How arms were loaded in turn; null in the consecutive design. */
    turns,
    /** The database's limits in force, for example `database: 0.5 CPU, 512 MiB`. */
    database: describeDatabase(plan, manifests),
    /** Round-trip times and encryption between the services; null when there is neither. */
    network: describeNetwork(plan),
    limitsWarnings: distinct(manifests.flatMap(({ limitsWarning }) => limitsWarning ?? [])),
    /** Cores of the machine, shared by generator, app and database; null before the first run. */
    cores: manifests[0]?.host.cpus ?? null,
    /** The cores that each service had for itself, a text for each division; empty: they share all. */
    cpuSets: describeCpuSets(manifests),
    engines: distinct(manifests.map(({ engine }) => engine)),
  };
}
