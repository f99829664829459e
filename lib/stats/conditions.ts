/** The circumstances of a run's window, which gates look at. */

import type { DataFrame } from "nodejs-polars";
import { OUTCOMES } from "../frames/columns.ts";
import { polars } from "../frames/polars.ts";
import type { FinalAccount, Manifest, TcpCounts } from "../store/manifest.ts";
import type { IdleUse } from "./alternation.ts";
import { growthWithin, resourceRows } from "./readings.ts";
import {
  checkAllServed,
  checkLittlesLaw,
  checkSteadyState,
  type LittlesLaw,
  STEADY_PARTS,
  type SteadyState,
} from "./steady_state.ts";
import {
  meanServiceS,
  type Turn,
  type Window,
  type WindowCut,
  type WindowSeries,
  windowSeries,
} from "./window.ts";

/** With fewer of its users running when a window begins, the ramp goes on in it. */
export const MIN_USERS = 0.995;

/** What is known of a run beside its requests; null for what was not recorded. */
export type RunConditions = typeof NO_CONDITIONS;

export const NO_CONDITIONS = {
  /** Whether every check before the load held; null where that is not known. */
  verified: null as boolean | null,
  /** Correct answers per second in each of `STEADY_PARTS` parts; empty without a window. */
  rates: [] as readonly number[],
  /** Whether throughput and service time were steady; null without a window. */
  steady: null as SteadyState | null,
  /** Little's law; null in an open loop, without a window, and while the ramp lasts. */
  littlesLaw: null as LittlesLaw | null,
  /** Whether the users of the app's own locustfile sent the requests. */
  ownUsers: false,
  generator: null as GeneratorConditions | null,
  host: null as HostConditions | null,
  /** In the order of `resources.csv`; empty when that was not recorded. */
  services: [] as ServiceConditions[],
  /** What its services used of the CPU in the others' turns; null in the consecutive design. */
  idle: null as IdleUse | null,
  /** Blocks that are left out, as another program took the machine in them. */
  leftOut: 0,
  /** What the kernel counted from the window's begin to its end. */
  tcp: null as TcpCounts | null,
  /** Requests of the window whose connection ended before their answer. */
  lostConnections: 0,
  /** What its files say against each other; null when they agree. */
  disagreement: null as string | null,
};

/** A run's files beside its requests; null for one that is missing or damaged. */
export interface RunSources {
  final: FinalAccount | null;
  resources: DataFrame | null;
  /** The run's turns in own time; null where it was loaded all the time. */
  turns: readonly Turn[] | null;
  idle: IdleUse | null;
  /** Its turns that are left out of `turns`. */
  leftOut: number;
  /**
   * The share of all cores' time that others used in its blocks; null where not all of the start's files
   * tell. @default where it was loaded all the time, what its own services did not use
   */
  others?: number | null;
}

export function runConditions(
  { scenario, ownLocustfile, limits, host, tcp, verification }: Manifest,
  requests: DataFrame,
  cut: WindowCut,
  { final, resources, idle, leftOut, others }: RunSources,
): RunConditions {
  const { window, windowS, counted } = cut;
  const series = windowSeries(cut, STEADY_PARTS);
  const generator = final && generatorOf(final);
  const { users, thinkTimeMinS, thinkTimeMaxS } = scenario;
  // While users are still being started, there is no number of them that the law could be about.
  const whole = users !== null && generator !== null && generator.users >= MIN_USERS * users;
  const ownUsers = ownLocustfile === true;
  const usages = resources === null ? [] : usagesOf(resources, window, limits);
  return {
    verified: verification?.ok ?? false,
    steady: steadyState(cut, series),
    rates: series.correct.map((count) => count * STEADY_PARTS / windowS),
    littlesLaw: !whole
      ? null
      : ownUsers
      ? checkAllServed(users, countWaiting(cut))
      : checkLittlesLaw(
        users,
        counted.answered / counted.seconds,
        // By what was in flight in turns: a service that answers some users again and again, and lets
        // others wait for whole turns, has service times of which few are of those who wait.
        counted.answered === 0
          ? 0
          : counted.inFlightS === null
          ? meanServiceS(series)
          : counted.inFlightS / counted.answered,
        (thinkTimeMinS + thinkTimeMaxS) / 2,
      ),
    ownUsers,
    generator,
    host: hostOf(usages, host.cpus, others),
    services: usages.filter(({ service }) => service !== HOST),
    idle,
    leftOut,
    tcp: tcp ?? null,
    lostConnections: cut.failed.length === 0 ? 0 : countLost(requests, window),
    disagreement: null,
  };
}

/** Fewer turns than this show no trend. */
const MIN_TURNS = 10;

/** By parts of the window, or by the turns where there are some; null where these are too few. */
function steadyState({ turns }: WindowCut, series: WindowSeries): SteadyState | null {
  if (turns === null) return checkSteadyState(series);
  if (turns.length < MIN_TURNS) return null;
  return checkSteadyState({
    completed: turns.map(({ rps }) => rps),
    serviceMs: turns.map(({ serviceMs }) => serviceMs),
  });
}

/** How requests end whose connection the service closed or reset. */
const LOST = ["connection closed", "ConnectionResetError", "BrokenPipeError"];

function countLost(requests: DataFrame, { startUs, endUs }: Window): number {
  const { col, lit } = polars();
  const endedUs = col("start_us").add(col("service_us"));
  return requests
    .filter(col("error").isIn(LOST).and(endedUs.gtEq(lit(startUs))).and(endedUs.lt(lit(endUs))))
    .height;
}

/** Requests that were sent before the window and had no answer at its end. */
function countWaiting({ requests: { outcome, startUs }, window }: WindowCut): number {
  let count = 0;
  outcome.forEach((kind, i) => {
    if (kind === OUTCOMES.unfinished && startUs[i]! < window.startUs) count++;
  });
  return count;
}

export type GeneratorConditions = ReturnType<typeof generatorOf>;

function generatorOf(final: FinalAccount) {
  // Accounts of earlier versions are of the whole window, by the clock.
  const windowS = final.meteredS || (final.windowEndUs - final.windowStartUs) / 1e6;
  return {
    /** CPU in use by its busiest process, in cores; one process uses at most one. */
    busiest: Math.max(...final.processes.map(({ cpuS }) => cpuS)) / windowS,
    cores: final.cpuS / windowS,
    lagMeanMs: final.loopLagMeanMs,
    lagMaxMs: final.loopLagMaxMs,
    users: final.usersAtWindowStart,
    connections: final.connections ?? null,
  };
}

const HOST = "host";

export type ServiceConditions = ReturnType<typeof usagesOf>[number];

function usagesOf(resources: DataFrame, window: Window, limits: Manifest["limits"]) {
  const rows = resourceRows(resources).filter(({ cpu_s }) => cpu_s !== null);
  return [...Map.groupBy(rows, ({ service }) => service)].flatMap(([service, own]) => {
    const timesUs = own.map(({ time_us }) => Number(time_us));
    const fromUs = Math.max(window.startUs, timesUs[0]!);
    const seconds = (Math.min(window.endUs, timesUs.at(-1)!) - fromUs) / 1e6;
    if (seconds <= 0) return [];
    const perSecond = (column: "cpu_s" | "throttled_s") => {
      const values = own.map((row) => row[column] ?? 0);
      return Math.max(0, growthWithin({ timesUs, values }, window)) / seconds;
    };
    return [{
      /** `postgres`, `pgbouncer`, `app`, `network`, `locust` or, for the machine, `host`. */
      service,
      cores: perSecond("cpu_s"),
      quota: limits[service]?.readBack.cpus ?? null,
      /** Seconds per second in which its quota held it back; above 1 where it did so on several cores. */
      throttled: perSecond("throttled_s"),
    }];
  });
}

/** The machine over the window; times are shares of all its cores' time, 0 to 1. */
export type HostConditions = NonNullable<ReturnType<typeof hostOf>>;

function hostOf(
  usages: readonly ServiceConditions[],
  cores: number,
  others: RunSources["others"],
) {
  const used = usages.find(({ service }) => service === HOST);
  if (used === undefined) return null;
  const own = usages.reduce((sum, usage) => usage === used ? sum : sum + usage.cores, 0);
  return {
    cores,
    busy: used.cores / cores,
    /** Given to others by the hypervisor. */
    stolen: used.throttled / cores,
    /**
     * Used by other processes; null where that is not known. Readings are as long as slices: what they
     * have of others' turns would be taken for it.
     */
    others: others === undefined ? Math.max(0, used.cores - own) / cores : others,
  };
}
