/** Apps that Poolscope has never seen join on Docker with a folder and a Dockerfile each. */

import { readApp } from "./apps/app.ts";
import { addAppFolder } from "./apps/folders.ts";
import { loadPolars } from "./frames/polars.ts";
import { PATHS } from "./scenario.ts";
import { dockerTests } from "./testing/docker.ts";
import { Runs } from "./testing/docker_runs.ts";
import { checkOwnRun, copyApp, OWN_APPS, OWN_WINDOW_S, ownScenario } from "./testing/own_apps.ts";

const dockerTest = await dockerTests("apps of other languages on Docker");

/** The images of all of them take minutes to build. */
const FULL = Deno.env.get("POOLSCOPE_FULL") === "1";

Deno.test(dockerTest(
  "apps of other languages join on Docker from any folder, and a pool of one is named",
  async ({ daemon }, t) => {
    await loadPolars();
    const outside = Deno.makeTempDirSync({ prefix: "poolscope-own-apps-" });
    try {
      const folders = [
        copyApp(OWN_APPS.go, outside),
        ...(FULL ? [OWN_APPS.starlette, OWN_APPS.node] : []),
      ];
      const apps = folders.map((folder) => readApp(addAppFolder(folder)));
      await using runs = await Runs.open(daemon, { apps });
      for (const { name } of apps) {
        for (const path of PATHS) {
          await t.step(`${name}, ${path}`, async () => {
            checkOwnRun(await runs.read(ownScenario(name, path), OWN_WINDOW_S));
          });
        }
      }
    } finally {
      Deno.removeSync(outside, { recursive: true });
    }
  },
));
