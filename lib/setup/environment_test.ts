// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { connect } from "../services/database.ts";
import { openDocker } from "../hosts/docker/client.ts";
import { ROOT } from "../store/layout.ts";
import { openServer } from "../telemetry/postgres.ts";
import { openConsole } from "../telemetry/pgbouncer.ts";
import { HostileShell } from "../testing/hostile.ts";
import { askApp } from "../verify/ask.ts";
import { runCommand } from "./command.ts";
import { READERS_VARIABLES, serviceEnvironment, toolEnvironment } from "./environment.ts";

const NAMES = Object.keys(READERS_VARIABLES).flatMap((names) => names.split(" "));

/** Runs with these variables set, and restores what was. */
async function withVariables<T>(env: Record<string, string>, body: () => T): Promise<Awaited<T>> {
  const before = Deno.env.toObject();
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  try {
    return await body();
  } finally {
    for (const name of Object.keys(env)) {
      if (before[name] === undefined) Deno.env.delete(name);
      else Deno.env.set(name, before[name]);
    }
  }
}

/** Sources that readers run, by their path below lib/. */
function sources(folder = join(ROOT, "lib")): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return name === "testing" ? [] : sources(path);
    return /(?<!_test)\.ts$/.test(name) ? [relative(join(ROOT, "lib"), path)] : [];
  });
}

Deno.test("a tool gets the variables that are listed and none of a hostile shell's others", async () => {
  using shell = new HostileShell();
  const given = await withVariables(shell.env, async () => {
    const { stdout } = await runCommand("list variables", ["env", "-0"], { env: { ADDED: "1" } });
    return Object.fromEntries(
      stdout.split("\0").filter(Boolean).map((line) => line.split(/=(.*)/s, 2)),
    );
  });
  deepEqual(
    Object.keys(given).filter((name) => !NAMES.includes(name)).sort(),
    ["ADDED", "LANG"],
  );
  equal(given.https_proxy, shell.env.https_proxy);
  equal(given.no_proxy, "localhost,127.0.0.1,::1");
});

Deno.test("the user's exceptions from a proxy stay, and this machine's own are added", async () => {
  const { no_proxy, NO_PROXY } = await withVariables(
    { NO_PROXY: "intranet.example" },
    () => toolEnvironment(),
  );
  equal(NO_PROXY, "intranet.example,localhost,127.0.0.1,::1");
  equal(no_proxy, NO_PROXY);
});

Deno.test("a service's environment holds nothing of the reader's", async () => {
  using shell = new HostileShell();
  deepEqual(await withVariables(shell.env, () => serviceEnvironment("/home", { A: "1" })), {
    PATH: "/usr/bin:/bin",
    LANG: "C.UTF-8",
    HOME: "/home",
    A: "1",
  });
});

Deno.test("database and Docker clients take nothing from the environment", async () => {
  using shell = new HostileShell();
  const access = {
    host: "127.0.0.1",
    port: 6432,
    database: "app",
    username: "app",
    password: "secret",
  };
  // Functions are the driver's defaults; each client has its own.
  const options = () =>
    [connect(access), openServer(access), openConsole(access)].map(({ options }) =>
      JSON.parse(JSON.stringify({ ...options, shared: null }))
    );
  const docker = () => {
    const host = { url: "unix:///run/here.sock", certificates: null, verify: true, from: "a test" };
    const { modem } = openDocker(host);
    return JSON.parse(JSON.stringify(modem));
  };
  const clean = [options(), docker()];
  const env = {
    ...shell.env,
    DOCKER_HOST: "tcp://192.0.2.1:9",
    DOCKER_CERT_PATH: "/nonexistent",
    DOCKER_TLS_VERIFY: "1",
  };
  deepEqual(await withVariables(env, () => [options(), docker()]), clean);
  equal(clean[1].socketPath, "/run/here.sock");
  // What was out of sight is there again.
  equal(await withVariables(env, () => (docker(), Deno.env.get("DOCKER_HOST"))), env.DOCKER_HOST);
});

Deno.test("an app is asked straight, whatever proxy is set", async () => {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => new Response(request.url, { headers: { "content-type": "text/plain" } }),
  );
  const url = `http://127.0.0.1:${server.addr.port}/posts?limit=2`;
  using shell = new HostileShell();
  try {
    const answer = await withVariables(shell.env, () => askApp(url));
    deepEqual(answer, { status: 200, type: "text/plain", text: url });
  } finally {
    await server.shutdown();
  }
});

Deno.test("every process is started with an environment of its own", () => {
  const files = sources();
  ok(files.length > 100);
  const inherits = files.flatMap((file) => {
    const text = readFileSync(join(ROOT, "lib", file), "utf8");
    // Tests run in their developer's own.
    if (file === "tasks/run_tests.ts") return [];
    const starts = text.split("new Deno.Command(").slice(1);
    return starts.filter((rest) => !/^[^]{0,500}?clearEnv: true/.test(rest)).map(() => file);
  });
  deepEqual(inherits, []);
});

Deno.test("clients that read the environment by themselves are made in one place each", () => {
  const makers: [RegExp, string | null][] = [
    [/^import postgres\b.* from "postgres"/m, "services/database.ts"],
    [/\bnew Docker\(/, "hosts/docker/client.ts"],
    [/(?<![.\w])fetch\((?!from)/, null],
  ];
  for (const [pattern, maker] of makers) {
    const files = sources().filter((file) =>
      pattern.test(readFileSync(join(ROOT, "lib", file), "utf8"))
    );
    deepEqual(files, maker === null ? [] : [maker]);
  }
});

Deno.test("every variable that is read is listed", () => {
  const read = sources().flatMap((file) =>
    [...readFileSync(join(ROOT, "lib", file), "utf8").matchAll(/Deno\.env\.get\("(\w+)"\)/g)]
      .map((match) => match[1]!)
  );
  ok(read.includes("POOLSCOPE_PYTHON"));
  deepEqual(read.filter((name) => !NAMES.includes(name)), []);
});
