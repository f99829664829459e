/** `deno task compose`: writes compose/ from what the Docker engine starts. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { composeFiles } from "../services/compose_files.ts";
import { ROOT } from "../store/layout.ts";
import { runTaskCommand, taskCommand } from "./options.ts";

const command = taskCommand("compose", "Writes compose/ from what the Docker engine starts.");

await runTaskCommand(command, () => {
  for (const [name, text] of Object.entries(composeFiles())) {
    writeFileSync(join(ROOT, "compose", name), text);
  }
  return Promise.resolve();
});
