/** `deno task bench NAME`: a benchmark of Poolscope itself; its last line is one JSON object. */

import { benchAccuracy } from "../bench/accuracy.ts";
import { benchAnalysis } from "../bench/analysis.ts";
import { benchGenerator } from "../bench/generator.ts";
import type { BenchOptions } from "../bench/options.ts";
import { benchOverhead } from "../bench/overhead.ts";
import { benchRecorder } from "../bench/recorder.ts";
import { benchStatistics } from "../bench/statistics.ts";
import { benchTelemetry } from "../bench/telemetry.ts";
import { benchVerdicts } from "../bench/verdicts.ts";
import { UsageError } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import { ENGINES } from "../run_study.ts";
import { parseOptions, runTask } from "./cli.ts";
import { TerminalView } from "./terminal.ts";

const BENCHMARKS: Record<string, (options: BenchOptions) => Promise<unknown>> = {
  analysis: benchAnalysis,
  overhead: benchOverhead,
  accuracy: benchAccuracy,
  generator: benchGenerator,
  recorder: benchRecorder,
  statistics: benchStatistics,
  telemetry: benchTelemetry,
  verdicts: benchVerdicts,
};

const USAGE = `Usage: deno task bench NAME [--full] [--engine NAME] [--seed N]

Names: ${Object.keys(BENCHMARKS).join(", ")}`;

await runTask(USAGE, async (signal) => {
  const { values, positionals } = parseOptions(Deno.args, {
    full: { type: "boolean", default: false },
    engine: { type: "string", default: "local" },
    seed: { type: "string", default: "1" },
  }, true);
  const [name, ...rest] = positionals;
  const run = name !== undefined && Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined;
  if (run === undefined || rest.length > 0) {
    throw new UsageError(
      `Cannot run benchmark "${positionals.join(" ")}"${
        didYouMean(name ?? "", Object.keys(BENCHMARKS))
      }: choose from ${Object.keys(BENCHMARKS).join(", ")}`,
    );
  }
  const seed = Number(values.seed);
  if (!Number.isInteger(seed)) {
    throw new UsageError(`Cannot use --seed "${values.seed}": it must be a whole number`);
  }
  const engine = ENGINES.find((name) => name === values.engine);
  if (engine === undefined) {
    throw new UsageError(
      `Cannot use --engine "${values.engine}": choose from ${ENGINES.join(", ")}`,
    );
  }
  const measure = async () => {
    using view = new TerminalView();
    const { line: log, show: onEvent } = view;
    return await run({ ...{ full: values.full, engine, seed, signal }, log, onEvent });
  };
  console.log(JSON.stringify(await measure()));
});
