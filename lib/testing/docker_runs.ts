/** Runs on Docker for tests. */

import { equal, match } from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DockerEngine, type DockerEngineOptions } from "../engine/docker.ts";
import type { Daemon } from "../hosts/docker/daemon.ts";
import { waitUntil } from "../hosts/wait.ts";
import type { Plan, PlannedRun } from "../plan.ts";
import { readRun } from "../report/read_run.ts";
import { runScenario } from "../run_group.ts";
import { createScenario, type Scenario, scenarioId } from "../scenario.ts";
import type { RunSummary } from "../stats/summary.ts";
import { EventLog } from "../store/events.ts";
import { ROOT, runFolder, studyFolder } from "../store/layout.ts";
import type { Manifest } from "../store/manifest.ts";

/** A start of a task in a process of its own. */
export function startTask(task: string, args: readonly string[], env: Record<string, string> = {}) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", `lib/tasks/${task}.ts`, ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const result = Promise.all([
    child.status,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]).then(([{ code }, stdout, stderr]) => ({ code, stdout, stderr }));
  return { pid: child.pid, result };
}

/** Waits until a study's first run is in a phase; `result` is of the start that runs it. */
export async function reach(
  study: string,
  phase: string,
  result: Promise<{ stderr: string }>,
): Promise<void> {
  let ended: string | null = null;
  result.then(({ stderr }) => ended = `it ended: ${stderr}`);
  const file = join(studyFolder(study), "events.jsonl");
  await waitUntil(
    () => existsSync(file) && readFileSync(file, "utf8").includes(`"phase":"${phase}"`) || null,
    { what: `phase ${phase}`, timeoutS: 120, intervalMs: 20, hopeless: () => ended },
  );
}

/** Kills a start and its keeper, so that nobody is left to sweep. */
export async function killOutright({ pid, result }: ReturnType<typeof startTask>): Promise<void> {
  const keepers = new Deno.Command("pgrep", {
    args: ["-P", String(pid), "-f", "poolscope-keeper"],
  }).outputSync();
  for (const keeper of new TextDecoder().decode(keepers.stdout).trim().split("\n")) {
    Deno.kill(Number(keeper), "SIGKILL");
  }
  Deno.kill(pid, "SIGKILL");
  await result;
}

/** Runs of one study on one engine. */
export class Runs implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "poolscope-docker-"));
  #round = 0;

  private constructor(readonly engine: DockerEngine) {}

  static async open(
    daemon: Daemon,
    options: Pick<DockerEngineOptions, "apps"> = {},
  ): Promise<Runs> {
    return new Runs(await DockerEngine.open({ daemon, study: "docker-test", ...options }));
  }

  /** One run; `during` is called when the load has gone on for a second. */
  async run(
    values: Partial<Scenario>,
    { windowS = 2, during }: { windowS?: number; during?: () => unknown } = {},
  ): Promise<{ manifest: Manifest; folder: string; planned: PlannedRun }> {
    const mild = { users: 5, workers: 1, thinkTimeMinS: 0.05, thinkTimeMaxS: 0.05 };
    const scenario = createScenario({ framework: "flask", path: "direct", ...mild, ...values });
    const round = ++this.#round;
    const planned = { id: scenarioId(scenario), scenario, round, order: round };
    const plan: Plan = {
      name: "docker",
      purpose: "Docker.",
      functionalCheck: true,
      rounds: 1,
      seed: 1,
      warmUpS: 0.5,
      windowS,
      scenarios: [scenario],
    };
    let happening: unknown;
    const manifest = await runScenario(planned, {
      study: "docker-test",
      folder: this.folder,
      plan,
      engine: this.engine,
      events: new EventLog(join(this.folder, "events.jsonl"), [({ event }) => {
        if (event === "live") happening ??= during?.();
      }]),
      machine: { gitCommit: null, host: this.engine.host! },
      signal: new AbortController().signal,
    });
    await happening;
    return { manifest, folder: runFolder(this.folder, planned.id, round), planned };
  }

  /** One run, as a report reads it. */
  async read(scenario: Scenario, windowS = 3): Promise<RunSummary> {
    const { planned } = await this.run(scenario, { windowS });
    return (await readRun(this.folder, planned))!.run;
  }

  /** A run that must fail with this cause. */
  async fails(
    cause: RegExp,
    values: Partial<Scenario>,
    options: { windowS?: number; during?: () => unknown } = {},
  ): Promise<Manifest> {
    const { manifest } = await this.run(values, options);
    console.log(`  ${manifest.cause}`);
    equal(manifest.status, "failed");
    match(manifest.cause!, cause);
    equal(manifest.cause!.includes("\n"), false);
    return manifest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
