/** `deno task load`: loads a service that already runs. */

import { Option } from "@commander-js/extra-typings";
import type { LiveSample } from "../load/requests.ts";
import { runLoad } from "../run_load.ts";
import { ARRIVALS, CLIENTS, type LoadLevel } from "../scenario.ts";
import { progressWords as say } from "../wording/progress.ts";
import { shownPath } from "./cli.ts";
import { EXIT } from "./exit_status.ts";
import { repeated, runTaskCommand, taskCommand, toNumber } from "./options.ts";
import { standardOutput, TerminalView } from "./terminal.ts";

const command = taskCommand(
  "load",
  "Loads a service that already runs, and starts nothing else. Only test services you own and nobody is using.",
)
  .argument("<url>", "where it listens, such as http://127.0.0.1:8000")
  .addOption(
    new Option("--arrival-rate <r>", "open loop: requests due per second")
      .argParser(toNumber)
      .default(20)
      .conflicts("users"),
  )
  .option("--users <n>", "closed loop instead: users that wait for their answers", toNumber)
  .addOption(
    new Option("--arrivals <kind>", "how they are spaced (default: constant)").choices(ARRIVALS),
  )
  .option("--duration <s>", "seconds measured", toNumber, 20)
  .option("--warm-up <s>", "seconds before them", toNumber, 2)
  .option("--route <path>", "a path to ask for; repeatable (default: the URL's own)", repeated)
  .addOption(
    new Option("--client <name>", "fast: Locust's FastHttpUser (default: lean; fast for https)")
      .choices(CLIENTS),
  )
  .option("--processes <n>", "processes that generate the load", toNumber, 1)
  .option("--seed <n>", "seed of the load's random choices", toNumber, 1)
  .option("--out <folder>", "folder of the run's files (default: below data/runs/)")
  .option("--json", "the summary as one JSON line on stdout, progress on stderr");

/** Shows what a load does, second by second: one line in place, or one now and then. */
function liveView(
  view: TerminalView,
  { warmUpS, durationS, arrivalRate, users }: LoadLevel & { warmUpS: number; durationS: number },
): (sample: LiveSample) => void {
  let lastS = -Infinity;
  return (sample) => {
    const { phase, timeS } = sample;
    const [at, of] = phase === "warm-up" ? [timeS, warmUpS] : [timeS - warmUpS, durationS];
    const text = [
      say.phase(phase, Math.max(0, Math.min(Math.floor(at), of)), of),
      ...say.live([sample]),
      users === null ? say.due(arrivalRate!) : say.users(sample.users),
    ].join(" · ");
    if (view.draws) return view.status(text);
    // A log needs no line for each second.
    if (timeS - lastS < 5) return;
    lastS = timeS;
    view.line(text);
  };
}

await runTaskCommand(command, async ({ args: [url], options: given, signal }) => {
  const { users = null, arrivalRate, duration, warmUp, route, json, ...others } = given;
  const options = {
    ...others,
    url,
    users,
    arrivalRate: users === null ? arrivalRate : null,
    durationS: duration,
    warmUpS: warmUp,
    routes: route,
    signal,
  };

  let status: number;
  let lines: string[];
  {
    using view = new TerminalView({ output: standardOutput(Deno.stderr) });
    const onLive = liveView(view, options);
    const { folder, fault } = await runLoad({ ...options, onLive, log: view.line });
    const { loadJson, loadLines, openLoad } = await import("../report/load.ts");
    const load = await openLoad(folder);
    const { rejection } = load.summary;
    const place = shownPath(folder);
    lines = json ? [JSON.stringify(loadJson(load.summary, place))] : loadLines(load, place);
    if (json && rejection !== null) view.line(`FAILED: ${rejection}`);
    if (fault !== null) status = EXIT.fault;
    else status = rejection === null ? EXIT.ok : EXIT.nothingAccepted;
  }
  for (const line of lines) console.log(line);
  return status;
}, { interrupted: null });
