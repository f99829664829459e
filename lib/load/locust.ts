/** Locust's command line and exit codes. Nothing is started here. */

import { join } from "node:path";
import type { Scenario } from "../scenario.ts";
import { ROOT } from "../store/layout.ts";

/** Where the load generator finds things, as it sees them itself. */
export interface GeneratorPlace {
  python: string;
  locustfile: string;
  /** Where the app answers, without a slash at the end. */
  host: string;
  folder: string;
}

type LoadSetting =
  | ("users" | "spawnRate" | "thinkTimeMinS" | "thinkTimeMaxS")
  | ("arrivalRate" | "arrivals" | "client");

export interface LoadOptions extends GeneratorPlace {
  /** Users or arrival rate, think time and client are taken from it. */
  scenario: Pick<Scenario, LoadSetting>;
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
  /** A locustfile whose user classes send the requests. @default those of LOCUSTFILE */
  ownLocustfile?: string;
  /** What stands for variables in the routes' headers, by `headerEnvironment`. @default nothing */
  headerEnvironment?: Record<string, string>;
}

export const LOCUSTFILE: string = join(ROOT, "locust", "locustfile.py");

/**
 * The command that runs the load of one scenario without a user interface. It ends by itself when
 * the window does; SIGTERM ends it early with everything recorded. It is started, and
 * its libraries loaded, before the app is ready; the load begins when the start file is there. It
 * writes its log to standard error.
 */
export function locustCommand(options: LoadOptions): LoadCommand {
  const { scenario, folder, processes = 1, routes, ownLocustfile } = options;
  const routesFile = join(folder, ROUTES_FILE);
  const ownFile = join(folder, ".locustfile.py");
  const contract = options.contract ?? (routes && routesFile);
  const isOpen = scenario.arrivalRate !== null;
  return commandOf(options, {
    flags: {
      host: options.host,
      // In an open loop, each process has one user, which sends all of its arrivals.
      users: isOpen ? processes : scenario.users,
      "spawn-rate": isOpen ? 100 : scenario.spawnRate,
      ...(processes > 1 && { processes }),
      csv: join(folder, "locust"),
    },
    files: {
      ...(routes && { [routesFile]: JSON.stringify({ routes }) }),
      ...(ownLocustfile !== undefined && { [ownFile]: ownLocustfile }),
    },
    env: {
      POOLSCOPE_WARM_UP_S: String(options.warmUpS),
      POOLSCOPE_WINDOW_S: String(options.windowS),
      POOLSCOPE_SEED: String(options.seed),
      POOLSCOPE_THINK_TIME_MIN_S: String(scenario.thinkTimeMinS),
      POOLSCOPE_THINK_TIME_MAX_S: String(scenario.thinkTimeMaxS),
      POOLSCOPE_CLIENT: scenario.client,
      ...(isOpen && {
        POOLSCOPE_ARRIVAL_RATE: String(scenario.arrivalRate),
        POOLSCOPE_ARRIVALS: scenario.arrivals,
      }),
      ...(contract !== undefined && { POOLSCOPE_CONTRACT: contract }),
      ...(ownLocustfile !== undefined && { POOLSCOPE_LOCUSTFILE: ownFile }),
    },
  });
}

/** One arm of a group: its app, its users and the folder of its files. */
export interface ArmLoad extends Pick<GeneratorPlace, "host" | "folder"> {
  /** What its users request. */
  routes: readonly unknown[];
  scenario: LoadOptions["scenario"];
  /** As in {@linkcode LoadOptions}. */
  ownLocustfile?: string;
  /** Of its users' random choices; arms of the same seed request the same. */
  seed: number;
}

export interface GroupLoadOptions extends Omit<GeneratorPlace, "host"> {
  arms: readonly ArmLoad[];
  /** Shortest slice in seconds; an arm that is slow to answer gets longer ones. */
  sliceS: number;
  /** Shortest warm-up of each arm in seconds, its ramp included. */
  warmUpS: number;
  /** Seconds from the first block's begin to about the last one's end. */
  blocksS: number;
  /** Of the order of the arms. */
  seed: number;
  /** Places of those of which one is to be selected: who is far behind soon gets no more turns. */
  candidates?: readonly number[];
  /** What stands for variables in the routes' headers, by `headerEnvironment`. @default nothing */
  headerEnvironment?: Record<string, string>;
}

/**
 * The command that loads several arms in turn: after a warm-up of each, in blocks in which each has
 * one slice. Each arm's folder gets the files of a run and `slices.csv`; `.live.json` is in the
 * group's folder. Otherwise it is as {@linkcode locustCommand}.
 */
export function groupCommand(options: GroupLoadOptions): LoadCommand {
  const { arms, folder, sliceS, warmUpS, blocksS, seed, candidates = [] } = options;
  const armsFile = join(folder, ".arms.json");
  const usersOf = ({ scenario }: ArmLoad) => scenario.arrivalRate === null ? scenario.users! : 1;
  const users = arms.reduce((sum, arm) => sum + usersOf(arm), 0);
  const routesFile = (arm: ArmLoad) => join(folder, `.routes-${arms.indexOf(arm)}.json`);
  const ownFile = (arm: ArmLoad) => join(folder, `.locustfile-${arms.indexOf(arm)}.py`);
  const armSettings = arms.map((arm) => ({
    folder: arm.folder,
    host: arm.host,
    contract: routesFile(arm),
    users: usersOf(arm),
    ...settingsOf(arm.scenario),
    locustfile: arm.ownLocustfile === undefined ? null : ownFile(arm),
    seed: arm.seed,
  }));
  return commandOf(options, {
    // All users are there from the start; those of each arm join one by one in its warm-up.
    flags: { users, "spawn-rate": users },
    files: {
      [armsFile]: JSON.stringify({
        sliceS,
        warmUpS,
        blocksS,
        seed,
        candidates,
        arms: armSettings,
      }),
      ...Object.fromEntries(
        arms.map((arm) => [routesFile(arm), JSON.stringify({ routes: arm.routes })]),
      ),
      ...Object.fromEntries(
        arms.flatMap((arm) =>
          arm.ownLocustfile === undefined ? [] : [[ownFile(arm), arm.ownLocustfile]]
        ),
      ),
    },
    env: { POOLSCOPE_ARMS: armsFile },
  });
}

/** What an arm's load consists of beside its users; those of an open loop do not pause. */
function settingsOf({ arrivalRate, ...scenario }: LoadOptions["scenario"]) {
  const [thinkTimeMinS, thinkTimeMaxS] = arrivalRate === null
    ? [scenario.thinkTimeMinS, scenario.thinkTimeMaxS]
    : [0, 0];
  const { spawnRate, arrivals, client } = scenario;
  return { spawnRate, thinkTimeMinS, thinkTimeMaxS, arrivalRate, arrivals, client };
}

/** How to start the load generator. */
export interface LoadCommand {
  /** The load begins when it is there. */
  startFile: string;
  /** Texts of files that it reads, by the paths at which it sees them. */
  files: Record<string, string>;
  argv: string[];
  env: Record<string, string>;
}

const ROUTES_FILE = ".routes.json";

/** What both kinds of load have in common. */
function commandOf(
  { python, locustfile, folder, headerEnvironment }: Omit<GeneratorPlace, "host"> & {
    headerEnvironment?: Record<string, string>;
  },
  { flags, files, env }: Pick<LoadCommand, "files" | "env"> & {
    flags: Record<string, string | number | null>;
  },
): LoadCommand {
  const startFile = join(folder, ".start");
  const allFlags = {
    locustfile,
    ...flags,
    // Users are not waited for: what has no answer when the window ends is recorded as such.
    "stop-timeout": 0,
    // Failed requests are results: any other code is Locust's own trouble.
    "exit-code-on-error": 0,
  };
  return {
    startFile,
    files,
    argv: [python, "-m", "locust", "--headless", "--only-summary"]
      .concat("csv" in flags ? ["--csv-full-history"] : [])
      .concat(Object.entries(allFlags).flatMap(([flag, value]) => [`--${flag}`, String(value)])),
    env: {
      POOLSCOPE_RUN_FOLDER: folder,
      POOLSCOPE_START_FILE: startFile,
      ...env,
      ...headerEnvironment,
    },
  };
}

/** `[time] host/LEVEL/logger: ` before each line of Locust's log. */
const LOG_PREFIX = /^\[[^\]]*\] \S+\/([A-Z]+)\/[\w.-]+: /;

/**
 * Says why Locust ended when it should not have.
 *
 * @returns One sentence, or null when it ended well, whether or not requests failed.
 */
export function explainExit(code: number, signal: string | null, logTail: string): string | null {
  if (code === 0 && signal === null) return null;
  const how = signal === null ? `stopped with exit code ${code}` : `was ended by ${signal}`;
  const lines = logTail.split("\n").map((line) => line.trimEnd()).filter((line) => line !== "");
  const isError = (line: string) =>
    ["ERROR", "CRITICAL"].includes(LOG_PREFIX.exec(line)?.[1] ?? "") ||
    /^(\w+\.)*\w*(Error|Exception|Interrupt)\b/.test(line) || / error: /.test(line);
  // Whoever is killed has nothing to say about it.
  const line = lines.findLast(isError) ?? (signal === null ? lines.at(-1) : undefined);
  return `Locust ${how}` + (line === undefined ? "" : `: ${line.replace(LOG_PREFIX, "").trim()}`);
}
