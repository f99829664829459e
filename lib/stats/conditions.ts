/**
 * The circumstances of a run's window: whether it was steady, what generator and machine did
 * meanwhile, and what the kernel counted. They are what gates look at.
 *
 * @module
 */

import type { DataFrame } from "nodejs-polars";
import { polars } from "../frames/polars.ts";
import type { FinalAccount, Manifest, TcpCounts } from "../store/manifest.ts";
import { checkAllServed, checkLittlesLaw, type LittlesLaw } from "./littles_law.ts";
import { meanServiceS, windowSeries } from "./series.ts";
import { checkSteadyState, STEADY_PARTS, type SteadyState } from "./steady_state.ts";
import type { Window, WindowCut } from "./window.ts";

/** With fewer of its users running when a window begins, the ramp goes on in it. */
export const MIN_USERS = 0.995;

/** The load generator over the window. */
export interface GeneratorConditions {
  /** CPU in use by its busiest process, in cores; one process uses at most one. */
  busiest: number;
  /** CPU in use by all of its processes, in cores. */
  cores: number;
  /** How late its event loop ran what was due: mean and largest, in milliseconds. */
  lagMeanMs: number;
  lagMaxMs: number;
  /** Users that ran when the window began. */
  users: number;
  /** Connections opened over the window; null where that was not recorded. */
  connections: number | null;
}

/** The machine over the window; times are shares of all its cores' time, 0 to 1. */
export interface HostConditions {
  cores: number;
  busy: number;
  /** Given to others by the hypervisor. */
  stolen: number;
  /** Used by other processes. */
  others: number;
}

/** A service over the window. */
export interface ServiceConditions {
  /** `postgres`, `pgbouncer`, `app`, `network` or `locust`. */
  service: string;
  /** Cores in use. */
  cores: number;
  /** Its CPU quota in cores, as read back; null without one. */
  quota: number | null;
  /** Seconds per second in which its quota held it back; above 1 where it did so on several cores. */
  throttled: number;
}

/** What is known of a run beside its requests; null for what was not recorded. */
export interface RunConditions {
  /** Whether every check before the load held; null where that is not known. */
  verified: boolean | null;
  /** Whether throughput and service time were steady; null without a window. */
  steady: SteadyState | null;
  /** Correct answers per second in each of `STEADY_PARTS` parts; empty without a window. */
  rates: readonly number[];
  /** Little's law; null in an open loop, without a window, and while the ramp lasts. */
  littlesLaw: LittlesLaw | null;
  /** Whether the users of the app's own locustfile sent the requests, who think for as long as they do. */
  ownUsers: boolean;
  generator: GeneratorConditions | null;
  host: HostConditions | null;
  /** In the order of `resources.csv`; empty when that was not recorded. */
  services: ServiceConditions[];
  /** What the kernel counted from the window's begin to its end. */
  tcp: TcpCounts | null;
  /** Requests of the window whose connection ended before their answer. */
  lostConnections: number;
  /** What its files say against each other; null when they agree. */
  disagreement: string | null;
}

/** What is known of a run that has no window. */
export const NO_CONDITIONS: RunConditions = {
  verified: null,
  rates: [],
  steady: null,
  littlesLaw: null,
  ownUsers: false,
  generator: null,
  host: null,
  services: [],
  tcp: null,
  lostConnections: 0,
  disagreement: null,
};

/** A run's files beside its requests; null for one that is missing or damaged. */
export interface RunSources {
  final: FinalAccount | null;
  /** A frame of `readResources`. */
  resources: DataFrame | null;
}

/** A mean of a uniform think time. */
function thinkS({ scenario }: Pick<Manifest, "scenario">): number {
  return (scenario.thinkTimeMinS + scenario.thinkTimeMaxS) / 2;
}

/** What requests end with whose connection the service closed or reset. */
const LOST = ["connection closed", "ConnectionResetError", "BrokenPipeError"];

function countLost(requests: DataFrame, { startUs, endUs }: Window): number {
  const { col, lit } = polars();
  const endedUs = col("start_us").add(col("service_us"));
  return requests
    .filter(col("error").isIn(LOST).and(endedUs.gtEq(lit(startUs))).and(endedUs.lt(lit(endUs))))
    .height;
}

/** Requests that were sent before the window and had no answer at its end. */
function countWaiting(requests: DataFrame, { startUs }: Window): number {
  const { col, lit } = polars();
  const waiting = col("error").eq(lit("unfinished")).and(col("start_us").lt(lit(startUs)));
  return requests.filter(waiting).height;
}

/**
 * The circumstances of a window.
 *
 * @param manifest The run's manifest.
 * @param requests Its requests.
 * @param cut The same, cut to the window.
 * @param window Its window.
 * @param sources Its other files.
 */
export function runConditions(
  manifest: Manifest,
  requests: DataFrame,
  cut: WindowCut,
  window: Window,
  { final, resources }: RunSources,
): RunConditions {
  const lengthS = (window.endUs - window.startUs) / 1e6;
  const series = windowSeries(cut, window, STEADY_PARTS);
  const generator = final && generatorOf(final, lengthS);
  const { users } = manifest.scenario;
  // While users are still being started, there is no number of them that the law could be about.
  const whole = users !== null && generator !== null && generator.users >= MIN_USERS * users;
  const ownUsers = manifest.ownLocustfile === true;
  const services = resources === null ? [] : servicesOf(resources, window, manifest.limits);
  return {
    verified: manifest.verification?.ok ?? false,
    steady: checkSteadyState(series),
    rates: series.correct.map((count) => count * STEADY_PARTS / lengthS),
    littlesLaw: !whole
      ? null
      : ownUsers
      ? checkAllServed(users, countWaiting(requests, window))
      : checkLittlesLaw(
        users,
        cut.answeredInWindow / lengthS,
        cut.answeredInWindow === 0 ? 0 : meanServiceS(series),
        thinkS(manifest),
      ),
    ownUsers,
    generator,
    host: resources && hostOf(resources, window, services, manifest.host.cpus),
    services,
    tcp: manifest.tcp ?? null,
    lostConnections: cut.failed.length === 0 ? 0 : countLost(requests, window),
    disagreement: null,
  };
}

function generatorOf(final: FinalAccount, lengthS: number): GeneratorConditions {
  return {
    busiest: Math.max(...final.processes.map(({ cpuS }) => cpuS)) / lengthS,
    cores: final.cpuS / lengthS,
    lagMeanMs: final.loopLagMeanMs,
    lagMaxMs: final.loopLagMaxMs,
    users: final.usersAtWindowStart,
    connections: final.connections ?? null,
  };
}

interface Sample {
  timeUs: number;
  cpuS: number;
  throttledS: number;
}

/** The samples of each service, in order of time. */
function samplesOf(resources: DataFrame): Map<string, Sample[]> {
  type Row = { time_us: number; service: string; cpu_s: number | null; throttled_s: number | null };
  const samples = new Map<string, Sample[]>();
  for (const row of resources.toRecords() as Row[]) {
    if (row.cpu_s === null) continue;
    const own = samples.get(row.service) ?? [];
    own.push({ timeUs: Number(row.time_us), cpuS: row.cpu_s, throttledS: row.throttled_s ?? 0 });
    samples.set(row.service, own);
  }
  return samples;
}

/** A cumulative counter at a moment, between two samples in proportion. */
function at(samples: readonly Sample[], timeUs: number): Sample {
  const next = samples.findIndex((sample) => sample.timeUs >= timeUs);
  if (next === 0) return samples[0]!;
  if (next < 0) return samples.at(-1)!;
  const [a, b] = [samples[next - 1]!, samples[next]!];
  const share = (timeUs - a.timeUs) / (b.timeUs - a.timeUs);
  const between = (x: number, y: number) => x + share * (y - x);
  return {
    timeUs,
    cpuS: between(a.cpuS, b.cpuS),
    throttledS: between(a.throttledS, b.throttledS),
  };
}

/** Growth per second over the window; null with too few samples. */
function growth(samples: readonly Sample[], { startUs, endUs }: Window) {
  if (samples.length < 2) return null;
  const [from, to] = [at(samples, startUs), at(samples, endUs)];
  const seconds = (to.timeUs - from.timeUs) / 1e6;
  if (seconds <= 0) return null;
  return {
    cores: Math.max(0, to.cpuS - from.cpuS) / seconds,
    throttled: Math.max(0, to.throttledS - from.throttledS) / seconds,
  };
}

const HOST = "host";

function servicesOf(
  resources: DataFrame,
  window: Window,
  limits: Manifest["limits"],
): ServiceConditions[] {
  return [...samplesOf(resources)].flatMap(([service, samples]) => {
    const used = service === HOST ? null : growth(samples, window);
    const quota = limits[service]?.readBack.cpus ?? null;
    return used === null ? [] : [{ service, quota, ...used }];
  });
}

function hostOf(
  resources: DataFrame,
  window: Window,
  services: readonly ServiceConditions[],
  cores: number,
): HostConditions | null {
  const used = growth(samplesOf(resources).get(HOST) ?? [], window);
  if (used === null) return null;
  const own = services.reduce((total, service) => total + service.cores, 0);
  return {
    cores,
    busy: used.cores / cores,
    stolen: used.throttled / cores,
    others: Math.max(0, used.cores - own) / cores,
  };
}
