/** Apps that Poolscope has never seen join with one folder each, wherever that is. */

import { equal } from "node:assert/strict";
import { join } from "node:path";
import { addAppFolder } from "./apps/folders.ts";
import { loadPolars } from "./frames/polars.ts";
import { PATHS } from "./scenario.ts";
import { findOnPath } from "./setup/command.ts";
import { setUp } from "./setup/mod.ts";
import { ROOT } from "./store/layout.ts";
import { checkOwnRun, OWN_APPS, OWN_WINDOW_S, ownScenario } from "./testing/own_apps.ts";
import { TroubledEngine, TroubledStudy } from "./testing/troubled_study.ts";

Deno.test("apps of other languages join with a folder each, and a pool of one is named", async (t) => {
  equal(findOnPath("go") === null, false, "go is not on PATH (Debian: apt-get install golang-go)");
  await loadPolars();
  await using study = new TroubledStudy(new TroubledEngine(await setUp()));
  for (const path of Object.values(OWN_APPS)) {
    const framework = addAppFolder(join(ROOT, path));
    // Directly, the last is run by the test of docs/your-app.md.
    for (const path of framework === "node" ? ["pooled"] as const : PATHS) {
      await t.step(`${framework}, ${path}`, async () => {
        const scenario = ownScenario(framework, path);
        const checked = { windowS: OWN_WINDOW_S, functionalCheck: true };
        checkOwnRun(await study.run({ scenario, ...checked }));
      });
    }
  }
});
