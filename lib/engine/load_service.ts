/** The load generator of one run, or of several that stand side by side. */

import { basename, join } from "node:path";
import type { Instance } from "../hosts/host.ts";
import type { GeneratorPlace, LoadCommand } from "../load/locust.ts";
import type { RunServices } from "./run_services.ts";

/** A load generator that is started, with its libraries loaded, and waits to be let go. */
export interface LoadGenerator extends Instance {
  /** Lets it begin; from then on its folder has its `.live.json`. */
  release(): Promise<void>;
}

/** A load generator that has its place; it ends when it is disposed of. */
export interface LoadService extends AsyncDisposable {
  /** Where it finds things. */
  place: Omit<GeneratorPlace, "host">;
  /** Starts it; where that fails, it has ended with the reason in its log. */
  start(command: LoadCommand): LoadGenerator;
}

/**
 * Makes room for the load generator of some runs, on the host of the first and in the networks of
 * all; each counts it among its services.
 *
 * @param folder The folder that it writes into, with `logs/`.
 */
export function placeLoad(
  first: RunServices,
  others: readonly RunServices[],
  folder: string,
): LoadService {
  const { host, programs } = first.options;
  const placeIn = (arm: RunServices) => arm.placeOf("locust", programs.python);
  const locust = host.place({
    ...placeIn(first),
    service: "locust",
    networks: others.map((arm) => placeIn(arm).network),
    logFile: join(folder, "logs", "locust.log"),
    folder,
  });
  for (const arm of [first, ...others]) arm.include(locust);
  return {
    place: {
      python: programs.pythonCommand,
      locustfile: programs.locustfile,
      folder: locust.path("."),
    },
    start({ argv, env, files, startFile }) {
      const starting = locust.start({
        // The first word is the program's own.
        args: argv.slice(1),
        env,
        files: Object.entries(files).map(([path, content]) => ({ name: basename(path), content })),
        cores: first.loadCores,
      }).catch(() => {
        // Its exit and its log tell.
      });
      return Object.assign(locust, {
        release: async () => {
          await starting;
          if (locust.exit !== null) return;
          await locust.put([{ name: basename(startFile), content: "", mode: 0o666 }]);
          locust.mirror(".live.json", join(folder, ".live.json"));
        },
      });
    },
    [Symbol.asyncDispose]: () => locust.remove(),
  };
}
