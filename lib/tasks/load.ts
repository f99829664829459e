/** `deno task load`: loads a service that already runs. */

import { UsageError } from "../errors.ts";
import type { LiveSample } from "../load/requests.ts";
import { loadJson, loadLines } from "../report/load.ts";
import { runLoad, type RunLoadOptions } from "../run_load.ts";
import { ARRIVALS, CLIENTS } from "../scenario.ts";
import { formatCount, liveParts } from "../store/progress.ts";
import { choiceOption, numberOption, parseOptions, runTask, shownPath } from "./cli.ts";
import { EXIT } from "./exit_status.ts";
import { standardOutput, TerminalView } from "./terminal.ts";

const USAGE = `Usage: deno task load URL [options]

Loads a service that already runs, and starts nothing else. Only test services you own and nobody is using.

  --arrival-rate R   open loop: requests due per second (default 20)
  --users N          closed loop instead: users that wait for their answers
  --arrivals KIND    constant (default) or poisson
  --duration S       seconds measured (default 20)
  --warm-up S        seconds before them (default 2)
  --route PATH       a path to ask for; may be repeated (default: the URL's own)
  --client NAME      lean (default) or fast, Locust's FastHttpUser
  --processes N      processes that generate the load (default 1)
  --seed N           seed of the load's random choices (default 1)
  --out DIR          folder of the run's files (default: below data/runs/)
  --json             the summary as one JSON line on stdout, progress on stderr`;

/** What the load does, second by second: one line in place, or one now and then. */
class Progress implements Disposable {
  #options: RunLoadOptions;
  #view: TerminalView;
  #plain: boolean;
  #lastS = -Infinity;

  constructor(options: RunLoadOptions) {
    this.#options = options;
    this.#view = new TerminalView({ output: standardOutput(Deno.stderr) });
    this.#plain = !this.#view.draws;
  }

  live = (sample: LiveSample): void => {
    const { warmUpS = 2, durationS = 20, arrivalRate, users } = this.#options;
    const { phase, timeS } = sample;
    const [at, of] = phase === "warm-up" ? [timeS, warmUpS] : [timeS - warmUpS, durationS];
    const text = [
      `${phase}, ${Math.max(0, Math.min(Math.floor(at), of))} of ${of} s`,
      ...liveParts(sample),
      users === null ? `${arrivalRate}/s due` : `${formatCount(sample.users)} users`,
    ].join(" · ");
    if (!this.#plain) return this.#view.status(text);
    // A log needs no line for each second.
    if (timeS - this.#lastS < 5) return;
    this.#lastS = timeS;
    this.#view.line(text);
  };

  note = (text: string): void => this.#view.line(text);

  [Symbol.dispose](): void {
    this.#view[Symbol.dispose]();
  }
}

await runTask(USAGE, async (signal) => {
  const { values, positionals } = parseOptions(Deno.args, {
    "arrival-rate": { type: "string" },
    users: { type: "string" },
    arrivals: { type: "string" },
    duration: { type: "string" },
    "warm-up": { type: "string" },
    route: { type: "string", multiple: true },
    client: { type: "string" },
    processes: { type: "string" },
    seed: { type: "string" },
    out: { type: "string" },
    json: { type: "boolean", default: false },
  }, true);
  const [url, ...more] = positionals;
  if (url === undefined || more.length > 0) {
    throw new UsageError(
      `Cannot load: ${
        url === undefined ? "no URL was" : "more than one URL was"
      } given; give one such as http://127.0.0.1:8000`,
    );
  }
  const number = (
    name: "arrival-rate" | "users" | "duration" | "warm-up" | "processes" | "seed",
  ) => numberOption(name, values[name]);
  if (values.users !== undefined && values["arrival-rate"] !== undefined) {
    throw new UsageError(
      "Cannot use both --users and --arrival-rate: give users for a closed loop or an arrival rate for an open one",
    );
  }
  const users = number("users") ?? null;
  const options: RunLoadOptions = {
    url,
    users,
    arrivalRate: users === null ? number("arrival-rate") ?? 20 : null,
    arrivals: choiceOption("arrivals", values.arrivals, ARRIVALS),
    client: choiceOption("client", values.client, CLIENTS),
    routes: values.route,
    durationS: number("duration"),
    warmUpS: number("warm-up"),
    processes: number("processes"),
    seed: number("seed"),
    out: values.out,
    signal,
  };

  let status: number;
  let lines: string[];
  {
    using progress = new Progress(options);
    const run = await runLoad({ ...options, onLive: progress.live, log: progress.note });
    const { openLoad } = await import("../report/open_load.ts");
    const { folder, fault } = run;
    const { summary } = await openLoad(folder);
    const { rejection } = summary;
    const place = shownPath(folder);
    lines = values.json ? [JSON.stringify(loadJson(summary, place))] : loadLines(summary, place);
    if (values.json && rejection !== null) progress.note(`FAILED: ${rejection}`);
    if (fault !== null) status = EXIT.fault;
    else status = rejection === null ? EXIT.ok : EXIT.nothingAccepted;
  }
  for (const line of lines) console.log(line);
  return status;
}, { interrupted: null });
