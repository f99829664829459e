/**
 * Locust's command line and exit codes. Nothing is started here.
 *
 * @module
 */

import { join } from "node:path";
import type { GeneratorPlace, LoadCommand } from "../engine/engine.ts";
import type { Scenario } from "../scenario.ts";
import { ROOT } from "../store/layout.ts";

/** What one run of Locust needs. */
export interface LoadOptions extends GeneratorPlace {
  /** Users or arrival rate, think time and client are taken from it. */
  scenario: Pick<
    Scenario,
    | ("users" | "spawnRate" | "thinkTimeMinS" | "thinkTimeMaxS")
    | ("arrivalRate" | "arrivals" | "client")
  >;
  /** Seed of the load's random choices. */
  seed: number;
  /** Seconds from the start of the load to the measurement window. */
  warmUpS: number;
  /** Length of the measurement window in seconds. */
  windowS: number;
  /** Generating processes. @default 1 */
  processes?: number;
  /** File with the routes to request. @default {the one that is written of `routes`} */
  contract?: string;
  /** The routes, where no file has them yet. @default none */
  routes?: readonly unknown[];
  /**
   * Text of a locustfile whose user classes send the requests, in a closed loop.
   * @default {those of {@linkcode LOCUSTFILE}}
   */
  ownLocustfile?: string;
  /** What stands for variables in the routes' headers, by `headerEnvironment`. @default nothing */
  headerEnvironment?: Record<string, string>;
}

const START_FILE = ".start";
const ROUTES_FILE = ".routes.json";
const OWN_LOCUSTFILE = ".locustfile.py";

/** The locustfile of this checkout. */
export const LOCUSTFILE: string = join(ROOT, "locust", "locustfile.py");

/**
 * The command that runs the load of one scenario without a user interface. It ends by itself when
 * the window does; SIGTERM ends it early with everything recorded. It is started, and
 * its libraries loaded, before the app is ready; the load begins when the start file is there. It
 * writes its log to standard error.
 */
export function locustCommand(options: LoadOptions): LoadCommand {
  const { scenario, folder, processes = 1, routes, ownLocustfile } = options;
  const startFile = join(folder, START_FILE);
  const routesFile = join(folder, ROUTES_FILE);
  const ownFile = join(folder, OWN_LOCUSTFILE);
  const contract = options.contract ?? (routes && routesFile);
  // In an open loop, each process has one user, which sends all of its arrivals.
  const [users, spawnRate] = scenario.arrivalRate === null
    ? [scenario.users, scenario.spawnRate]
    : [processes, 100];
  return {
    startFile,
    files: {
      ...(routes && { [routesFile]: JSON.stringify({ routes }) }),
      ...(ownLocustfile !== undefined && { [ownFile]: ownLocustfile }),
    },
    argv: [
      options.python,
      "-m",
      "locust",
      "--headless",
      "--locustfile",
      options.locustfile,
      "--host",
      options.host,
      "--users",
      String(users),
      "--spawn-rate",
      String(spawnRate),
      ...(processes > 1 ? ["--processes", String(processes)] : []),
      "--csv",
      join(folder, "locust"),
      "--csv-full-history",
      "--only-summary",
      // Users are not waited for: what has no answer when the window ends is recorded as such.
      "--stop-timeout",
      "0",
      // Failed requests are results: any other code is Locust's own trouble.
      "--exit-code-on-error",
      "0",
    ],
    env: {
      POOLSCOPE_RUN_FOLDER: folder,
      POOLSCOPE_START_FILE: startFile,
      POOLSCOPE_WARM_UP_S: String(options.warmUpS),
      POOLSCOPE_WINDOW_S: String(options.windowS),
      POOLSCOPE_SEED: String(options.seed),
      POOLSCOPE_THINK_TIME_MIN_S: String(scenario.thinkTimeMinS),
      POOLSCOPE_THINK_TIME_MAX_S: String(scenario.thinkTimeMaxS),
      POOLSCOPE_CLIENT: scenario.client,
      ...(scenario.arrivalRate === null ? {} : {
        POOLSCOPE_ARRIVAL_RATE: String(scenario.arrivalRate),
        POOLSCOPE_ARRIVALS: scenario.arrivals,
      }),
      ...(contract === undefined ? {} : { POOLSCOPE_CONTRACT: contract }),
      ...(ownLocustfile !== undefined && { POOLSCOPE_LOCUSTFILE: ownFile }),
      ...options.headerEnvironment,
    },
  };
}

/** `[time] host/LEVEL/logger: ` before each line of Locust's log. */
const LOG_PREFIX = /^\[[^\]]*\] \S+\/([A-Z]+)\/[\w.-]+: /;

/**
 * Says why Locust ended when it should not have.
 *
 * @param code Its exit code.
 * @param signal The signal that ended it, or null.
 * @param logTail The end of its log.
 * @returns One sentence, or null when it ended well, whether or not requests failed.
 */
export function explainExit(code: number, signal: string | null, logTail: string): string | null {
  if (code === 0 && signal === null) return null;
  const how = signal === null ? `stopped with exit code ${code}` : `was ended by ${signal}`;
  // Whoever is killed has nothing to say about it.
  const line = tellingLine(logTail, signal === null);
  return `Locust ${how}${line === null ? "" : `: ${line}`}`;
}

/** The last line of the log that tells of an error, else the last line of all if that may do. */
function tellingLine(logTail: string, anyLine: boolean): string | null {
  const lines = logTail.split("\n").map((line) => line.trimEnd()).filter((line) => line !== "");
  const isError = (line: string) =>
    ["ERROR", "CRITICAL"].includes(LOG_PREFIX.exec(line)?.[1] ?? "") ||
    /^(\w+\.)*\w*(Error|Exception|Interrupt)\b/.test(line) || / error: /.test(line);
  const line = lines.findLast(isError) ?? (anyLine ? lines.at(-1) : undefined);
  return line === undefined ? null : line.replace(LOG_PREFIX, "").trim();
}
