// test lane: docker
import { deepEqual, equal, match, ok } from "node:assert/strict";
// @ts-types="@types/dockerode"
import type Docker from "dockerode";
import { freePort } from "../hosts/local/local_host.ts";
import { readApp } from "../apps/app.ts";
import { FRAMEWORKS } from "../plan.ts";
import { ComposeProject, ensureComposeCli } from "../testing/compose_cli.ts";
import { dockerForTests } from "../testing/docker.ts";
import { ensureSecrets } from "./compose_secrets.ts";
import { ensureImages } from "../services/images.ts";

const docker = await dockerForTests("plain Docker Compose on compose/*.yml");

/** The part of `docker compose config --format json` that is looked at. */
interface Config {
  services: Record<string, {
    deploy?: { resources: { limits: { cpus?: number; memory?: string } } };
    depends_on?: Record<string, { condition: string }>;
    environment?: Record<string, string>;
    ports?: { host_ip: string; published: string }[];
  }>;
}

const PORTS = ["POSTGRES", "PGBOUNCER", "FASTAPI", "DJANGO", "FLASK", "LOCUST"];

Deno.test({
  name:
    "Docker Compose itself runs compose/: limits, healthy apps through both paths, nothing left",
  ignore: docker.skipped,
  fn: async (t) => {
    const { docker: api, daemon } = docker.open();
    await ensureImages(api, {});
    ensureSecrets();
    const ports = Object.fromEntries(PORTS.map((name) => [`${name}_PORT`, String(freePort())]));
    const name = `poolscope-test-${Deno.pid}`;
    const compose = new ComposeProject(await ensureComposeCli(), daemon, name, ports);
    const config = async (path: "direct" | "pooled"): Promise<Config> =>
      JSON.parse(await compose.run(path, "--profile", "load", "config", "--format", "json"));

    const volumes = new Set<string>();
    let failed = false;
    /** A step that needs those before it. */
    const step = async (title: string, work: () => Promise<void>) => {
      if (!failed) failed = !await t.step(title, work);
    };
    try {
      await step("config accepts both combinations of files", async () => {
        checkConfig(await config("direct"), await config("pooled"));
      });
      await step("0 is no limit", async () => {
        const free = new ComposeProject(await ensureComposeCli(), daemon, name, {
          ...ports,
          DB_CPUS: "0",
          DB_MEMORY: "0",
        });
        const text = await free.run("direct", "config", "--format", "json");
        deepEqual((JSON.parse(text) as Config).services.postgres!.deploy!.resources.limits, {});
      });
      await step("direct: all apps are healthy and reach PostgreSQL", async () => {
        await compose.run("direct", "up", "--wait", "--no-build", "--pull", "never");
        await askApps(ports);
        deepEqual(await clientsOf(api, compose, "direct"), ["django", "fastapi", "flask"]);
        for (const { Mounts } of await containersOf(api, name)) {
          for (const { Type, Name } of Mounts) if (Type === "volume") volumes.add(Name!);
        }
        equal(volumes.size, 1, "PostgreSQL's data are in a volume");
      });
      await step("limits are in force inside the database's container", () => checkLimits(compose));
      await step(
        "no password is in what Docker knows of the containers",
        () => checkNoPassword(api, name),
      );
      await step(
        "pooled: all apps are healthy and only PgBouncer reaches PostgreSQL",
        async () => {
          await compose.run("pooled", "up", "--wait", "--no-build", "--pull", "never");
          await askApps(ports);
          deepEqual(await clientsOf(api, compose, "pooled"), ["pgbouncer"]);
        },
      );
      await step("Locust's image loads an app without a failed request", async () => {
        const { code, stdout, stderr } = await compose.try(
          "pooled",
          ...["run", "--rm", "-T", "--no-deps", "locust", "--headless", "--host"],
          ...["http://flask:8000", "-u", "4", "-r", "4", "-t", "2s"],
        );
        equal(code, 0, stderr);
        match(stdout + stderr, /Aggregated +[1-9]\d* +0\(0\.00%\)/);
      });
    } finally {
      if (failed) console.log((await compose.try("pooled", "logs", "--tail", "20")).stdout);
      await compose.try("pooled", "--profile", "load", "down", "-v", "--timeout", "5");
    }
    await t.step("down -v leaves nothing", async () => {
      const filters = { label: [`com.docker.compose.project=${name}`] };
      deepEqual((await containersOf(api, name)).map((one) => one.Names), []);
      deepEqual((await api.listNetworks({ filters })).map((one) => one.Name), []);
      const left = (await api.listVolumes()).Volumes ?? [];
      deepEqual(left.filter((one) => volumes.has(one.Name)), []);
    });
  },
});

/** The containers of a project, running or not. */
function containersOf(api: Docker, name: string): Promise<Docker.ContainerInfo[]> {
  return api.listContainers({
    all: true,
    filters: { label: [`com.docker.compose.project=${name}`] },
  });
}

async function askApps(ports: Record<string, string>): Promise<void> {
  for (const framework of FRAMEWORKS) {
    const url = `http://127.0.0.1:${ports[`${framework.toUpperCase()}_PORT`]}`;
    const health = await fetch(url + readApp(framework).healthPath);
    equal((await health.json()).app, framework);
    const post = await fetch(`${url}/posts/7`);
    equal(post.status, 200, framework);
    equal((await post.json()).id, 7);
  }
}

/** The addresses that the database sees its clients at, by service. */
async function clientsOf(
  api: Docker,
  compose: ComposeProject,
  path: "direct" | "pooled",
): Promise<string[]> {
  const seen = await compose.run(
    path,
    ...["exec", "-T", "postgres", "psql", "-U", "poolscope", "-d", "app", "-At", "-c"],
    "select distinct host(client_addr) from pg_stat_activity where usename = 'app'",
  );
  const services = new Map((await containersOf(api, compose.name)).map((one) => [
    Object.values(one.NetworkSettings.Networks)[0]!.IPAddress,
    one.Labels["com.docker.compose.service"],
  ]));
  return seen.trim().split("\n").map((address) => services.get(address) ?? address).sort();
}

function checkConfig(direct: Config, pooled: Config): void {
  const limits = direct.services.postgres!.deploy!.resources.limits;
  equal(Number(limits.cpus), 0.5);
  equal(Number(limits.memory), 512 * 2 ** 20);
  const services = ["django", "fastapi", "flask", "locust", "pgbouncer", "postgres"];
  deepEqual(Object.keys(direct.services).sort(), services);
  for (const [service, { ports: published = [] }] of Object.entries(direct.services)) {
    equal(published.length, 1, service);
    for (const port of published) equal(port.host_ip, "127.0.0.1", service);
  }
  for (const framework of FRAMEWORKS) {
    const [before, after] = [direct.services[framework]!, pooled.services[framework]!];
    equal(before.environment!.PGHOST, "postgres");
    equal(after.environment!.PGHOST, "pgbouncer");
    // The paths differ in host and port, and in nothing else.
    const { PGHOST: _, PGPORT: __, ...rest } = before.environment!;
    const { PGHOST: ___, PGPORT: ____, ...others } = after.environment!;
    deepEqual(rest, others);
    equal(after.depends_on!.pgbouncer!.condition, "service_healthy");
  }
}

async function checkLimits(compose: ComposeProject): Promise<void> {
  const read = await compose.run(
    "direct",
    ...["exec", "-T", "postgres", "sh", "-c"],
    // Version 2 of control groups, else version 1.
    "cd /sys/fs/cgroup; cat cpu.max memory.max 2>/dev/null || " +
      "echo $(cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us) $(cat memory/memory.limit_in_bytes)",
  );
  const [quota, period, memory] = read.trim().split(/\s+/).map(Number);
  equal(quota! / period!, 0.5);
  equal(memory, 512 * 2 ** 20);
  const backlog = await compose.run(
    "direct",
    ...["exec", "-T", "flask", "cat", "/proc/sys/net/core/somaxconn"],
  );
  equal(backlog.trim(), "4096");
}

async function checkNoPassword(api: Docker, name: string): Promise<void> {
  for (const { Id } of await containersOf(api, name)) {
    const { Config, Args } = await api.getContainer(Id).inspect();
    const text = JSON.stringify([Config, Args]);
    for (const secret of ["admin_password", "app_password"]) {
      const value = Deno.readTextFileSync(
        new URL(`../../compose/secrets/${secret}`, import.meta.url),
      );
      match(value, /^[0-9a-f]{32}$/);
      ok(!text.includes(value), Config.Image);
    }
  }
}
