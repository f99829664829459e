// test lane: checkout
import { equal, match, ok } from "node:assert/strict";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT, studyFolder } from "./store/layout.ts";
import { REPORTED } from "./testing/reported.ts";

/** The commands of the page's first block. */
function pageCommands(): string[] {
  const page = readFileSync(join(ROOT, "docs", "your-app.md"), "utf8");
  const [, block] = /^```sh\n([^]*?)^```/m.exec(page)!;
  return block!.trim().split("\n");
}

/** An image of the app takes minutes to build: without the long tests, no Docker is found. */
const ENV: Record<string, string> = Deno.env.get("POOLSCOPE_FULL") === "1"
  ? {}
  : { DOCKER_HOST: "unix:///nowhere.sock" };

async function runLine(line: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", line.replace(/^npx -y deno@\S+/, Deno.execPath())],
    cwd: ROOT,
    env: ENV,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const expected = line.includes("run-all") ? REPORTED : [0];
  ok(expected.includes(code), `${line}\n${text(stdout)}${text(stderr)}`);
  return text(stdout);
}

Deno.test("the commands of docs/your-app.md end in a figure of an app that was not there", async () => {
  const folder = join(ROOT, "apps", "shop");
  equal(existsSync(folder), false, `${folder} is there already; remove it`);
  let study: string | undefined;
  try {
    const begun = performance.now();
    const commands = pageCommands();
    equal(commands.length, 3);
    let output = "";
    for (const line of commands) output = await runLine(line);
    const seconds = (performance.now() - begun) / 1000;
    console.log(`  ${commands.join("; ")}: ${seconds.toFixed(0)} s`);
    ok(seconds < 600, `${seconds} s`);
    study = studyFolder(/^(\S+): 2 of 2 runs complete/m.exec(output)![1]!);
    const report = join(study, "report");
    ok(statSync(join(report, "plots", "rps_comparison.png")).size > 5000);
    match(readFileSync(join(report, "40_diagnosis.html"), "utf8"), /<svg[^>]*role="img"[^]*shop/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    if (study !== undefined) rmSync(study, { recursive: true, force: true });
  }
});
