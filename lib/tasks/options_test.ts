// test lane: checkout
/** The options of every task and benchmark, as a shell sees them; nothing is started. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SETTINGS } from "../settings.ts";
import { ROOT } from "../store/layout.ts";

const TASKS: Record<string, { command: string }> =
  JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8")).tasks;

async function task(name: string, ...args: string[]) {
  const script = /\S+\.ts$/.exec(TASKS[name]!.command)![0];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Many that start together would wait for each other to look after node_modules, and say so.
    args: ["run", "--allow-all", "--no-check", "--node-modules-dir=manual", script, ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("--help of run and run-all lists the settings with their defaults", async () => {
  for (const name of ["run", "run-all"]) {
    const { stdout } = await task(name, "--help");
    match(stdout, /^ {2}defaultPoolSize +PgBouncer's default_pool_size \(default: 20\)$/m);
    match(stdout, /^ {2}postgres\.NAME +any setting of PostgreSQL by its own name$/m);
    const missing = Object.entries(SETTINGS).filter(([key, row]) =>
      !("level" in row) && !stdout.includes(`\n  ${key} `)
    );
    deepEqual(missing, []);
  }
});

Deno.test("--help of every task, and of every benchmark, shows what can be given", async () => {
  const { stdout: benches } = await task("bench", "--help");
  const names = [...benches.matchAll(/^ {2}(\w+) \[options\]/gm)].map(([, name]) => name!);
  ok(names.length >= 8, benches);
  const commands = [...Object.keys(TASKS), ...names.map((name) => `bench ${name}`)];
  await Promise.all(commands.map(async (command) => {
    const [name, ...rest] = command.split(" ");
    const { code, stdout, stderr } = await task(name!, ...rest, "--help");
    equal(code, 0, `${command}: ${stderr}`);
    match(stdout, new RegExp(`^Usage: deno task ${command}( |$)`, "m"));
    match(stdout, /^ {2}-h, --help +show this help$/m);
    if (rest.length > 0) match(stdout, /^ {2}--full .*\n {2}--engine <name> [^]*\n {2}--seed <n>/m);
  }));
});

Deno.test("a wrong option is one line with the nearest known one, and exit status 2", async () => {
  const cases: [string, RegExp][] = [
    ["run --roundz 3", /unknown option '--roundz' \(did you mean --rounds\?\); see .*run --help$/],
    ["run --rounds three", /'--rounds <n>' argument 'three' is invalid: it must be a number;/],
    ["run --users 10,many", /'--users <list>' argument '10,many' is invalid: it must be a number;/],
    ["run --users=", /'--users <list>' argument '' is invalid: it must be a number;/],
    ["run --engine podman", /'podman' is invalid: allowed choices are auto, docker, local;/],
    ["run --window", /option '--window <s>' argument missing; see deno task run --help$/],
    ["run --set reus=per_request", /"reus=per_request" \(did you mean "reuse"\?\)/],
    ["run --notebook a.ipynb", /Cannot use --notebook with run: .*; use run-all$/],
    ["run quick", /too many arguments: expected 0 arguments but got 1: quick;/],
    ["export --studdy x", /'--studdy' \(did you mean --study\?\); see deno task export --help$/],
    ["images --offlin", /'--offlin' \(did you mean --offline\?\)/],
    ["clean --all", /unknown option '--all'; see deno task clean --help$/],
    ["doctor --jsn", /unknown option '--jsn' \(did you mean "--json"\?\); see .*doctor --help$/],
    ["bench", /no name was given, it must be overhead, .*; see deno task bench --help$/],
    ["bench overhed", /unknown command 'overhed' \(did you mean overhead\?\)/],
    ["bench overhead --ful", /'--ful' \(did you mean --full\?\); see .*bench overhead --help$/],
    ["bench overhead --seed 1.5", /'--seed <n>' argument '1.5' is invalid: it must be a whole/],
  ];
  await Promise.all(cases.map(async ([line, message]) => {
    const [name, ...args] = line.split(" ");
    const { code, stdout, stderr } = await task(name!, ...args);
    equal(code, 2, `${line}: ${stdout}${stderr}`);
    equal(stdout, "");
    match(stderr.trimEnd(), message);
    equal(stderr.trim().split("\n").length, 1, stderr);
  }));
});

Deno.test("every command of README and docs/ is one that its task understands", async () => {
  const pages = ["README.md", ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`)];
  const lines = pages.flatMap((page) =>
    [...readFileSync(join(ROOT, page), "utf8").matchAll(/^(?:npx .*)?deno\S* task ([^#|\n]+)/gm)]
      .map(([, line]) => line!.trim())
  );
  // These pass everything on; a plan of one's own is not there.
  const commands = new Set(lines.filter((line) => !/^(test|lab)\b|--help|my-/.test(line)));
  ok(commands.size > 10);
  await Promise.all([...commands].map(async (line) => {
    const [name, ...args] = line.split(/ +/);
    // Of several mistakes a value is told first: what it does not know must be this alone.
    const { code, stderr } = await task(name!, ...args, "--no-such-option");
    equal(code, 2, line);
    match(stderr, /^Cannot read options: unknown option '--no-such-option'/, line);
  }));
});
