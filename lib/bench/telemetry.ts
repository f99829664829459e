/** `deno task bench telemetry`: what the samplers cost the run that they watch. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readApp } from "../apps/app.ts";
import { withConnection } from "../services/database.ts";
import type { RunServices } from "../engine/run_services.ts";
import { parseHostCpu } from "../hosts/linux/proc.ts";
import { PoolscopeError, UsageError } from "../errors.ts";
import { requestColumns } from "../frames/columns.ts";
import { readRequests } from "../frames/run_files.ts";
import { locustCommand } from "../load/locust.ts";
import { convertRequests } from "../load/requests.ts";
import { openEngine } from "../run_study.ts";
import { FRAMEWORKS } from "../plan.ts";
import { createScenario, scenarioId } from "../scenario.ts";
import { percentile } from "../stats/percentile.ts";
import { pairedRatio } from "../stats/interval.ts";
import { ROOT } from "../store/layout.ts";
import { nowUs } from "../telemetry/sample_loop.ts";
import { Sampler } from "../telemetry/sampler.ts";
import { verifyApp } from "../verify/verify.ts";
import { adjustedRatio } from "./adjusted_ratio.ts";
import { coreSpeed, type CoreTimes, CoreWatches } from "./core_speed.ts";
import { benchPython } from "./load.ts";
import type { BenchOptions } from "./options.ts";
import { seededDraws } from "./random.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface TelemetryResult {
  /** Pairs of blocks. */
  pairs: number;
  /**
   * What telemetry takes of throughput, and adds to the 95th percentile, in percent, at equal speed
   * of the machine.
   */
  throughput_cost_pct: number;
  p95_cost_pct: number;
  /** The upper ends of their 95% intervals. */
  throughput_cost_pct_upper: number;
  p95_cost_pct_upper: number;
  /** The same of throughput whatever the machine did meanwhile. */
  raw_throughput_cost_pct: number;
  raw_throughput_cost_pct_upper: number;
  /** By how much the cores were faster with telemetry, in percent, and its 95% interval: chance. */
  speed_change_pct: [value: number, low: number, high: number];
  /** True when the default, shorter set was run. */
  partial?: true;
}

const WARM_UP_S = 5;
/** Of a block, after what was before has died away. */
const SETTLE_S = 0.25;
/**
 * With one reading, a second after the switch. As short as can be: what disturbs a machine lasts, so
 * that the sooner the blocks of a pair follow each other, the more they have it in common.
 */
const BLOCK_S = 1;
/**
 * One that reads and always costs the same: a mix, and what writes leave behind, is noise here. Of
 * those it is the one that costs what the contract's mix costs on average: 430 requests/s on two
 * cores where the mix had 426, and the cheapest, `GET /users/{id}`, 585.
 */
const ROUTE = "GET /posts";

/** A block in Unix time, microseconds. */
interface Block {
  startUs: number;
  endUs: number;
  /** What the machine's own host took of its cores meanwhile, in seconds. */
  stolenS: number;
}

/**
 * One run under load whose telemetry is toggled at random: readings each second, the app's
 * own timings, and PostgreSQL's count of statements. Users do not think, so that whatever is done for
 * the samplers is missing to the requests.
 *
 * On a machine that others share, blocks of a pair differ by 10% and more because it is faster or
 * slower. How fast, a program on each core measures all the time (`watch_speed.py`), out of reach of
 * what telemetry does; the costs are those at equal speed.
 */
export async function benchTelemetry(options: BenchOptions): Promise<TelemetryResult> {
  const { full, engine: kind, seed, signal, log } = options;
  if (kind === "docker") {
    throw new UsageError("Cannot run bench telemetry in Docker: it needs routes of its own");
  }
  const pairs = full ? 900 : 52;
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-bench-" });
  mkdirSync(join(folder, "logs"));
  try {
    await using engine = await openEngine("bench", [], { engine: kind }, log, signal, [
      readApp(FRAMEWORKS[0]!),
    ]);
    // The fastest app and the steadiest: there are more requests to count.
    const scenario = createScenario({ framework: FRAMEWORKS[0], path: "pooled", users: 50 });
    const run = { id: scenarioId(scenario), scenario, round: 1, order: 1 };
    const blocks: [on: Block, off: Block][] = [];
    const python = await benchPython(signal);
    let speeds: CoreTimes[];
    const contract = writeContract(folder);
    {
      await using services = await engine.startRun(run, folder);
      await using load = services.placeLoad(folder);
      const locust = load.start(locustCommand({
        ...load.place,
        host: services.target,
        scenario,
        seed,
        warmUpS: WARM_UP_S,
        contract,
        windowS: pairs * 2 * (BLOCK_S + SETTLE_S) * 1.5 + 10,
      }));
      await verifyApp(services, scenario, { signal });
      await services.applyLimits();
      await using sampler = await Sampler.start(services, folder);
      await using watches = new CoreWatches(python);
      await locust.release();
      await sleep(WARM_UP_S * 1000);
      const random = seededDraws(seed);
      for (let i = 0; i < pairs; i++) {
        signal.throwIfAborted();
        if (locust.exit !== null) {
          throw new PoolscopeError(`Cannot measure the samplers: ${locust.logTail(1)}`);
        }
        const first = random.uniform() < 0.5;
        const one = await block(first, sampler, services);
        const two = await block(!first, sampler, services);
        blocks.push(first ? [one, two] : [two, one]);
      }
      speeds = await watches.stop();
      await locust.stop();
      await locust.collect(folder);
    }
    await convertRequests(folder);
    const measured = await measureBlocks(folder, blocks, speeds);
    const mean = measured.reduce((sum, [, off]) => sum + off.rps, 0) / pairs;
    log(`${pairs} pairs of blocks of ${BLOCK_S} s at ${Math.round(mean)} requests/s`);
    return { pairs, ...describeCosts(measured), ...(full ? {} : { partial: true }) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A share in percent, with two decimals. */
function percent(share: number): number {
  return Number((100 * share).toFixed(2));
}

/** Writes a contract of one route alone, and gives its file. */
function writeContract(folder: string): string {
  const file = join(folder, "contract.json");
  const { routes } = JSON.parse(readFileSync(join(ROOT, "apps", "contract.json"), "utf8"));
  const one = routes.filter(({ name }: { name: string }) => name === ROUTE);
  writeFileSync(file, JSON.stringify({ routes: one }));
  return file;
}

/** What pairs of blocks, with telemetry and without, say of its costs. */
function describeCosts(
  measured: [on: BlockMeasure, off: BlockMeasure][],
): Omit<TelemetryResult, "pairs" | "partial"> {
  const ratio = (key: keyof BlockMeasure) =>
    pairedRatio(measured.map(([on, off]) => ({ base: off[key], other: on[key] })))!;
  const cost = (key: "rps" | "p95Us") =>
    adjustedRatio(measured.map(([on, off]) => ({
      base: off[key],
      other: on[key],
      baseSpeed: off.speed,
      otherSpeed: on.speed,
    })));
  const [rps, p95, raw, speed] = [cost("rps"), cost("p95Us"), ratio("rps"), ratio("speed")];
  return {
    throughput_cost_pct: percent(1 - rps.value),
    p95_cost_pct: percent(p95.value - 1),
    throughput_cost_pct_upper: percent(1 - rps.low!),
    p95_cost_pct_upper: percent(p95.high! - 1),
    raw_throughput_cost_pct: percent(1 - raw.value),
    raw_throughput_cost_pct_upper: percent(1 - raw.low!),
    speed_change_pct: [
      percent(speed.value - 1),
      percent(speed.low! - 1),
      percent(speed.high! - 1),
    ],
  };
}

/** Switches telemetry and lets a block pass. */
async function block(on: boolean, sampler: Sampler, services: RunServices): Promise<Block> {
  sampler.pause(!on);
  await services.pauseAppTimings(!on);
  await withConnection({ ...services.postgres, database: "postgres" }, async (sql) => {
    const track = on ? "top" : "none";
    await sql.unsafe(`alter system set pg_stat_statements.track = ${track}`);
    await sql.unsafe(`alter system set compute_query_id = ${on ? "auto" : "off"}`);
    await sql.unsafe("select pg_reload_conf()");
  });
  await sleep(SETTLE_S * 1000);
  const stolenS = () => parseHostCpu(readFileSync("/proc/stat", "utf8")).stolenS;
  const [startUs, stolenBefore] = [nowUs(), stolenS()];
  await sleep(BLOCK_S * 1000);
  return { startUs, endUs: nowUs(), stolenS: stolenS() - stolenBefore };
}

/** What one block came to. */
interface BlockMeasure {
  rps: number;
  p95Us: number;
  /** Of the cores, in the unit of {@linkcode coreSpeed}, less what the host took of them. */
  speed: number;
}

/** Measures each block, by the requests that were answered in it. */
async function measureBlocks(
  folder: string,
  blocks: [Block, Block][],
  speeds: CoreTimes[],
): Promise<[on: BlockMeasure, off: BlockMeasure][]> {
  const { length, startUs, serviceUs, outcome } = requestColumns(await readRequests(folder));
  const measure = (block: Block): BlockMeasure => {
    const own: number[] = [];
    for (let i = 0; i < length; i++) {
      const endUs = startUs[i]! + serviceUs[i]!;
      if (outcome[i] === 0 && endUs >= block.startUs && endUs < block.endUs) {
        own.push(serviceUs[i]!);
      }
    }
    const seconds = (block.endUs - block.startUs) / 1e6;
    const cores = speeds.map((times) => coreSpeed(times, block));
    const speed = cores.reduce((sum, core) => sum + core, 0) / cores.length;
    return {
      rps: own.length / seconds,
      p95Us: percentile(own, 95)!,
      speed: speed * (1 - block.stolenS / (cores.length * seconds)),
    };
  };
  return blocks.map(([on, off]) => [measure(on), measure(off)]);
}
