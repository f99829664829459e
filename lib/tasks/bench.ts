/** `deno task bench NAME`: a benchmark of Poolscope itself; its last line is one JSON object. */

import { Option } from "@commander-js/extra-typings";
import { benchAccuracy } from "../bench/accuracy.ts";
import { benchAgreement } from "../bench/agreement.ts";
import { benchAnalysis } from "../bench/analysis.ts";
import { benchGenerator } from "../bench/generator.ts";
import type { BenchOptions } from "../bench/options.ts";
import { benchOverhead } from "../bench/overhead.ts";
import { benchPoolSize } from "../bench/pool_size.ts";
import { benchRecorder } from "../bench/recorder.ts";
import { benchResolution } from "../bench/resolution.ts";
import { benchStatistics } from "../bench/statistics.ts";
import { benchTelemetry } from "../bench/telemetry.ts";
import { benchVerdicts } from "../bench/verdicts.ts";
import { ENGINES } from "../run_study.ts";
import { runTaskCommand, taskCommand, toWholeNumber } from "./options.ts";
import { TerminalView } from "./terminal.ts";

const BENCHMARKS: Record<string, [(options: BenchOptions) => Promise<unknown>, string]> = {
  overhead: [benchOverhead, "What does a run cost beside its warm-up and window?"],
  accuracy: [benchAccuracy, "Are an open loop's percentiles those of the server's own schedule?"],
  recorder: [benchRecorder, "What does a row per request cost the generator?"],
  generator: [benchGenerator, "How many requests per second does one core send?"],
  statistics: [benchStatistics, "Do intervals and verdicts hold, on noise of real runs?"],
  analysis: [benchAnalysis, "How long does the summary of 5,000,000 requests take?"],
  telemetry: [benchTelemetry, "What do the samplers cost the run that they watch?"],
  resolution: [benchResolution, "How small a difference is found in two minutes per pair?"],
  agreement: [benchAgreement, "Do both designs come to the same ratio?"],
  pool_size: [benchPoolSize, "Is the pool size that a study recommends the one that does?"],
  verdicts: [benchVerdicts, "Is the bottleneck that was put into a run the one that is named?"],
};

const command = taskCommand(
  "bench",
  "Measures Poolscope itself; the last line is one JSON object (bench NAME --help).",
);
let chosen: (given: Pick<BenchOptions, "signal" | "log" | "onEvent">) => Promise<unknown>;
for (const [name, [run, question]] of Object.entries(BENCHMARKS)) {
  command.command(name)
    .description(question)
    .option("--full", "the full set instead of three minutes at most")
    .addOption(
      new Option("--engine <name>", "where services run")
        .choices(ENGINES)
        .default("local" as const),
    )
    .option("--seed <n>", "seed of everything that is randomized", toWholeNumber, 1)
    .action(({ full = false, ...options }) => {
      chosen = (given) => run({ full, ...options, ...given });
    });
}

await runTaskCommand(command, async ({ signal }) => {
  const measure = async () => {
    using view = new TerminalView();
    return await chosen({ signal, log: view.line, onEvent: view.show });
  };
  console.log(JSON.stringify(await measure()));
});
