/** `deno task bench analysis`: how long the summary of 5,000,000 requests takes, against pandas. */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { loadPolars } from "../frames/polars.ts";
import { readRequests } from "../frames/run_files.ts";
import { syntheticManifest } from "../testing/synthetic_study.ts";
import { namedPlan, type Plan, planRuns } from "../plan.ts";
import { type CommandOptions, runCommand } from "../setup/command.ts";
import { toolEnvironment } from "../setup/environment.ts";
import { findPython } from "../setup/python.ts";
import { compareScenarios } from "../stats/comparisons.ts";
import { sortedUs } from "../stats/latency.ts";
import { median, nearestRank } from "../stats/percentile.ts";
import { checkLittlesLaw, checkSteadyState, STEADY_PARTS } from "../stats/steady_state.ts";
import { measure, summariseScenarios, unmeasuredRun } from "../stats/summarise.ts";
import type { RunSummary } from "../stats/summary.ts";
import { cutWindow, meanServiceS, type Window, windowSeries } from "../stats/window.ts";
import { REQUEST_COLUMNS } from "../store/layout.ts";
import type { Manifest } from "../store/manifest.ts";
import type { BenchOptions } from "./options.ts";
import { type Random, seededDraws } from "./random.ts";

/** The result, as DESIGN's table of benchmarks names it. */
export interface AnalysisResult {
  rows: number;
  /** From requests in memory to runs, scenarios, intervals and verdicts, in seconds. */
  full_s: number;
  /** Three quantiles of the correct answers of each run's window, in seconds. */
  quantiles_s: number;
  /** The same quantiles with pandas; null where it cannot be installed. */
  pandas_s: number | null;
}

const ROWS = 5_000_000;
const REPEATS = 5;
const PANDAS = ["pandas==2.3.3", "numpy==2.3.5"];
const PERCENTS = [50, 95, 99];
const SCRIPT = new URL("./pandas_quantiles.py", import.meta.url).pathname;

interface LoadedRun {
  manifest: Manifest;
  requests: DataFrame;
}

/**
 * Writes the requests of a study of the `frameworks` plan, reads them with Poolscope and with pandas,
 * and times both on what they hold in memory, in turns; the median of five counts.
 */
export async function benchAnalysis(options: BenchOptions): Promise<AnalysisResult> {
  const { seed, signal, log } = options;
  const folder = mkdtempSync(join(tmpdir(), "poolscope-bench-"));
  try {
    const plan = namedPlan("frameworks");
    const planned = planRuns(plan);
    const random = seededDraws(seed);
    const manifests = planned.map((run) => syntheticManifest(plan, run));
    let rows = 0;
    for (const [i, manifest] of manifests.entries()) {
      signal.throwIfAborted();
      const wanted = Math.floor(ROWS * (i + 1) / planned.length) - rows;
      writeRun(join(folder, `run-${i}`), wanted, manifest.window!, random);
      rows += wanted;
    }
    log(`Wrote ${rows} requests of ${planned.length} runs`);

    await loadPolars();
    const begun = performance.now();
    const runs: LoadedRun[] = [];
    for (const [i, manifest] of manifests.entries()) {
      runs.push({ manifest, requests: await readRequests(join(folder, `run-${i}`)) });
    }
    log(`Read them in ${seconds(performance.now() - begun)} s`);

    const pandas = await Pandas.start(folder, manifests[0]!.window!, options);
    const times = { full: [] as number[], quantiles: [] as number[], pandas: [] as number[] };
    const columns: number[] = [];
    for (let i = 0; i < REPEATS; i++) {
      signal.throwIfAborted();
      const [full] = time(() => summarise(plan, runs));
      const [plain, mine] = time(() => runs.map(plainQuantiles));
      times.full.push(full);
      times.quantiles.push(plain);
      const theirs = await pandas?.ask();
      if (theirs === undefined) continue;
      times.pandas.push(theirs.s);
      columns.push(theirs.column_s);
      // pandas interpolates between two requests where Poolscope takes one that there was.
      const apart = mine.flat().map((us, k) => Math.abs(theirs.us[k]! / us - 1));
      if (!(Math.max(...apart) < 0.005 && theirs.us.length === apart.length)) {
        throw new Error("Poolscope and pandas do not agree on the quantiles");
      }
    }
    await pandas?.stop();
    if (columns.length > 0) {
      log(
        `pandas takes ${
          seconds(1000 * median(columns)!)
        } s for three quantiles of the bare column, without window, errors and runs`,
      );
    }
    return {
      rows,
      full_s: seconds(1000 * median(times.full)!),
      quantiles_s: seconds(1000 * median(times.quantiles)!),
      pandas_s: times.pandas.length === 0 ? null : seconds(1000 * median(times.pandas)!),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function seconds(ms: number): number {
  return Number((ms / 1000).toFixed(3));
}

/** Seconds that a call takes, and its result. */
function time<T>(call: () => T): [number, T] {
  const begun = performance.now();
  const result = call();
  return [(performance.now() - begun) / 1000, result];
}

/** Everything that a report says of the study's throughput and latency. */
function summarise(plan: Plan, runs: LoadedRun[]): unknown {
  const summaries: RunSummary[] = [];
  const windows = runs.map(({ manifest, requests }) => {
    const window = manifest.window!;
    const cut = cutWindow(requests, window);
    const measures = measure(cut);
    summaries.push({ ...unmeasuredRun({ ...manifest, arm: "" }), ...measures });
    const series = windowSeries(cut, STEADY_PARTS);
    const lengthS = (window.endUs - window.startUs) / 1e6;
    const serviceS = meanServiceS(series);
    return {
      steady: checkSteadyState(series),
      law: checkLittlesLaw(manifest.scenario.users!, measures.requests / lengthS, serviceS, 0),
    };
  });
  const scenarios = summariseScenarios(summaries);
  return [windows, scenarios, compareScenarios(plan, scenarios, summaries)];
}

/** The three percentiles of the correct answers of one run, in microseconds. */
function plainQuantiles({ manifest, requests }: LoadedRun): number[] {
  const cut = cutWindow(requests, manifest.window!);
  const sorted = sortedUs(cut.requests.serviceUs, cut.correct);
  return PERCENTS.map((percent) => sorted[nearestRank(sorted.length, percent)]!);
}

/** Writes one run: log-normal service times about 20 ms, one request in 500 failed. */
function writeRun(folder: string, rows: number, window: Window, random: Random): void {
  mkdirSync(folder);
  const from = window.startUs - 1e6;
  const routes = ["/users/{id}", "/posts", "/search"];
  const lines = [REQUEST_COLUMNS.join(",")];
  for (let i = 0; i < rows; i++) {
    const normal = Math.sqrt(-2 * Math.log(1 - random.uniform())) *
      Math.cos(2 * Math.PI * random.uniform());
    const serviceUs = Math.round(20_000 * Math.exp(0.5 * normal));
    const startUs = Math.floor(from + (window.endUs - from) * i / rows) - serviceUs;
    const failed = random.uniform() < 0.002;
    const end = failed ? "500,500 Internal Server Error,120" : "200,,120";
    lines.push(`,${startUs},${serviceUs},,${routes[i % 3]},${end}`);
  }
  Deno.writeTextFileSync(join(folder, "requests.csv"), lines.join("\n") + "\n");
}

/** What pandas answers. */
interface PandasAnswer {
  s: number;
  column_s: number;
  us: number[];
}

/** pandas in a Python of its own, which holds the same requests. */
class Pandas {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#lines = readLines(child.stdout);
  }

  /** Installs pandas beside the requests and lets it read them; null where it cannot be installed. */
  static async start(
    folder: string,
    { startUs, endUs }: Window,
    { signal, log }: BenchOptions,
  ): Promise<Pandas | null> {
    const venv = join(folder, "venv");
    const python = join(venv, "bin", "python");
    const quiet: CommandOptions = { signal };
    try {
      log(`Installing ${PANDAS[0]}`);
      const { path } = await findPython();
      await runCommand("make a virtual environment", [path, "-m", "venv", venv], quiet);
      const pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
      await runCommand("install pandas", [pip[0]!, ...pip.slice(1), ...PANDAS], quiet);
    } catch (error) {
      signal.throwIfAborted();
      log(`Without pandas: ${(error as Error).message}`);
      return null;
    }
    const child = new Deno.Command(python, {
      args: [SCRIPT, folder, String(startUs), String(endUs)],
      clearEnv: true,
      env: toolEnvironment(),
      stdin: "piped",
      stdout: "piped",
      signal,
    }).spawn();
    const pandas = new Pandas(child);
    const { rows } = JSON.parse(await pandas.#next());
    if (rows !== ROWS) throw new Error(`pandas read ${rows} of ${ROWS} requests`);
    return pandas;
  }

  async #next(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error(`pandas ended with status ${(await this.#child.status).code}`);
    return value;
  }

  /** Lets it compute the quantiles once. */
  async ask(): Promise<PandasAnswer> {
    await this.#input.write(new TextEncoder().encode("\n"));
    return JSON.parse(await this.#next());
  }

  async stop(): Promise<void> {
    await this.#input.close();
    await this.#child.status;
  }
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
