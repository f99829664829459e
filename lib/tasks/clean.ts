/** `deno task clean`: ends leftovers and removes what was installed; results stay. */

import { rmSync } from "node:fs";
import { runningOwners, sweep } from "../hosts/owned.ts";
import { PoolscopeError } from "../errors.ts";
import { stagingFolder } from "../setup/stage.ts";
import { TOOLS } from "../store/layout.ts";
import { runTaskCommand, taskCommand } from "./options.ts";

const command = taskCommand(
  "clean",
  "Ends what an earlier start left running and removes what was installed; studies are kept.",
);

await runTaskCommand(command, async () => {
  const running = runningOwners();
  if (running.length > 0) {
    throw new PoolscopeError(
      `Cannot clean: a study is running (pid ${
        running.join(", ")
      }); wait until it has ended, or stop it`,
    );
  }
  for (const line of await sweep()) console.log(line);
  rmSync(stagingFolder(), { recursive: true, force: true });
  rmSync(TOOLS, { recursive: true, force: true });
  console.log("Removed what Poolscope had installed; studies in data/runs are kept");
});
