/**
 * `deno task doctor`: what this machine has of what a study needs, and what is missing.
 *
 * Reaches no npm package, as the other tasks do: Deno would install them before the doctor could say
 * that there is no room for them.
 *
 * @module
 */

import { examine, formatCheck } from "../setup/doctor.ts";
import { parseOptions, runTask } from "./cli.ts";
import { EXIT } from "./exit_status.ts";

const USAGE =
  "Usage: deno task doctor [--json] [--docker-host URL]   (exit status 0 when a study can run here)";

await runTask(USAGE, async () => {
  const { values } = parseOptions(Deno.args, {
    json: { type: "boolean" },
    "docker-host": { type: "string" },
  });
  const begun = performance.now();
  const checks = await examine({}, values["docker-host"]);
  const count = (state: string) => checks.filter((check) => check.state === state).length;
  const able = count("missing") === 0;
  const tookS = Math.round(performance.now() - begun) / 1000;
  if (values.json) console.log(JSON.stringify({ ok: able, tookS, checks }, null, 2));
  else {
    for (const check of checks) console.log(formatCheck(check));
    console.log(
      `${able ? "A study can run here" : "A study cannot run here yet"}: ` +
        `${count("missing")} missing, ${count("warning")} warnings (${tookS.toFixed(1)} s)`,
    );
  }
  return able ? EXIT.ok : EXIT.fault;
});
