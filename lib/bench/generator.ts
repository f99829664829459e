/**
 * `deno task bench generator`: requests per second of one core, for Poolscope's client, Locust's
 * FastHttpUser, and wrk and k6 where they are installed. A static server has the other core.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../testing/synthetic_study.ts";
import { readFinal } from "../load/requests.ts";
import { findOnPath, runCommand } from "../setup/command.ts";
import { median } from "../stats/percentile.ts";
import {
  BenchFolder,
  benchPython,
  BenchServer,
  CLIENT_CORE,
  LOAD,
  pinned,
  runLocust,
} from "./load.ts";
import type { BenchOptions } from "./options.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface GeneratorResult {
  /** Requests per second of one core: the median of the rounds. */
  rps_per_core: number;
  fasthttpuser_rps_per_core: number;
  /** Null where the program is not installed. */
  wrk_rps_per_core: number | null;
  k6_rps_per_core: number | null;
  /** True when the default, shorter set was run. */
  partial?: true;
}

const CONNECTIONS = 50;

type Program = "lean" | "fast" | "wrk" | "k6";

/** Runs all programs in turn, in an order drawn anew for each round. */
export async function benchGenerator(options: BenchOptions): Promise<GeneratorResult> {
  const { full, seed, signal, log } = options;
  const python = await benchPython(signal);
  const [rounds, durationS] = full ? [9, 8] : [3, 4];
  const programs: Program[] = ["lean", "fast"];
  for (const name of ["wrk", "k6"] as const) {
    if (findOnPath(name) !== null) programs.push(name);
    else log(`${name} is not on PATH: left out`);
  }
  const rates = new Map<Program, number[]>(programs.map((program) => [program, []]));
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round++) {
    const order = programs.map((program) => ({ program, at: random() }))
      .sort((a, b) => a.at - b.at);
    for (const { program } of order) {
      await using server = await BenchServer.start(python, "static_server.py");
      const rate = program === "lean" || program === "fast"
        ? await measureLocust(program, server.url, durationS, python, signal)
        : await measureOther(program, server.url, durationS, python, signal);
      rates.get(program)!.push(rate);
      log(`${program}: ${Math.round(rate)} requests/s`);
    }
  }
  const result = (program: Program) => {
    const value = median(rates.get(program) ?? []);
    return value === null ? null : Math.round(value);
  };
  return {
    rps_per_core: result("lean")!,
    fasthttpuser_rps_per_core: result("fast")!,
    wrk_rps_per_core: result("wrk"),
    k6_rps_per_core: result("k6"),
    ...(full ? {} : { partial: true }),
  };
}

async function measureLocust(
  client: "lean" | "fast",
  host: string,
  windowS: number,
  python: string,
  signal: AbortSignal,
): Promise<number> {
  using folder = new BenchFolder();
  await runLocust({
    python,
    host,
    scenario: { ...LOAD, users: CONNECTIONS, client },
    seed: 1,
    warmUpS: 1,
    windowS,
    folder: folder.path,
    contract: folder.contract,
    signal,
  });
  const { requests, windowStartUs, windowEndUs } = readFinal(folder.path);
  return requests / (windowEndUs - windowStartUs) * 1e6;
}

async function measureOther(
  program: "wrk" | "k6",
  host: string,
  durationS: number,
  python: string,
  signal: AbortSignal,
): Promise<number> {
  using folder = new BenchFolder();
  const url = `${host}/posts`;
  const script = join(folder.path, "load.js");
  writeFileSync(
    script,
    `import http from "k6/http";
export const options = { vus: ${CONNECTIONS}, duration: "${durationS}s" };
export default () => {
  const { status, body } = http.get("${url}");
  if (status !== 200 || body.length === 0) throw new Error("HTTP " + status);
};
`,
  );
  const argv = program === "wrk"
    ? ["wrk", "-t1", `-c${CONNECTIONS}`, `-d${durationS}s`, url]
    : ["k6", "run", "--quiet", "--no-usage-report", script];
  const [first, ...rest] = pinned(python, CLIENT_CORE, argv);
  const { stdout } = await runCommand(`measure ${program}`, [first!, ...rest], { signal });
  const rate = /Requests\/sec:\s*([\d.]+)|http_reqs[.\s]*:\s*\d+\s+([\d.]+)\/s/.exec(stdout);
  if (rate === null) throw new Error(`${program} printed no rate: ${stdout.slice(0, 200)}`);
  return Number(rate[1] ?? rate[2]);
}
