// test lane: docker
/** The Docker engine, on the daemon that this machine has. */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { warnOfLimits } from "./hosts/docker/docker_host.ts";
import { changePlan, namedPlan } from "./plan.ts";
import { createScenario, scenarioId, type ScenarioValues } from "./scenario.ts";
import { ensureImages } from "./services/images.ts";
import { setUp } from "./setup/mod.ts";
import { differingInputs } from "./store/manifest.ts";
import { runFolder, studyFolder } from "./store/layout.ts";
import { dockerTests } from "./testing/docker.ts";
import { REPORTED } from "./testing/reported.ts";
import { Runs, startTask } from "./testing/docker_runs.ts";
import { HostileShell } from "./testing/hostile.ts";
import { equalShapes, shapeOfRun } from "./testing/run_shape.ts";

const dockerTest = await dockerTests("the Docker engine's runs");

/** A window that ends with what happens in it, however late that comes; its length costs nothing. */
const CUT_SHORT_S = 15;

/** Longer than what is asked of the daemon while the load runs may take. */
const ASKED_S = 10;

/** All apps instead of two. */
const FULL = Deno.env.get("POOLSCOPE_FULL") === "1";

/** The running container of a service of our test's study. */
async function containerOf(docker: Docker, service: string): Promise<Docker.Container> {
  const all = await docker.listContainers({
    filters: { label: ["org.poolscope.study=docker-test"] },
  });
  const found = all.filter(({ Names }) => Names.some((name) => name.endsWith(`-${service}`)));
  equal(found.length, 1, `${service}: ${all.map(({ Names }) => Names)}`);
  return docker.getContainer(found[0]!.Id);
}

/** Kills a service while the load runs. */
function killed(docker: Docker, service: string) {
  const during = async () => (await containerOf(docker, service)).kill();
  return { during, windowS: CUT_SHORT_S };
}

/** The shapes of a study's runs, by their ids. */
async function shapesOf(study: string, scenarios: string[]) {
  equal(scenarios.length, FULL ? 6 : 4);
  const shapes = scenarios.map(async (id) =>
    [id, await shapeOfRun(runFolder(studyFolder(study), id, 1))] as const
  );
  return Object.fromEntries(await Promise.all(shapes));
}

Deno.test(
  dockerTest("from a hostile shell, both engines leave equal run folders", async ({ docker }) => {
    const studies = { docker: `test-docker-${Deno.pid}`, local: `test-local-${Deno.pid}` };
    // In this shell, as the other one's proxy gives neither packages nor images.
    await Promise.all([setUp(), ensureImages(docker, { tag: Deno.env.get("POOLSCOPE_TAG") })]);
    using shell = new HostileShell();
    // Two apps, one of each way to run requests. What is compared are their closed-loop runs.
    const smoke = changePlan(namedPlan("smoke"), {
      settings: { workers: 1, thinkTimeMinS: 0.05, thinkTimeMaxS: 0.05 },
      ...(!FULL && { frameworks: ["fastapi", "flask"] }),
    });
    const { openLoop: _, ...closedLoop } = smoke;
    const folder = Deno.makeTempDirSync();
    const plans = { docker: join(folder, "smoke.json"), local: join(folder, "closed_loop.json") };
    writeFileSync(plans.docker, JSON.stringify(smoke));
    writeFileSync(plans.local, JSON.stringify(closedLoop));
    try {
      for (
        const [task, ...options] of [
          ["run_all", "--engine", "docker", "--plan", plans.docker, "--study", studies.docker],
          ["run", "--engine", "local", "--plan", plans.local, "--study", studies.local],
        ] as const
      ) {
        const { code, stdout, stderr } = await startTask(task, options, shell.env).result;
        ok(REPORTED.includes(code), stdout + stderr);
      }
      deepEqual(shell.homeFiles(), []);
      ok(existsSync(join(studyFolder(studies.docker), "report", "90_report.html")));
      const scenarios = closedLoop.scenarios.map(scenarioId);
      const docker = await shapesOf(studies.docker, scenarios);
      const local = await shapesOf(studies.local, scenarios);
      for (const id of scenarios) equalShapes(docker[id]!, local[id]!, id);
      const text = readFileSync(
        join(studyFolder(studies.docker), "report", "summary_report.md"),
        "utf8",
      );
      match(text, /shared \d+ cores|had dedicated cores/);
    } finally {
      for (const left of [folder, ...Object.values(studies).map((study) => studyFolder(study))]) {
        rmSync(left, { recursive: true, force: true });
      }
    }
  }),
);

Deno.test(dockerTest(
  "limits are read from inside the containers, and images and versions are named",
  async (found) => {
    await using runs = await Runs.open(found.daemon);
    let inside = "";
    const { manifest } = await runs.run(
      { path: "pooled", appMemoryMiB: 700, pgbouncerCpus: 0.25 },
      {
        during: async () => {
          const exec = await (await containerOf(found.docker, "postgres")).exec({
            Cmd: [
              "sh",
              "-c",
              "cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes cpu.max memory.max 2>/dev/null; :",
            ],
            AttachStdout: true,
            Tty: true,
          });
          for await (const chunk of await exec.start({ Tty: true })) inside += chunk;
        },
        windowS: ASKED_S,
      },
    );
    deepEqual([manifest.cause, manifest.status], [null, "ok"]);
    match(inside, /(?<!\d)50000(\r?\n| 100000\r?\n)536870912\s*$/);
    deepEqual(manifest.limits, {
      postgres: {
        asked: { cpus: 0.5, memoryMiB: 512 },
        readBack: { cpus: 0.5, memoryMiB: 512 },
      },
      app: { asked: { cpus: null, memoryMiB: 700 }, readBack: { cpus: null, memoryMiB: 700 } },
      pgbouncer: {
        asked: { cpus: 0.25, memoryMiB: null },
        readBack: { cpus: 0.25, memoryMiB: null },
      },
    });
    const services = ["postgres", "pgbouncer", "django", "fastapi", "flask", "locust"];
    deepEqual(Object.keys(manifest.images), services);
    for (const image of Object.values(manifest.images)) {
      match(
        image,
        /^poolscope\/.*@sha256:[0-9a-f]{64}$/,
      );
    }
    match(manifest.versions.postgres!, /^16\./);
    match(manifest.versions.pgbouncer!, /^1\.(2[1-9]|[3-9]\d)/);
    match(manifest.versions.python!, /^3\.\d+\.\d+$/);
    const { NCPU } = await found.docker.info();
    equal(manifest.host.cpus, NCPU);
    equal(manifest.cpuSets === null, NCPU < 4);
  },
));

Deno.test(dockerTest(
  "settings by the servers' own names are checked, in force, and in the manifest",
  async ({ daemon }) => {
    await using runs = await Runs.open(daemon);
    const asked = {
      "pgbouncer.reserve_pool_size": 5,
      "pgbouncer.server_lifetime": 60,
      "postgres.work_mem": "8MB",
    };
    const arm = { framework: "flask", path: "pooled", users: 5 } as const;
    const { manifest } = await runs.run(createScenario({ ...arm, ...asked }), { windowS: 1 });
    deepEqual([manifest.cause, manifest.status], [null, "ok"]);
    const { pgbouncer, postgres } = manifest.inputs!.settings!;
    deepEqual([pgbouncer!.reserve_pool_size, pgbouncer!.server_lifetime], ["5", "60"]);
    equal(postgres!.work_mem, "8192");
    equal(manifest.scenario["postgres.work_mem"], "8MB");
    // The next run is without them, on a PostgreSQL of its own.
    const plain = (await runs.run({ path: "pooled" }, { windowS: 1 })).manifest;
    deepEqual([plain.cause, plain.inputs!.settings!.postgres!.work_mem], [null, undefined]);
    equal(plain.inputs!.settings!.pgbouncer!.reserve_pool_size, undefined);
    const check = (values: ScenarioValues) =>
      runs.engine.checkServerSettings([createScenario({ ...arm, ...values })]);
    await check(asked);
    await rejects(check({ "postgres.work_mme": "8MB" }), /did you mean "work_mem"\?/);
    await rejects(check({ "postgres.work_mem": "8XB" }), /PostgreSQL says: invalid value for/);
    await rejects(check({ "pgbouncer.reserve_pool_sze": 5 }), /mean "reserve_pool_size"\?/);
    await rejects(check({ "pgbouncer.reserve_pool_size": "x" }), /PgBouncer says: invalid value/);
  },
));

Deno.test(dockerTest(
  "a container that ends or runs out of memory fails its run with the cause",
  async ({ docker, daemon }, t) => {
    await using runs = await Runs.open(daemon);
    const succeeds = async () => {
      const { manifest } = await runs.run({}, { windowS: 1 });
      deepEqual([manifest.cause, manifest.status], [null, "ok"]);
    };
    const run = async (service: string, Cmd: string[]) => {
      const exec = await (await containerOf(docker, service)).exec({ Cmd });
      await exec.start({ Detach: true });
    };

    await t.step("the app exits by itself, with its last line", async () => {
      const manifest = await runs.fails(
        /^Flask direct: the app exited with code 0 during the load \(.*(Shutting down|Handling signal).*\)$/,
        {},
        {
          // Gunicorn waits for its workers, which wait for their clients.
          during: () =>
            run("app", ["sh", "-c", "kill -QUIT 1; while sleep 0.1; do kill -KILL -1; done"]),
          windowS: CUT_SHORT_S,
        },
      );
      equal(manifest.exitCodes.app, 0);
    });

    await t.step("the app is killed", async () => {
      const manifest = await runs.fails(
        /^Flask pooled: the app was killed by signal 9 during the load, after \d+ requests/,
        { path: "pooled" },
        killed(docker, "app"),
      );
      equal(manifest.exitCodes.app, 137);
    });

    await t.step("PgBouncer is killed", async () => {
      await runs.fails(
        /^Flask pooled: PgBouncer was killed by signal 9 during the load/,
        { path: "pooled" },
        killed(docker, "pgbouncer"),
      );
    });

    await t.step("PostgreSQL is killed, and the next run has a new one", async () => {
      await runs.fails(
        /^Flask direct: PostgreSQL was killed by signal 9 during the load/,
        {},
        killed(docker, "postgres"),
      );
      await succeeds();
    });

    await t.step("a process of the app meets its memory limit", async () => {
      const manifest = await runs.fails(
        /^Flask direct: the app ran out of memory at its limit of 400 MiB \(processes killed by the kernel: [1-9]\d*\)/,
        { appMemoryMiB: 400 },
        { during: () => run("app", ["python", "-c", "x = bytearray(600 * 2**20)"]), windowS: 4 },
      );
      equal(manifest.limits.app?.readBack.memoryMiB, 400);
    });

    await t.step("PostgreSQL does not fit into its limit", async () => {
      await runs.fails(
        /^Flask direct: PostgreSQL ran out of memory (before the load: it uses \d+ MiB, its limit is 8 MiB|at its limit of 8 MiB .*)$/,
        { dbMemoryMiB: 8 },
      );
      await succeeds();
    });

    await t.step("Locust is killed", async () => {
      await runs.fails(
        /^Flask direct: Locust was ended by SIGKILL/,
        {},
        killed(docker, "locust"),
      );
      await succeeds();
    });
  },
));

Deno.test(dockerTest(
  "no container of a run has a health check, which would take CPU from what is measured",
  async ({ docker, daemon }) => {
    await using runs = await Runs.open(daemon);
    const checks: unknown[] = [];
    const { manifest } = await runs.run({ path: "pooled" }, {
      during: async () => {
        for (const service of ["postgres", "pgbouncer", "app", "locust"]) {
          checks.push((await (await containerOf(docker, service)).inspect()).State.Health);
        }
      },
      windowS: ASKED_S,
    });
    deepEqual([manifest.cause, checks], [null, Array(4).fill(undefined)]);
  },
));

Deno.test("without Docker, --engine docker is one line that offers the local engine", async () => {
  const study = `test-without-${Deno.pid}`;
  try {
    for (
      const [url, reason] of [
        ["unix:///nowhere.sock", "there is no socket at /nowhere.sock (--docker-host)"],
        ["tcp://127.0.0.1:1", "nothing listens on tcp://127.0.0.1:1 (--docker-host)"],
      ]
    ) {
      const { code, stderr } = await startTask("run", [
        "--engine",
        "docker",
        "--docker-host",
        url!,
        "--plan",
        "smoke",
        "--study",
        study,
        "--json",
      ]).result;
      equal(code, 1, stderr);
      equal(
        stderr.trim().split("\n").at(-1),
        `Cannot use Docker: ${reason}; start Docker, or use --engine local`,
      );
    }
    const { code, stderr } = await startTask("run", [
      "--engine",
      "docker",
      "--docker-host",
      "ssh://there",
      "--plan",
      "smoke",
      "--study",
      study,
      "--json",
    ]).result;
    equal(code, 2, stderr);
  } finally {
    rmSync(studyFolder(study), { recursive: true, force: true });
  }
});

Deno.test(dockerTest(
  "the doctor names Docker's version and the images that are there",
  async ({ docker }) => {
    const { Version } = await docker.version();
    const { stdout } = await startTask("doctor", ["--json"]).result;
    type Named = { name: string; value: string; state: string };
    const found = (JSON.parse(stdout).checks as Named[]).find(({ name }) => name === "Docker")!;
    ok(found.value.startsWith(`${Version} at `), found.value);
    match(found.value, /all 6 images are built|the images of .* are not built/);
    const absent = await startTask("doctor", ["--json", "--docker-host", "unix:///nowhere.sock"])
      .result;
    const without = (JSON.parse(absent.stdout).checks as Named[]).find((c) => c.name === "Docker")!;
    equal(without.state, "ok");
    match(without.value, /^there is no socket at .*--engine local/);
  },
));

Deno.test("a daemon that cannot set limits is warned of", () => {
  equal(warnOfLimits({ MemoryLimit: true, CpuCfsQuota: true }), null);
  match(
    String(warnOfLimits({ MemoryLimit: false, CpuCfsQuota: false })),
    /^no limit on CPU and mem/,
  );
  match(String(warnOfLimits({ MemoryLimit: true, CpuCfsQuota: false })), /^no limit on CPU of any/);
});

Deno.test(dockerTest(
  "another PostgreSQL has an image of its own, and a version that is nowhere is told",
  async ({ daemon }) => {
    await using runs = await Runs.open(daemon);
    const arm = { framework: "flask", path: "pooled", users: 5 } as const;
    const other = createScenario({ ...arm, postgresVersion: "17" });
    await runs.engine.checkServerSettings([other, createScenario(arm)]);
    const [later, plain] = [await runs.run(other, { windowS: 1 }), await runs.run(arm)];
    deepEqual([later.manifest.cause, plain.manifest.cause], [null, null]);
    match(later.manifest.versions.postgres!, /^17\.\d+$/);
    match(later.manifest.images.postgres!, /^poolscope\/postgres-17:\S+@sha256:/);
    match(plain.manifest.versions.postgres!, /^16\.\d+$/);
    match(plain.manifest.images.postgres!, /^poolscope\/postgres:\S+@sha256:/);
    equal(differingInputs([later.manifest, plain.manifest]), null);
    const nowhere = createScenario({ ...arm, postgresVersion: "16.3" });
    await rejects(
      runs.engine.checkServerSettings([nowhere]),
      /^PoolscopeError: Cannot (find|pull) \S*ostgre\S*[ :]16\.3: .*; (put|without)/,
    );
  },
));
