// test lane: copy
/** The Docker engine, on the daemon that this machine has. */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { DockerEngine, warnOfLimits } from "./engine/docker.ts";
import { findObjects, objectLabels } from "./engine/docker_sweep.ts";
import { waitUntil } from "./engine/wait.ts";
import { namedPlan } from "./plan.ts";
import { ensureImages } from "./setup/images.ts";
import { setUp } from "./setup/mod.ts";
import { hashRunFiles, readManifest } from "./store/files.ts";
import { RUN_FILES, runFolder, studyFolder } from "./store/layout.ts";
import { thisOwner } from "./store/owner.ts";
import { dockerTests, type TestDocker } from "./testing/docker.ts";
import { Runs, startTask } from "./testing/docker_runs.ts";
import { HostileShell } from "./testing/hostile.ts";
import { TlsFront } from "./testing/tls_front.ts";

const dockerTest = await dockerTests("the Docker engine's runs");

/** A window that ends with what happens in it, however late that comes; its length costs nothing. */
const CUT_SHORT_S = 15;

/** All 20 cycles instead of one of each kind. */
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

/** Everything of ours on the daemon, and what nobody would own. */
async function looseEnds({ docker, host }: TestDocker): Promise<string[]> {
  const [objects, volumes, images] = await Promise.all([
    findObjects(host),
    docker.listVolumes(),
    docker.listImages({ filters: { dangling: ["true"] } }),
  ]);
  return [
    ...objects.map(({ kind, id, owner }) => `${kind} ${id.slice(0, 12)} of pid ${owner.pid}`),
    ...volumes.Volumes.map(({ Name }) => `volume ${Name}`),
    ...images.map(({ Id }) => `dangling image ${Id}`),
  ].sort();
}

Deno.test(
  dockerTest("from a hostile shell, both engines leave equal run folders", async ({ docker }) => {
    const studies = { docker: `test-docker-${Deno.pid}`, local: `test-local-${Deno.pid}` };
    // In this shell, as the other one's proxy gives neither packages nor images.
    await Promise.all([setUp(), ensureImages(docker, { tag: Deno.env.get("POOLSCOPE_TAG") })]);
    using shell = new HostileShell();
    // What is compared are the runs of the closed loop: the local engine's need no open loop.
    const { openLoop: _, ...closedLoop } = namedPlan("smoke");
    const folder = Deno.makeTempDirSync();
    const plan = join(folder, "closed_loop.json");
    writeFileSync(plan, JSON.stringify(closedLoop));
    try {
      for (
        const [task, ...options] of [
          ["run_all", "--engine", "docker", "--plan", "smoke", "--study", studies.docker],
          ["run", "--engine", "local", "--plan", plan, "--study", studies.local],
        ] as const
      ) {
        const { code, stdout, stderr } = await startTask(task, options, shell.env).result;
        equal(code, 0, stdout + stderr);
      }
      deepEqual(shell.homeFiles(), []);
      ok(existsSync(join(studyFolder(studies.docker), "report", "90_report.html")));
      /** What a reader of a folder relies on: names, columns and kinds of values. */
      const shape = async (study: string) => {
        const root = studyFolder(study);
        const runs: Record<string, unknown> = {};
        for (const id of readdirSync(root).filter((name) => /-\d+u-/.test(name)).sort()) {
          const folder = runFolder(root, id, 1);
          const manifest = readManifest(folder)!;
          equal(manifest.status, "ok", manifest.cause ?? "");
          deepEqual(manifest.limits.postgres?.readBack, { cpus: 0.5, memoryMiB: 512 });
          equal(manifest.verification?.throughPgbouncer, manifest.scenario.path === "pooled");
          deepEqual(await hashRunFiles(folder), manifest.files);
          const rows = (file: string) =>
            readFileSync(join(folder, file), "utf8").trimEnd().split("\n").slice(1)
              .map((line) => line.split(","));
          const services = new Set(rows("resources.csv").map(([, service]) => service));
          // What the app's workers told last, of themselves and of all requests that they answered.
          const workers = new Map(rows("app.csv").map((row) => [row[1], row]));
          const sum = (column: number) =>
            [...workers.values()].reduce((total, row) => total + Number(row[column]), 0);
          const account = JSON.parse(readFileSync(join(folder, "final.json"), "utf8"));
          ok(sum(2) >= account.requests, `${sum(2)} requests of ${account.requests}`);
          ok(sum(7) > 0 && sum(7) < sum(3), `${sum(7)} µs in the database of ${sum(3)}`);
          runs[id] = {
            files: readdirSync(folder).sort(),
            logs: readdirSync(join(folder, "logs")).sort(),
            columns: Object.fromEntries(
              RUN_FILES.filter((name) => name.endsWith(".csv")).map((name) => [
                name,
                readFileSync(join(folder, name), "utf8").split(/\r?\n/)[0],
              ]),
            ),
            manifest: Object.keys(manifest),
            account: Object.keys(JSON.parse(readFileSync(join(folder, "final.json"), "utf8"))),
            options: manifest.appOptions,
            limits: Object.keys(manifest.limits).sort(),
            versions: Object.keys(manifest.versions).sort(),
            exits: manifest.exitCodes,
            services: [...services].sort(),
            workers: workers.size,
            switching: [...services].filter((service) =>
              rows("resources.csv").some((row) => row[1] === service && Number(row[6]) > 0)
            ).sort(),
          };
        }
        equal(Object.keys(runs).length, 6);
        return runs;
      };
      deepEqual(await shape(studies.docker), await shape(studies.local));
      const text = readFileSync(
        join(studyFolder(studies.docker), "report", "summary_report.md"),
        "utf8",
      );
      match(text, /shared \d+ cores|had cores of their own/);
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
    await using runs = await Runs.open(found.host);
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
      },
    );
    deepEqual([manifest.cause, manifest.status], [null, "ok"]);
    match(inside, /(?<!\d)50000(\r?\n| 100000\r?\n)536870912\s*$/);
    deepEqual(manifest.limits, {
      postgres: {
        ...{ asked: { cpus: 0.5, memoryMiB: 512 }, readBack: { cpus: 0.5, memoryMiB: 512 } },
      },
      app: { asked: { cpus: null, memoryMiB: 700 }, readBack: { cpus: null, memoryMiB: 700 } },
      pgbouncer: {
        asked: { cpus: 0.25, memoryMiB: null },
        readBack: { cpus: 0.25, memoryMiB: null },
      },
    });
    const services = ["postgres", "pgbouncer", "fastapi", "django", "flask", "locust"];
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
  "a container that ends, runs out of memory or is unhealthy fails its run with the cause",
  async ({ docker, host }, t) => {
    await using runs = await Runs.open(host);
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
          during: async () => {
            // Gunicorn waits for its workers, which wait for their clients.
            const end = ["sh", "-c", "kill -QUIT 1; while sleep 0.1; do kill -KILL -1; done"];
            const exec = await (await containerOf(docker, "app")).exec({ Cmd: end });
            await exec.start({ Detach: true });
          },
          windowS: CUT_SHORT_S,
        },
      );
      equal(manifest.exitCodes.app, 0);
    });

    await t.step("the app is killed", async () => {
      const manifest = await runs.fails(
        /^Flask pooled: the app was killed by signal 9 during the load, after \d+ requests/,
        { path: "pooled" },
        { during: async () => (await containerOf(docker, "app")).kill(), windowS: CUT_SHORT_S },
      );
      equal(manifest.exitCodes.app, 137);
    });

    await t.step("PgBouncer is killed", async () => {
      await runs.fails(
        /^Flask pooled: PgBouncer was killed by signal 9 during the load/,
        { path: "pooled" },
        {
          during: async () => (await containerOf(docker, "pgbouncer")).kill(),
          windowS: CUT_SHORT_S,
        },
      );
    });

    await t.step("PostgreSQL is killed, and the next run has a new one", async () => {
      await runs.fails(
        /^Flask direct: PostgreSQL was killed by signal 9 during the load/,
        {},
        {
          during: async () => (await containerOf(docker, "postgres")).kill(),
          windowS: CUT_SHORT_S,
        },
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
        { during: async () => (await containerOf(docker, "locust")).kill(), windowS: CUT_SHORT_S },
      );
      await succeeds();
    });
  },
));

Deno.test(dockerTest(
  "an unhealthy container fails its run with what its health check says",
  async ({ host }) => {
    const text = `
services:
  flask:
    healthcheck:
      test: [CMD-SHELL, "test ! -e /tmp/late || { echo the check found nothing; exit 1; }; touch /tmp/late"]
      interval: 1s
      timeout: 10s
      retries: 1
`;
    await using runs = await Runs.open(host, [{ name: "test.yml", text }]);
    await runs.fails(
      /^Flask direct: the app became unhealthy (during|before) the load, its health check says: the check found nothing(: \d+ of \d+ requests failed)?; its log ends with: /,
      {},
      { windowS: 15 },
    );
  },
));

Deno.test(dockerTest(
  "a remote daemon is used through TLS alone: no published port, nothing left",
  async (found) => {
    const before = await looseEnds(found);
    await using front = await TlsFront.open(found.host);
    {
      await using runs = await Runs.open(front.host);
      for (const path of ["direct", "pooled"] as const) {
        const published: unknown[] = [];
        let seen = 0;
        const { manifest, folder } = await runs.run({ path }, {
          during: async () => {
            const containers = await found.docker.listContainers({
              filters: { label: ["org.poolscope.study=docker-test"] },
            });
            seen = containers.length;
            published.push(...containers.flatMap(({ Ports }) => Ports.filter((p) => p.PublicPort)));
          },
        });
        // PostgreSQL, the relay, Locust, the app, PgBouncer.
        equal(seen, path === "pooled" ? 5 : 4);
        deepEqual(published, []);
        deepEqual([manifest.cause, manifest.status], [null, "ok"]);
        deepEqual(manifest.limits.postgres?.readBack, { cpus: 0.5, memoryMiB: 512 });
        equal(manifest.verification?.throughPgbouncer, path === "pooled");
        deepEqual(Object.keys(manifest.files).sort(), [...RUN_FILES].sort());
        ok(readFileSync(join(folder, "resources.csv"), "utf8").includes(",host,"));
      }
    }
    deepEqual(await looseEnds(found), before);
    await rejects(
      DockerEngine.open({ host: { ...front.host, certificates: tmpdir() }, study: "x" }),
      /ca\.pem in .* cannot be read/,
    );
  },
));

Deno.test(dockerTest(
  "a daemon that dies midway ends the study in one line and leaves no false result",
  async (found) => {
    const before = await looseEnds(found);
    const front = await TlsFront.open(found.host);
    try {
      const study = `test-lost-${Deno.pid}`;
      const plan = join(front.folder, "plan.json");
      writeFileSync(plan, PLAN);
      try {
        const { result } = startTask("run", [
          "--engine",
          "docker",
          "--plan",
          plan,
          "--study",
          study,
          "--json",
        ], front.env);
        await reach(study, "window", result);
        front.close();
        const { code, stderr } = await result;
        equal(code, 1, stderr);
        const line = stderr.trim().split("\n").at(-1)!;
        match(
          line,
          /^Docker at tcp:\/\/127\.0\.0\.1:\d+ does not answer any more \(.*\); .*--engine local$/,
        );
        equal(
          readdirSync(studyFolder(study), { recursive: true }).some((name) =>
            String(name).endsWith("manifest.json")
          ),
          false,
        );
      } finally {
        rmSync(studyFolder(study), { recursive: true, force: true });
      }
      // The next start finds the daemon again and removes what was left.
      await waitUntil(async () => (await looseEnds(found)).length > before.length || null, {
        what: "leftovers",
        timeoutS: 1,
      }).catch(() => {});
      const runs = await Runs.open(found.host);
      await runs[Symbol.asyncDispose]();
      deepEqual(await looseEnds(found), before);
    } finally {
      await front[Symbol.asyncDispose]();
    }
  },
));

/** Two short runs. */
const PLAN = JSON.stringify({
  // The first live figures come after a second: a shorter warm-up would be over by then.
  ...{ name: "docker", rounds: 1, warmUpS: 2, windowS: 1, functionalCheck: true },
  scenarios: [
    { framework: "flask", path: "direct", users: 4 },
    { framework: "flask", path: "pooled", users: 4 },
  ],
});

/** Waits until a study's first run is in a phase. */
async function reach(
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

Deno.test(dockerTest(
  "nothing is left after success, failure, SIGINT and SIGKILL, and strangers stay",
  async (found) => {
    const { docker } = found;
    const folder = mkdtempSync(join(tmpdir(), "poolscope-cycles-"));
    const study = `test-cycles-${Deno.pid}`;
    const plans = {
      ok: PLAN,
      // PostgreSQL does not fit into its limit: every run fails.
      failing: PLAN.replaceAll('"users":4', '"users":4,"dbMemoryMiB":8'),
    };
    for (const [name, text] of Object.entries(plans)) {
      writeFileSync(
        join(folder, name + ".json"),
        text,
      );
    }
    // Like ours by name, by label, or by an owner that still runs.
    const image =
      (await docker.getImage(`poolscope/locust:${Deno.env.get("POOLSCOPE_TAG") || "latest"}`)
        .inspect()).Id;
    const strangers = [
      await docker.createContainer({ Image: image, name: `poolscope-${Deno.pid}-1-app` }),
      await docker.createContainer({
        ...{ Image: image, name: `stranger-${Deno.pid}` },
        Labels: { "org.poolscope.project": "poolscope" },
      }),
      await docker.createContainer({
        ...{ Image: image, name: `poolscope-${Deno.pid}-running` },
        Labels: objectLabels(thisOwner(), "another-list", "another"),
      }),
      await docker.createContainer({
        ...{ Image: image, name: `poolscope-${Deno.pid}-elsewhere` },
        Labels: objectLabels({ ...thisOwner(), pid: 1, host: "another-host" }, "x", "another"),
      }),
    ];
    const network = await docker.createNetwork({ Name: `poolscope-${Deno.pid}` });
    try {
      const before = await looseEnds(found);
      const cycle = async (kind: "success" | "failure" | "SIGINT" | "SIGKILL", phase: string) => {
        const plan = join(folder, kind === "failure" ? "failing.json" : "ok.json");
        const args = ["--engine", "docker", "--plan", plan, "--study", study];
        const { pid, result } = startTask("run", args);
        if (kind.startsWith("SIG")) {
          await reach(study, phase, result);
          Deno.kill(pid, kind as Deno.Signal);
        }
        const { code, stdout, stderr } = await result;
        const expected = { success: 0, failure: 3, SIGINT: 130, SIGKILL: 137 }[kind];
        equal(code, expected, `${kind} at ${phase}: ${stdout}${stderr}`);
        // After a SIGKILL the keeper sweeps by itself.
        await waitUntil(
          async () => JSON.stringify(await looseEnds(found)) === JSON.stringify(before) || null,
          { what: "the end", timeoutS: kind === "SIGKILL" ? 20 : 1 },
        ).catch(async () => deepEqual(await looseEnds(found), before, `${kind} at ${phase}`));
        rmSync(studyFolder(study), { recursive: true, force: true });
      };
      const kinds = ["SIGKILL", "SIGINT", "success", "failure"] as const;
      const phases = ["start", "verify", "warm-up", "window", "stop"];
      let cycles = 0;
      for (const phase of FULL ? phases : ["window"]) {
        for (const kind of kinds) {
          await cycle(kind, phase);
          cycles++;
        }
      }
      console.log(`  ${cycles} cycles, nothing left`);

      // Where the keeper was killed as well, the next start sweeps.
      const { pid, result } = startTask("run", [
        "--engine",
        "docker",
        "--plan",
        join(folder, "ok.json"),
        "--study",
        study,
      ]);
      await reach(study, "window", result);
      const keepers = new Deno.Command("pgrep", {
        args: ["-P", String(pid), "-f", "poolscope-keeper"],
      }).outputSync();
      for (const keeper of new TextDecoder().decode(keepers.stdout).trim().split("\n")) {
        Deno.kill(
          Number(keeper),
          "SIGKILL",
        );
      }
      Deno.kill(pid, "SIGKILL");
      await result;
      ok((await looseEnds(found)).length > before.length);
      rmSync(studyFolder(study), { recursive: true, force: true });
      const { code, stdout, stderr } = await startTask("run", [
        "--engine",
        "docker",
        "--plan",
        join(folder, "ok.json"),
        "--study",
        study,
      ]).result;
      equal(code, 0, stderr);
      match(
        stdout + stderr,
        /Removed \d+ containers and 1 network that an earlier start left on Docker/,
      );
      deepEqual(await looseEnds(found), before);
      for (const stranger of strangers) await stranger.inspect();
      await network.inspect();
    } finally {
      await Promise.allSettled(strangers.map((stranger) => stranger.remove({ force: true })));
      await network.remove();
      rmSync(studyFolder(study), { recursive: true, force: true });
      rmSync(folder, { recursive: true, force: true });
    }
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
        ...["--engine", "docker", "--docker-host", url!, "--plan", "smoke", "--study", study],
        "--json",
      ]).result;
      equal(code, 1, stderr);
      equal(
        stderr.trim().split("\n").at(-1),
        `Cannot use Docker: ${reason}; start Docker, or use --engine local`,
      );
    }
    const { code, stderr } = await startTask("run", [
      ...["--engine", "docker", "--docker-host", "ssh://there", "--plan", "smoke"],
      ...["--study", study, "--json"],
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
