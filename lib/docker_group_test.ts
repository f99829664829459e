// test lane: docker
/** Arms that take turns under load on a Docker daemon: what they leave in their folders, and what not. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { DockerEngine } from "./engine/docker.ts";
import type { Engine } from "./engine/engine.ts";
import { LocalEngine } from "./engine/local.ts";
import { readSlices } from "./frames/own_time.ts";
import { sweepDocker } from "./hosts/docker/sweep.ts";
import { sweep } from "./hosts/owned.ts";
import { waitUntil } from "./hosts/wait.ts";
import { parsePlan, type PlannedRun } from "./plan.ts";
import { runGroup } from "./run_group.ts";
import { scenarioId } from "./scenario.ts";
import { setUp } from "./setup/mod.ts";
import { EventLog } from "./store/events.ts";
import { RUN_COLUMNS, runFolder, studyFolder } from "./store/layout.ts";
import { readFinal } from "./store/account.ts";
import { dockerTests, looseEnds } from "./testing/docker.ts";
import { killOutright, reach, startTask } from "./testing/docker_runs.ts";
import { findLeftovers } from "./testing/leftovers.ts";
import { equalShapes, rowsOf, shapeOfRun } from "./testing/run_shape.ts";

const dockerTest = await dockerTests("arms that take turns in containers");

/** Users who think leave the machine to what is tested here. */
const USERS = { users: 4, workers: 1, thinkTimeMinS: 0.1, thinkTimeMaxS: 0.1 };

/** A plan of arms that take turns, each for a short while. */
function planOf(arms: { framework: string; path: string }[], windowS: number): string {
  return JSON.stringify({
    name: "group",
    design: "alternating",
    rounds: 1,
    warmUpS: 2,
    windowS,
    functionalCheck: true,
    scenarios: arms.map((arm) => ({ ...arm, ...USERS })),
  });
}

const ARMS = [{ framework: "flask", path: "direct" }, { framework: "fastapi", path: "pooled" }];

/** As a plan has them that compares them. */
const PATHS = [{ framework: "flask", path: "direct" }, { framework: "flask", path: "pooled" }];

/** Runs all scenarios of a plan as one group, and gives the folders of its runs. */
async function runArms(engine: Engine, text: string, study: string): Promise<string[]> {
  const plan = parsePlan(text, "the test");
  const runs = plan.scenarios.map((scenario, i): PlannedRun => (
    { id: scenarioId(scenario), scenario, round: 1, order: i + 1 }
  ));
  // As a start leaves it that is killed.
  mkdirSync(join(study, ".group-1", "0"), { recursive: true });
  for (const name of [".start", "0/stale.csv"]) writeFileSync(join(study, ".group-1", name), "");
  const machine = { cpus: 1, cpuModel: "", memoryMiB: 1, kernel: "" };
  const manifests = await runGroup(runs, {
    study: "group-test",
    folder: study,
    plan,
    engine,
    events: new EventLog(join(study, "events.jsonl")),
    machine: { gitCommit: null, host: engine.host ?? machine },
    signal: new AbortController().signal,
  });
  deepEqual(manifests.map(({ cause }) => cause), manifests.map(() => null));
  deepEqual(readdirSync(study).filter((name) => name.startsWith(".")), []);
  return runs.map(({ id }) => runFolder(study, id, 1));
}

/** PgBouncer's queries while the run was under load; null where there is no PgBouncer. */
function countQueries(folder: string): number | null {
  const column = Object.keys(RUN_COLUMNS["pgbouncer.csv"]).indexOf("total_query_count");
  const counts = rowsOf(folder, "pgbouncer.csv").map((row) => Number(row[column]));
  return counts.length === 0 ? null : counts.at(-1)! - counts[0]!;
}

Deno.test(dockerTest(
  "arms that take turns in containers leave what they leave on the local engine, and nothing else",
  async (found) => {
    await sweepDocker(found.daemon);
    const before = await looseEnds(found);
    const here = findLeftovers();
    const root = mkdtempSync(join(tmpdir(), "poolscope-group-"));
    const text = planOf(ARMS, 0.3);
    const inContainers = async () => {
      await using engine = await DockerEngine.open({ daemon: found.daemon, study: "group-test" });
      return await runArms(engine, text, join(root, "docker"));
    };
    const onThisMachine = async () => {
      await using engine = new LocalEngine(await setUp());
      return await runArms(engine, text, join(root, "local"));
    };
    try {
      const [docker, local] = await Promise.all([inContainers(), onThisMachine()]);
      for (const [i, { framework, path }] of ARMS.entries()) {
        const name = `${framework} ${path}`;
        const shape = await shapeOfRun(docker[i]!);
        equalShapes(shape, await shapeOfRun(local[i]!), name);
        equal(shape.files.includes("stale.csv"), false);
        const pgbouncer = path === "pooled" ? ["pgbouncer"] : [];
        deepEqual(shape.services, ["app", "host", "locust", ...pgbouncer, "postgres"], name);
        const { requests } = readFinal(docker[i]!);
        const queries = countQueries(docker[i]!);
        console.log(`  ${name}: ${requests} requests, ${queries} queries through PgBouncer`);
        if (path === "direct") equal(queries, null);
        else ok(queries! >= requests && requests > 0, `${queries} queries, ${requests} requests`);
      }
      const turns = docker.flatMap((folder) => readSlices(folder)!)
        .sort((a, b) => a.startUs - b.startUs);
      ok(turns.every(({ startUs }, i) => i === 0 || turns[i - 1]!.drainedUs < startUs));
      ok(turns.filter(({ block }) => block > 0).length >= 2 * ARMS.length, `${turns.length} turns`);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
    deepEqual(await looseEnds(found), before);
    deepEqual(findLeftovers().filter((line) => !here.includes(line)), []);
  },
));

/** The names by which a study's containers are known in each of the runs' networks, the smallest first. */
async function namesInNetworks(docker: Docker, study: string): Promise<string[][]> {
  const filters = { label: [`org.poolscope.study=${study}`] };
  const names: Record<string, string[]> = {};
  for (const { Id } of await docker.listContainers({ filters })) {
    const { Name, NetworkSettings: { Networks } } = await docker.getContainer(Id).inspect();
    for (const [network, { Aliases }] of Object.entries(Networks)) {
      // Docker itself makes its short id a further one.
      const own = (Aliases ?? []).filter((alias: string) => !Id.startsWith(alias));
      (names[network] ??= []).push(own[0] ?? Name.split("-").at(-1)!);
    }
  }
  return Object.entries(names).filter(([network]) => network.endsWith("-run"))
    .map(([, all]) => all).sort((a, b) => a.length - b.length);
}

/** How many turns Locust has written, in its container. */
async function countTurns(docker: Docker, study: string): Promise<number> {
  const filters = { label: [`org.poolscope.study=${study}`], name: ["-locust"] };
  const [locust] = await docker.listContainers({ filters });
  const look =
    "find / -path /proc -prune -o -name slices.csv -exec cat {} + 2>/dev/null | grep -c ^[0-9]";
  const exec = await docker.getContainer(locust!.Id)
    .exec({ Cmd: ["sh", "-c", look], AttachStdout: true, Tty: true });
  let count = "";
  for await (const chunk of await exec.start({ Tty: true })) count += chunk;
  return Number(count);
}

Deno.test(dockerTest(
  "what is left of arms whose start is killed between their blocks is gone with the next start",
  async (found) => {
    await sweepDocker(found.daemon);
    const before = await looseEnds(found);
    const here = findLeftovers();
    const study = `test-group-${Deno.pid}`;
    const folder = mkdtempSync(join(tmpdir(), "poolscope-group-"));
    try {
      const plan = join(folder, "plan.json");
      writeFileSync(plan, planOf(PATHS, 2));
      const started = startTask("run", ["--engine", "docker", "--plan", plan, "--study", study]);
      await reach(study, "window", started.result);
      // Of each arm a turn of the warm-up and one of the first of four blocks.
      await waitUntil(async () => await countTurns(found.docker, study) >= 4 || null, {
        what: "the end of the first block",
      });
      const names = await namesInNetworks(found.docker, study);
      deepEqual(names.map(({ length }) => length), [3, 4]);
      // Each app is known by a name of its own to Locust, which is in the networks of both.
      deepEqual(names.flatMap((all) => all.filter((name) => name.startsWith("flask"))).sort(), [
        "flask",
        "flask-1",
      ]);
      ok(names.every((all) => all.includes("postgres")), names.join("; "));
      await killOutright(started);
      const events = readFileSync(join(studyFolder(study), "events.jsonl"), "utf8");
      equal(events.includes('"phase":"stop"'), false);
      // Of each arm a network, PostgreSQL and the app; PgBouncer, Locust, and the relay in its network.
      const left = (await looseEnds(found)).filter((line) => !before.includes(line));
      const count = (kind: string) => left.filter((line) => line.startsWith(`${kind} `)).length;
      deepEqual([count("container"), count("network")], [7, 3]);
      const lines = await sweep();
      match(
        lines.join("\n"),
        /Removed 7 containers and 3 networks that an earlier start left on Docker/,
      );
      deepEqual(await looseEnds(found), before);
      deepEqual(findLeftovers().filter((line) => !here.includes(line)), []);
    } finally {
      for (const left of [folder, studyFolder(study)]) {
        rmSync(left, { recursive: true, force: true });
      }
    }
  },
));
