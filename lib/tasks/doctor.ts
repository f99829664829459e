/**
 * `deno task doctor`: what this machine has of what a study needs, and what is missing.
 *
 * Imports nothing of the other tasks: they reach npm packages, which Deno would install before the
 * doctor could say that there is no room for them.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { examine, formatCheck } from "../setup/doctor.ts";

const USAGE =
  "Usage: deno task doctor [--json] [--docker-host URL]   (exit status 0 when a study can run here)";

function readOptions(): { help?: boolean; json?: boolean; "docker-host"?: string } {
  try {
    return parseArgs({
      args: Deno.args,
      options: {
        help: { type: "boolean", short: "h" },
        json: { type: "boolean" },
        "docker-host": { type: "string" },
      },
    }).values;
  } catch (error) {
    console.error(`Cannot read options: ${(error as Error).message.split(/\. |\n/)[0]}`);
    Deno.exit(2);
  }
}

const { help, json, "docker-host": dockerHost } = readOptions();
if (help) {
  console.log(USAGE);
  Deno.exit(0);
}
const begun = performance.now();
const checks = await examine({}, dockerHost);
const count = (state: string) => checks.filter((check) => check.state === state).length;
const able = count("missing") === 0;
const tookS = Math.round(performance.now() - begun) / 1000;
if (json) console.log(JSON.stringify({ ok: able, tookS, checks }, null, 2));
else {
  for (const check of checks) console.log(formatCheck(check));
  console.log(
    `${able ? "A study can run here" : "A study cannot run here yet"}: ` +
      `${count("missing")} missing, ${count("warning")} warnings (${tookS.toFixed(1)} s)`,
  );
}
Deno.exit(able ? 0 : 1);
