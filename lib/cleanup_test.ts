// test lane: copy
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive } from "./hosts/linux/proc.ts";
import { waitUntil } from "./hosts/wait.ts";
import { parsePlan, type PlannedRun, planRuns } from "./plan.ts";
import { setUp, setUpNotebooks } from "./setup/mod.ts";
import { findOnPath } from "./setup/command.ts";
import { median } from "./stats/percentile.ts";
import type { StudyEvent } from "./store/events.ts";
import { readManifest } from "./store/files.ts";
import { ROOT, runFolder, studyFolder } from "./store/layout.ts";
import { JupyterServer } from "./testing/jupyter.ts";
import { REPORTED } from "./testing/reported.ts";
import type { Sample } from "./testing/short_runs.ts";
import { commandOf, familyOf, findLeftovers } from "./testing/leftovers.ts";

/** All combinations and all 50 runs, instead of those that find most. */
const FULL = Deno.env.get("POOLSCOPE_FULL") === "1";
/**
 * Nothing of ours may be left by then: what stops has 15 s (cli.ts), its keeper waits for 2 s and sweeps
 * for 3 s (owned.ts), and both have to come to run.
 */
const GONE_S = 15 + 2 + 3 + 5;

const THINKING = { thinkTimeMinS: 0.05, thinkTimeMaxS: 0.05 };

const PLAN = JSON.stringify({
  name: "cleanup",
  rounds: 1,
  warmUpS: 2,
  // What is to happen within it does, however late it comes.
  windowS: 4,
  functionalCheck: true,
  // Users who think leave the machine to what is tested here: beginnings and ends.
  scenarios: [
    { framework: "flask", path: "direct", users: 4, workers: 1, ...THINKING },
    { framework: "flask", path: "pooled", users: 4, workers: 1, ...THINKING },
    { framework: "fastapi", path: "pooled", users: 4, ...THINKING },
  ],
});
const RUNS = planRuns(parsePlan(PLAN, "the test"));

function eventsOf(study: string): StudyEvent[] {
  const file = join(studyFolder(study), "events.jsonl");
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** One hash over a folder's names and contents. */
function hashFolder(folder: string): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(folder, { recursive: true }).map(String).sort()) {
    const path = join(folder, name);
    hash.update(`${name}\0`);
    if (statSync(path).isFile()) hash.update(readFileSync(path));
  }
  return hash.digest("hex");
}

/** The complete runs of a study, each with one hash over everything in its folder. */
function completeRuns(study: string): Record<string, string> {
  return Object.fromEntries(
    RUNS.map((run) => runFolder(studyFolder(study), run.id, run.round))
      .filter((folder) => existsSync(join(folder, "manifest.json")))
      .map((folder) => [folder, hashFolder(folder)]),
  );
}

/** How a start is given: what a user types. */
const COMMANDS = {
  deno: [Deno.execPath(), "run", "--allow-all", "lib/tasks/run_all.ts"],
  run: [Deno.execPath(), "run", "--allow-all", "lib/tasks/run.ts"],
  task: [Deno.execPath(), "task", "--quiet", "run-all"],
  npx: ["npx", "-y", `deno@${Deno.version.deno}`, "task", "--quiet", "run-all"],
};

/** A start of `run-all` in a process of its own. */
class Start {
  readonly pid: number;
  readonly result: Promise<{ code: number; output: string }>;
  #family: { pid: number; startTicks: number }[] = [];

  constructor(readonly study: string, options: string[], via: keyof typeof COMMANDS = "deno") {
    const [program, ...args] = COMMANDS[via];
    const child = new Deno.Command(program!, {
      args: [...args, "--engine", "local", "--study", study, ...options],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = child.pid;
    this.result = Promise.all([
      child.status,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]).then(([{ code }, stdout, stderr]) => ({ code, output: stdout + stderr }));
  }

  /** Waits until the study is in this phase of a run, or executes a notebook. */
  async reach(phase: string, seen: number, order = 2): Promise<void> {
    let ended: string | null = null;
    this.result.then(({ code, output }) => ended = `it ended with ${code}: ${output}`);
    await waitUntil(
      () =>
        phase === "report"
          ? this.find(/ jupyter --kernel/)
          : eventsOf(this.study).slice(seen).find((event) =>
            event.event === "phase" && event.order === order && event.phase === phase
          ) ?? null,
      { what: `phase ${phase}`, timeoutS: 90, intervalMs: 10, hopeless: () => ended },
    );
    this.#family = familyOf(this.pid);
  }

  /** The process of this start that was started by such a command. */
  find(command: RegExp): number | null {
    return familyOf(this.pid).find(({ pid }) => command.test(commandOf(pid)))?.pid ?? null;
  }

  /** What was running at the phase that was reached, and still is. */
  survivors(): string[] {
    return this.#family.filter(({ pid, startTicks }) => isAlive(pid, startTicks))
      .map(({ pid }) => `process ${pid}: ${commandOf(pid)}`);
  }
}

/**
 * Waits until nothing is left that was not there before, and gives the seconds that it took.
 *
 * @param before What was there.
 * @param survivors What must be gone too, whatever it looks like. @default nothing
 * @param others What may come up meanwhile. @default nothing
 */
async function untilGone(
  before: string[],
  survivors: () => string[] = () => [],
  others = /(?!)/,
): Promise<number> {
  const begun = performance.now();
  const left = () => [
    ...survivors(),
    ...findLeftovers().filter((line) => !before.includes(line) && !others.test(line)),
  ];
  await waitUntil(() => left().length === 0 || null, { what: "the end", timeoutS: GONE_S })
    .catch((error) => {
      throw new Error(`Left after ${GONE_S} s:\n${left().join("\n")}`, { cause: error });
    });
  return (performance.now() - begun) / 1000;
}

interface Case {
  phase: string;
  signal: "SIGINT" | "SIGTERM" | "SIGKILL";
  via?: keyof typeof COMMANDS;
  /** How often the signal is sent. */
  times?: number;
}

const PHASES = ["start", "verify", "warm-up", "window", "stop", "report"];
const CASES: Case[] = [
  ...PHASES.flatMap((phase): Case[] => [
    { phase, signal: "SIGKILL" },
    { phase, signal: "SIGINT" },
    ...(FULL || phase === "window" ? [{ phase, signal: "SIGTERM" as const }] : []),
  ]),
  { phase: "window", signal: "SIGINT", times: 2 },
  { phase: "window", signal: "SIGKILL", via: "task" },
  ...(FULL ? [{ phase: "warm-up", signal: "SIGTERM", via: "task" } as const] : []),
  ...(findOnPath("npx") === null ? [] : [
    { phase: "window", signal: "SIGTERM", via: "npx" } as const,
    ...(FULL ? [{ phase: "verify", signal: "SIGKILL", via: "npx" } as const] : []),
  ]),
];
const STATUS = { SIGINT: 130, SIGTERM: 143, SIGKILL: 137 };

async function interruptAt(study: string, plan: string, one: Case): Promise<string> {
  const { phase, signal, via = "deno", times = 1 } = one;
  const before = findLeftovers();
  const complete = completeRuns(study);
  const start = new Start(study, ["--plan", plan], via);
  await start.reach(phase, eventsOf(study).length);
  Deno.kill(start.pid, signal);
  for (let i = 1; i < times; i++) {
    // Sooner, it would be the first one come by another way; see `runTask`.
    await sleep(600);
    try {
      Deno.kill(start.pid, signal);
    } catch (error) {
      // It had ended by then, which is as well.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  const tookS = await untilGone(before, () => start.survivors());
  const { code, output } = await start.result;
  const told = `${via}, ${signal} at ${phase}`;
  equal(code, STATUS[signal], `${told}: ${output}`);
  // By itself, not by its keeper once its time was over.
  if (signal !== "SIGKILL" && times === 1) {
    match(output, /Interrupted: everything is stopped/, told);
  }
  const after = completeRuns(study);
  for (const [folder, hash] of Object.entries(complete)) equal(after[folder], hash, told);
  return `${told}${times > 1 ? ` ${times} times` : ""}: nothing left after ${tookS.toFixed(1)} s`;
}

Deno.test("whatever ends a start, nothing is left and the next one goes on", async (t) => {
  await setUp();
  const study = `test-signals-${Deno.pid}`;
  const plan = `${Deno.makeTempDirSync()}/plan.json`;
  writeFileSync(plan, PLAN);
  const before = findLeftovers();
  try {
    await t.step("a second start is told who runs the study", async () => {
      // Far longer than the second start takes on a busy machine.
      const long = plan.replace("plan.json", "long.json");
      writeFileSync(long, PLAN.replace('"warmUpS":2', '"warmUpS":300'));
      const name = `${study}-long`;
      const first = new Start(name, ["--plan", long]);
      await first.reach("warm-up", 0, 1);
      const second = await new Start(name, ["--plan", long]).result;
      equal(second.code, 1);
      match(second.output.trim(), new RegExp(`"${name}": another start \\(pid ${first.pid} on `));
      match(second.output, /kill \d+`, or choose another --study/);
      Deno.kill(first.pid, "SIGTERM");
      equal((await first.result).code, 143);
      await untilGone(before);
      ok(!existsSync(join(studyFolder(name), ".lock")));
    });

    for (const one of CASES.filter(({ phase }) => phase !== "report")) {
      await t.step(
        `${one.via ?? "deno"}: ${one.signal} × ${one.times ?? 1} at ${one.phase}`,
        async () => {
          console.log(`    ${await interruptAt(study, plan, one)}`);
        },
      );
    }

    await t.step(
      "without its keeper, what a killed start leaves is swept by the next",
      () => killWithoutKeeper(study, plan, before),
    );

    await t.step(
      "Locust killed: its run has failed, the study goes on",
      () => killLocust(study, plan, before),
    );

    for (const one of CASES.filter(({ phase }) => phase === "report")) {
      await t.step(`${one.signal} at ${one.phase}`, async () => {
        console.log(`    ${await interruptAt(study, plan, one)}`);
      });
    }

    await t.step("no run was repeated that was complete", () => {
      const finished = eventsOf(study).filter((event) => event.event === "run_finished");
      deepEqual(finished.map(({ order }) => order), [1, 2, 3]);
    });

    await t.step(
      "failed runs on request and damaged ones are run again, no other",
      () => retryRuns(study, plan, before),
    );
  } finally {
    for (const name of [study, `${study}-long`]) {
      rmSync(studyFolder(name), { recursive: true, force: true });
    }
  }
});

Deno.test("a group that is ended in its blocks leaves nothing, and is repeated as a whole", async () => {
  await setUp();
  const study = `test-turns-${Deno.pid}`;
  const plan = `${Deno.makeTempDirSync()}/plan.json`;
  const turns = { design: "alternating", minutes: 0.3, warmUpS: 1, windowS: 0.5 };
  const { scenarios, ...rest } = JSON.parse(PLAN);
  writeFileSync(plan, JSON.stringify({ ...rest, ...turns, scenarios: scenarios.slice(0, 2) }));
  const before = findLeftovers();
  try {
    for (const signal of ["SIGKILL", "SIGINT"] as const) {
      const start = new Start(study, ["--plan", plan], "run");
      await start.reach("window", eventsOf(study).length, 1);
      Deno.kill(start.pid, signal);
      console.log(
        `  ${signal}: ${(await untilGone(before, () => start.survivors())).toFixed(1)} s`,
      );
      equal((await start.result).code, STATUS[signal]);
    }
    const { code, output } = await new Start(study, ["--plan", plan], "run").result;
    ok(REPORTED.includes(code), output);
    const finished = eventsOf(study).filter((event) => event.event === "run_finished");
    deepEqual(finished.map(({ order }) => order).sort(), [1, 2]);
    deepEqual(readdirSync(studyFolder(study)).filter((name) => name.startsWith(".group")), []);
    await untilGone(before);
  } finally {
    rmSync(studyFolder(study), { recursive: true, force: true });
  }
});

async function killWithoutKeeper(study: string, plan: string, before: string[]): Promise<void> {
  const start = new Start(study, ["--plan", plan]);
  await start.reach("window", eventsOf(study).length);
  Deno.kill(start.find(/^\S*sh -c .* poolscope-keeper /)!, "SIGKILL");
  Deno.kill(start.pid, "SIGKILL");
  await start.result;
  const left = findLeftovers().filter((line) => !before.includes(line));
  ok(left.some((line) => /\/postgres\/poolscope-.*-postgres$/.test(line)), left.join("\n"));
  const seen = eventsOf(study).length;
  const next = new Start(study, ["--plan", plan]);
  await next.reach("start", seen);
  const notes = eventsOf(study).slice(seen).flatMap((event) =>
    event.event === "note" ? [event.text] : []
  );
  match(notes.join("\n"), new RegExp(`Recovered the lock of pid ${start.pid} on `));
  match(notes.join("\n"), /Removed \d+ temporary folders that an earlier start left/);
  deepEqual(findLeftovers().filter((line) => left.includes(line)), []);
  Deno.kill(next.pid, "SIGTERM");
  await next.result;
  await untilGone(before);
}

async function killLocust(study: string, plan: string, before: string[]): Promise<void> {
  const folder = studyFolder(study);
  const complete = completeRuns(study);
  equal(Object.keys(complete).length, 1);
  const start = new Start(study, ["--plan", plan]);
  await start.reach("window", eventsOf(study).length);
  Deno.kill(start.find(/ -m locust /)!, "SIGKILL");
  const { code, output } = await start.result;
  ok(REPORTED.includes(code), output);
  ok(existsSync(join(folder, "report", "90_report.html")));
  await untilGone(before, () => start.survivors());
  const manifests = RUNS.map((run) => readManifest(runFolder(folder, run.id, run.round))!);
  deepEqual(manifests.map(({ status }) => status), ["ok", "failed", "ok"]);
  match(manifests[1]!.cause!, /Locust was ended by SIGKILL/);
  deepEqual({ ...completeRuns(study), ...complete }, completeRuns(study));
}

async function retryRuns(study: string, plan: string, before: string[]): Promise<void> {
  const [sound, , damaged] = RUNS as [PlannedRun, PlannedRun, PlannedRun];
  const place = ({ id, round }: PlannedRun) => runFolder(studyFolder(study), id, round);
  writeFileSync(join(place(damaged), "requests.csv"), "changed", { flag: "a" });
  const hash = hashFolder(place(sound));
  const seen = eventsOf(study).length;
  const { code, output } = await new Start(study, ["--plan", plan, "--retry-failed"], "run")
    .result;
  ok(REPORTED.includes(code), output);
  equal(hashFolder(place(sound)), hash);
  const events = eventsOf(study).slice(seen);
  const finished = events.filter((event) => event.event === "run_finished");
  deepEqual(finished.map(({ order, status }) => [order, status === "failed"]), [
    [2, false],
    [3, false],
  ]);
  const notes = events.filter((event) => event.event === "note").map(({ text }) => text);
  ok(
    notes.includes(
      `Running ${damaged.id}, round 1 again: its requests.csv does not match its hash`,
    ),
    notes.join("\n"),
  );
  await untilGone(before);
}

Deno.test("the kernel's Stop button ends the cell and leaves the kernel; its death leaves nothing", async (t) => {
  const { python } = await setUpNotebooks({ lab: true });
  const study = `test-kernel-${Deno.pid}`;
  const plan = `${Deno.makeTempDirSync()}/plan.json`;
  writeFileSync(plan, PLAN);
  const call = `await runStudy({ plan: ${
    JSON.stringify(plan)
  }, study: "${study}", engine: "local", start: true })`;
  const window = async (seen: number) => {
    await waitUntil(
      () =>
        eventsOf(study).slice(seen).find((event) =>
          event.event === "phase" && event.phase === "window"
        ) ?? null,
      { what: "the window", timeoutS: 90 },
    );
  };
  try {
    await using server = await JupyterServer.start(python);
    const session = await server.open("notebooks/00_overview.ipynb");
    const [, first] = await session.run(
      'import { runStudy } from "poolscope";\nlet state = 41;',
      "Deno.pid",
    );
    const kernel = Number(stripVTControlCharacters(String(first![0]!.data["text/plain"])));
    const withKernel = findLeftovers();

    await t.step("a study that is not there is not begun by a name that is a slip", async () => {
      const [outputs] = await session.run(
        `await runStudy({ plan: ${JSON.stringify(plan)}, study: "newset" })`,
      );
      match(outputs!.at(-1)!.error ?? "", /study "newset": there is none .*mean "newest"\?\)/);
      ok(!existsSync(studyFolder("newset")));
    });

    await t.step("Stop", async () => {
      const cell = session.run(call);
      await window(0);
      await session.interrupt();
      const [outputs] = await cell;
      match(outputs!.at(-1)!.error ?? "", /The study was interrupted; complete runs are kept/);
      const tookS = await untilGone(withKernel);
      console.log(`    nothing left ${tookS.toFixed(1)} s after the cell's end`);
      const [value] = await session.run("state + 1");
      match(String(value![0]!.data["text/plain"]), /42/);
      ok(!existsSync(join(studyFolder(study), ".lock")));
    });

    await t.step("SIGKILL", async () => {
      const complete = completeRuns(study);
      const died = session.run(call).then(() => "ended", () => "died");
      await window(eventsOf(study).length);
      const family = familyOf(kernel);
      Deno.kill(kernel, "SIGKILL");
      const survivors = () =>
        family.filter(({ pid, startTicks }) => isAlive(pid, startTicks))
          .map(({ pid }) => commandOf(pid));
      // The server starts another kernel in its place, sooner or later.
      const tookS = await untilGone(withKernel, survivors, / jupyter --kernel /);
      console.log(`    nothing left after ${tookS.toFixed(1)} s`);
      equal(await died, "died");
      deepEqual({ ...completeRuns(study), ...complete }, completeRuns(study));
    });
    // The server refuses while it starts another kernel in the dead one's place.
    await waitUntil(() => session.end().then(() => true), { what: "the session's end" });
  } finally {
    rmSync(studyFolder(study), { recursive: true, force: true });
  }
});

/** Bytes in a folder, by what its files hold. */
function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

Deno.test("short runs in a row leave no processes, descriptors, temporary files or memory", async () => {
  await setUp();
  const runs = FULL ? 50 : 24;
  const study = `test-leaks-${Deno.pid}`;
  const plan = `${Deno.makeTempDirSync()}/plan.json`;
  const { scenarios, ...rest } = parsePlan(PLAN, "the test");
  writeFileSync(
    plan,
    JSON.stringify({
      ...rest,
      rounds: runs / 2,
      warmUpS: 0.5,
      windowS: 0.5,
      scenarios: scenarios.filter(({ path }) => path === "pooled"),
    }),
  );
  const before = findLeftovers();
  try {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        "--v8-flags=--expose-gc",
        "lib/testing/short_runs.ts",
        plan,
        study,
      ],
      cwd: ROOT,
    }).output();
    equal(code, 0, new TextDecoder().decode(stderr));
    const samples: Sample[] = new TextDecoder().decode(stdout).trim().split("\n")
      .map((line) => JSON.parse(line));
    equal(samples.length, runs);
    // What is loaded and compiled once is there after a third of them.
    const steady = samples.slice(runs / 3);
    const third = Math.floor(steady.length / 3);
    const growth = (key: keyof Sample, of: (values: number[]) => number | null = median) => {
      const amount = (part: Sample[]) => of(part.map((sample) => sample[key]))!;
      return amount(steady.slice(-third)) - amount(steady.slice(0, third));
    };
    // What waits to be given back comes and goes; what is never given back raises the least.
    const grownMiB = growth("memoryMiB", (values) => Math.min(...values));
    const perRun = sizeOf(studyFolder(study)) / runs / 1024;
    console.log(
      `    ${runs} runs: ${growth("processes")} processes, ${growth("descriptors")} descriptors, ` +
        `${growth("leftovers")} temporary things, ${grownMiB.toFixed(1)} MiB more at ` +
        `${steady.at(-1)!.memoryMiB.toFixed(0)} MiB; ${perRun.toFixed(0)} KiB of results per run`,
    );
    const told = JSON.stringify(samples);
    // A process of PostgreSQL's own comes and goes.
    ok(growth("processes") <= 1, told);
    // What Deno opens once and keeps is a step; what runs leave would be many.
    const rises = steady.filter(({ descriptors }, i) =>
      i > 0 && descriptors > steady[i - 1]!.descriptors
    );
    ok(growth("descriptors") <= 0 || rises.length <= steady.length / 8, told);
    ok(growth("leftovers") <= 1, told);
    ok(grownMiB <= 10, told);
    await untilGone(before);
  } finally {
    rmSync(studyFolder(study), { recursive: true, force: true });
  }
});
