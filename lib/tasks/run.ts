/** `deno task run`: a study without notebooks. */

import { runStudyTask } from "./study.ts";

await runStudyTask("run");
