/**
 * `deno task doctor`: checks the prerequisites. It reaches no npm package, which Deno would install before
 * the doctor could say that there is no room for it; so what Deno brings along reads its options.
 */

import { parseArgs } from "node:util";
import { UsageError } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import { examine, formatCheck } from "../doctor/doctor.ts";
import { runTask } from "./cli.ts";
import { EXIT } from "./exit_status.ts";

const OPTIONS = {
  json: { type: "boolean" },
  "docker-host": { type: "string" },
} as const;

const USAGE = `Usage: deno task doctor [options] [apps/NAME …]

Checks the prerequisites, or the folders of apps, and installs nothing; exit status 0 when a study can run here.

Options:
  --json               the checks as JSON
  --docker-host <url>  where Docker is (default: DOCKER_HOST, the context, the usual sockets)
  -h, --help           show this help`;

function readOptions() {
  try {
    return parseArgs({ args: Deno.args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    const what = (error as Error).message.split(/\. |\n/)[0]!.replace(/^U/, "u");
    const unknown = /(--[^']*)'/.exec(what)?.[1] ?? "";
    const meant = didYouMean(unknown, Object.keys(OPTIONS).map((name) => `--${name}`));
    throw new UsageError(`Cannot read options: ${what}${meant}; see deno task doctor --help`, {
      cause: error,
    });
  }
}

await runTask(USAGE, async () => {
  const { values: options, positionals: apps } = readOptions();
  const begun = performance.now();
  const checks = apps.length === 0
    ? await examine(options["docker-host"])
    // Their descriptions are checked by a package, which only this needs.
    : apps.flatMap((await import("../doctor/doctor_app.ts")).examineApp);
  const count = (state: string) => checks.filter((check) => check.state === state).length;
  const able = count("missing") === 0;
  const tookS = Math.round(performance.now() - begun) / 1000;
  if (options.json) console.log(JSON.stringify({ ok: able, tookS, checks }, null, 2));
  else {
    for (const check of checks) console.log(formatCheck(check));
    const subject = apps.length > 0 ? apps.join(", ") : "A study";
    console.log(
      `${subject} ${able ? "can run here" : "cannot run here yet"}: ` +
        `${count("missing")} missing, ${count("warning")} warnings (${tookS.toFixed(1)} s)`,
    );
  }
  return able ? EXIT.ok : EXIT.fault;
});
