// test lane: docker
/** What a start leaves on a Docker daemon, however it ends: nothing. */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { DockerEngine } from "./engine/docker.ts";
import { objectLabels } from "./hosts/docker/sweep.ts";
import { waitUntil } from "./hosts/wait.ts";
import { RUN_FILES, studyFolder } from "./store/layout.ts";
import { thisOwner } from "./store/owner.ts";
import { dockerTests, looseEnds, type TestDocker } from "./testing/docker.ts";
import { killOutright, reach, Runs, startTask } from "./testing/docker_runs.ts";
import { REPORTED } from "./testing/reported.ts";
import { TlsFront } from "./testing/tls_front.ts";

const dockerTest = await dockerTests("what is left on a Docker daemon");

/** All 20 cycles instead of one of each kind. */
const FULL = Deno.env.get("POOLSCOPE_FULL") === "1";

Deno.test(dockerTest(
  "a remote daemon is used through TLS alone: no published port, nothing left",
  async (found) => {
    const before = await looseEnds(found);
    await using front = await TlsFront.open(found.daemon);
    {
      await using runs = await Runs.open(front.daemon);
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
          // Longer than the daemon may take to tell.
          windowS: 6,
        });
        // PostgreSQL, the relay, Locust, the app, PgBouncer.
        equal(seen, path === "pooled" ? 5 : 4);
        deepEqual(published, []);
        deepEqual([manifest.cause, manifest.status], [null, "ok"]);
        deepEqual(manifest.limits.postgres?.readBack, { cpus: 0.5, memoryMiB: 512 });
        equal(manifest.verification?.throughPgbouncer, path === "pooled");
        const files = RUN_FILES.filter((name) => name !== "slices.csv");
        deepEqual(Object.keys(manifest.files).sort(), files.sort());
        ok(readFileSync(join(folder, "resources.csv"), "utf8").includes(",host,"));
      }
    }
    deepEqual(await looseEnds(found), before);
    await rejects(
      DockerEngine.open({ daemon: { ...front.daemon, certificates: tmpdir() }, study: "x" }),
      /ca\.pem in .* cannot be read/,
    );
  },
));

Deno.test(dockerTest(
  "a daemon that dies midway ends the study in one line and leaves no false result",
  async (found) => {
    const before = await looseEnds(found);
    const front = await TlsFront.open(found.daemon);
    try {
      const study = `test-lost-${Deno.pid}`;
      const plan = join(front.folder, "plan.json");
      // It dies before the first run is complete, however late that is noticed.
      writeFileSync(plan, PLAN.replace('"windowS":1', '"windowS":30'));
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
      const runs = await Runs.open(found.daemon);
      await runs[Symbol.asyncDispose]();
      deepEqual(await looseEnds(found), before);
    } finally {
      await front[Symbol.asyncDispose]();
    }
  },
));

const MILD = { workers: 1, thinkTimeMinS: 0.05, thinkTimeMaxS: 0.05 };

/** Two short runs. */
const PLAN = JSON.stringify({
  // The first live figures come after a second: a shorter warm-up would be over by then.
  name: "docker",
  rounds: 1,
  warmUpS: 2,
  windowS: 1,
  functionalCheck: true,
  scenarios: [
    { framework: "flask", path: "direct", users: 4, ...MILD },
    { framework: "flask", path: "pooled", users: 4, ...MILD },
  ],
});

/** Containers like ours by name, by label, or by an owner that still runs. */
async function createStrangers(docker: Docker): Promise<Docker.Container[]> {
  const image =
    (await docker.getImage(`poolscope/locust:${Deno.env.get("POOLSCOPE_TAG") || "latest"}`)
      .inspect()).Id;
  return [
    await docker.createContainer({ Image: image, name: `poolscope-${Deno.pid}-1-app` }),
    await docker.createContainer({
      Image: image,
      name: `stranger-${Deno.pid}`,
      Labels: { "org.poolscope.project": "poolscope" },
    }),
    await docker.createContainer({
      Image: image,
      name: `poolscope-${Deno.pid}-running`,
      Labels: objectLabels(thisOwner(), "another-list", "another"),
    }),
    await docker.createContainer({
      Image: image,
      name: `poolscope-${Deno.pid}-elsewhere`,
      Labels: objectLabels({ ...thisOwner(), pid: 1, host: "another-host" }, "x", "another"),
    }),
  ];
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
    const strangers = await createStrangers(docker);
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
        const expected = { success: REPORTED, failure: [3], SIGINT: [130], SIGKILL: [137] }[kind];
        ok(expected.includes(code), `${kind} at ${phase}: ${code}, ${stdout}${stderr}`);
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
      await killWithKeeper(found, join(folder, "ok.json"), study, before);
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

/** Ends a start and its keeper, and has the next one sweep. */
async function killWithKeeper(
  found: TestDocker,
  plan: string,
  study: string,
  before: string[],
): Promise<void> {
  const start = () => startTask("run", ["--engine", "docker", "--plan", plan, "--study", study]);
  const started = start();
  await reach(study, "window", started.result);
  await killOutright(started);
  ok((await looseEnds(found)).length > before.length);
  rmSync(studyFolder(study), { recursive: true, force: true });
  const { code, stdout, stderr } = await start().result;
  ok(REPORTED.includes(code), stderr);
  match(
    stdout + stderr,
    /Removed \d+ containers and \d networks that an earlier start left on Docker/,
  );
  deepEqual(await looseEnds(found), before);
}
