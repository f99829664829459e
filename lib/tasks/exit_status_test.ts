// test lane: checkout
/** The exit statuses of the tasks, each as a shell sees it; those of `load` are in load_test.ts. */

import { deepEqual, equal, match } from "node:assert/strict";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { syntheticPlan, type SyntheticRun, syntheticStudy } from "../testing/synthetic_study.ts";
import { ROOT, studyFolder } from "../store/layout.ts";
import { exitStatusHelp } from "./exit_status.ts";

async function ended(args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const task = (name: string, ...args: string[]) =>
  ended(["run", "--allow-all", "--no-check", join(ROOT, `lib/tasks/${name}.ts`), ...args]);

Deno.test("every task's help ends with the table, and starts nothing", async () => {
  const tasks = ["run", "run_all", "export", "doctor", "images", "load", "lab", "clean", "bench"];
  await Promise.all(tasks.map(async (name) => {
    const { code, stdout } = await task(name, "--help");
    equal(code, 0, name);
    match(stdout, /^Usage: deno task [a-z-]+/);
    equal(stdout.endsWith(`\n\n${exitStatusHelp()}\n`), true, stdout);
  }));
});

Deno.test("of several statuses that apply, the first of the table counts", async () => {
  const cli = JSON.stringify(new URL("./cli.ts", import.meta.url).href);
  const errors = JSON.stringify(new URL("../errors.ts", import.meta.url).href);
  const kill = (signal: string) =>
    `Deno.kill(Deno.pid, "${signal}");
     await new Promise((go) => signal.addEventListener("abort", go));`;
  const bodies: [string, number][] = [
    ["", 0],
    ["return 3;", 3],
    [`throw new PoolscopeError("Cannot do it");`, 1],
    [`throw new Error("a fault of ours");`, 1],
    [`throw new UsageError("Cannot use it");`, 2],
    [`${kill("SIGINT")} throw new UsageError("Cannot use it");`, 130],
    [`${kill("SIGTERM")} return 3;`, 143],
    [`${kill("SIGHUP")}`, 129],
  ];
  await Promise.all(bodies.map(async ([body, status]) => {
    const { code, stderr } = await ended([
      "eval",
      `import { runTask } from ${cli};
       import { PoolscopeError, UsageError } from ${errors};
       await runTask("Usage", async (signal) => { ${body} });`,
    ]);
    equal(code, status, `${body}: ${stderr}`);
  }));
});

Deno.test("an error that nobody waited for is one line, and stops what runs", async () => {
  const cli = JSON.stringify(new URL("./cli.ts", import.meta.url).href);
  const { code, stdout, stderr } = await ended([
    "eval",
    `import { runTask } from ${cli};
     await runTask("Usage", async (signal) => {
       Promise.reject(new TypeError("it broke\\nsecond line"));
       await new Promise((go) => signal.addEventListener("abort", go));
       console.log("stopped");
     });`,
  ]);
  equal(code, 1, stderr);
  equal(stdout, "stopped\n");
  match(stderr, /^Unexpected TypeError: it broke; set POOLSCOPE_DEBUG=1 [^\n]*\n$/);
});

Deno.test("run of a study ends in a report, with 3 where no run was accepted", async () => {
  const openLoop = { shares: [0.5], rounds: 1, warmUpS: 1, windowS: 10 };
  const plan = syntheticPlan({ users: [100], rounds: 1, openLoop });
  const cases: { describe: Partial<SyntheticRun>; why: RegExp; blocked?: boolean }[] = [
    { describe: { rejected: true }, why: /6 runs rejected \(generator late\)/ },
    { describe: { cause: "it broke", noLoad: true }, why: /6 runs failed \(it broke\)/ },
    {
      describe: { rejected: true },
      why: /^Cannot write data.*\/report\/.*: \w+; make/,
      blocked: true,
    },
  ];
  for (const [i, { describe, why, blocked = false }] of cases.entries()) {
    const study = `exit-${i}-${Deno.pid}`;
    const folder = studyFolder(study);
    using made = syntheticStudy(plan, () => ({ rps: 100, medianMs: 10, ...describe }));
    try {
      cpSync(made.folder, folder, { recursive: true });
      if (blocked) writeFileSync(join(folder, "report"), "");
      const { code, stdout, stderr } = await task("run", "--study", study, "--json");
      equal(code, blocked ? 1 : 3, stdout + stderr);
      const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
      const { event, ...end } = events.at(-1);
      if (blocked) {
        equal(event, "report_failed");
        match(end.cause, why);
        deepEqual(end.files, []);
        continue;
      }
      equal(event, "report_finished");
      deepEqual([end.accepted, end.rejected + end.failed, end.comparisons.length], [0, 6, 3]);
      match(end.answer, /\w/);
      for (const file of end.files) equal(existsSync(join(ROOT, file)), true, file);
      match(readFileSync(join(ROOT, end.files[0]), "utf8"), why);
      equal(existsSync(join(folder, "open-loop")), false);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
});
