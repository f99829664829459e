/** Apps that Poolscope has never seen join with one folder each, wherever that is. */

import { equal } from "node:assert/strict";
import { join } from "node:path";
import { addAppFolder } from "./apps/folders.ts";
import { InjectingEngine, tryTrial } from "./bench/verdicts.ts";
import { loadPolars } from "./frames/polars.ts";
import { PATHS } from "./scenario.ts";
import { findOnPath } from "./setup/command.ts";
import { setUp } from "./setup/mod.ts";
import { ROOT } from "./store/layout.ts";
import { checkOwnRun, OWN_APPS, ownScenario } from "./testing/own_apps.ts";

Deno.test("apps of other languages join with a folder each, and a pool of one is named", async (t) => {
  equal(findOnPath("go") === null, false, "go is not on PATH (Debian: apt-get install golang-go)");
  await loadPolars();
  const folder = Deno.makeTempDirSync({ prefix: "poolscope-own-apps-" });
  try {
    await using engine = new InjectingEngine(await setUp(), () => {});
    for (const path of Object.values(OWN_APPS)) {
      const framework = addAppFolder(join(ROOT, path));
      // Directly, the last is run by the test of docs/your-app.md.
      for (const path of framework === "node" ? ["pooled"] as const : PATHS) {
        await t.step(`${framework}, ${path}`, async () => {
          const { signal } = new AbortController();
          const scenario = ownScenario(framework, path);
          const place = { engine, folder, seed: 3, signal };
          checkOwnRun(await tryTrial({ scenario, injection: {} }, 1, place));
        });
      }
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
