/**
 * `deno task bench recorder`: what a row per request costs the generator, and whether any is missing.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { readLocustTotals } from "../frames/locust.ts";
import { checkCounts, convertRequests, readFinal } from "../load/requests.ts";
import { meanInterval } from "../stats/interval.ts";
import { ROOT } from "../store/layout.ts";
import {
  BenchFolder,
  benchPython,
  type BenchRun,
  BenchServer,
  LOAD,
  runLocust,
  script,
} from "./load.ts";
import type { BenchOptions } from "./options.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface RecorderResult {
  /** CPU time that recording adds to each request, in microseconds. */
  cost_us_per_request: number;
  /** The upper end of its 95% interval. */
  cost_us_upper: number;
  /** Requests that the server answered and of which there is no row, over all runs. */
  missing: number;
  /** True when the default, shorter set was run. */
  partial?: true;
}

/** Short, so that what else happens on the machine meets both of a pair alike. */
const BLOCK_S = 0.05;

type Block = [cpuS: number, requests: number, stealS: number];

/** Alternates recording on and off, and then counts rows against the server's requests. */
export async function benchRecorder(options: BenchOptions): Promise<RecorderResult> {
  const { full, seed, signal, log } = options;
  const python = await benchPython(signal);
  const pairs = full ? 1500 : 500;
  const costs = await measureCosts(pairs, seed, python, signal, log);
  const { value, high } = meanInterval(costs)!;
  log(
    `${costs.length} pairs of blocks of ${BLOCK_S} s: ${value.toFixed(2)} µs, at most ${
      high!.toFixed(2)
    }`,
  );
  const missing = [
    await countMissing("at full rate", { windowS: 4 }, python, signal, log),
    await countMissing(
      "at SIGTERM",
      { windowS: 60, terminateAfterS: 4, core: null },
      ...[python, signal, log] as const,
    ),
    await countMissing(
      "with two processes",
      { windowS: 4, processes: 2, core: null },
      ...[python, signal, log] as const,
    ),
  ];
  return {
    cost_us_per_request: Number(value.toFixed(3)),
    cost_us_upper: Number(high!.toFixed(3)),
    missing: missing.reduce((sum, n) => sum + n, 0),
    ...(full ? {} : { partial: true }),
  };
}

/** Pairs of blocks with and without recording, in one run. */
export async function recordBlocks(
  pairs: number,
  seed: number,
  python: string,
  signal: AbortSignal,
): Promise<[on: Block, off: Block][]> {
  using folder = new BenchFolder();
  await using server = await BenchServer.start(python, "static_server.py");
  const file = script("recorder_locustfile.py");
  await runLocust({
    python,
    host: server.url,
    scenario: LOAD,
    seed,
    warmUpS: 1,
    signal,
    windowS: pairs * 2 * BLOCK_S * 1.3 + 3,
    folder: folder.path,
    contract: folder.contract,
    argv: (argv) => argv.map((arg) => arg.endsWith("/locustfile.py") ? file : arg),
    env: {
      POOLSCOPE_BENCH_LOCUST: join(ROOT, "locust"),
      POOLSCOPE_BENCH_PAIRS: String(pairs),
      POOLSCOPE_BENCH_BLOCK_S: String(BLOCK_S),
    },
  });
  return JSON.parse(readFileSync(join(folder.path, "blocks.json"), "utf8"));
}

/** For each pair of blocks, what recording added to a request, in microseconds. */
async function measureCosts(
  pairs: number,
  seed: number,
  python: string,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<number[]> {
  const blocks = await recordBlocks(pairs, seed, python, signal);
  // The host may take a core away for a while, which empties its caches, and another program may
  // hold the server's core for as long as a block: neither has to do with what recording costs.
  const usable = blocks.filter((pair) =>
    pair.every(([, requests, stealS]) => requests > 0 && stealS === 0)
  );
  log(`${usable.length} of ${pairs} pairs of blocks were undisturbed`);
  if (usable.length < pairs / 3) {
    throw new PoolscopeError(
      `Cannot measure the recorder: ${pairs - usable.length} of ${pairs} pairs of blocks were ` +
        `disturbed by the host or by other programs; try again when the machine is quieter`,
    );
  }
  const perRequest = ([cpuS, requests]: Block) => cpuS / requests * 1e6;
  return usable.map(([on, off]) => perRequest(on) - perRequest(off));
}

/** Runs the load once and holds the rows against what the server has seen. */
async function countMissing(
  name: string,
  run: Pick<BenchRun, "windowS" | "terminateAfterS" | "processes" | "core">,
  python: string,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<number> {
  using folder = new BenchFolder();
  await using server = await BenchServer.start(python, "static_server.py");
  await runLocust({
    python,
    host: server.url,
    scenario: LOAD,
    seed: 1,
    warmUpS: 1,
    signal,
    folder: folder.path,
    contract: folder.contract,
    ...run,
  });
  const seen = Number(await server.stop());
  const counts = await convertRequests(folder.path);
  const trouble = checkCounts(counts, readFinal(folder.path), readLocustTotals(folder.path));
  if (trouble !== null) throw new PoolscopeError(`Recording ${name} is wrong: ${trouble}`);
  log(`${name}: ${counts.rows} rows, ${counts.unfinished} of them unfinished; server: ${seen}`);
  // A request that was just sent when the generator ended may have a row and no answer.
  return Math.max(0, seen - counts.rows);
}
