// test lane: checkout
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dockerCandidates, type DockerEnvironment, findDocker } from "./daemon.ts";

/** A home folder that is removed with the test. */
function home(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), "poolscope-home-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

function environment(path: string, env: Record<string, string> = {}): DockerEnvironment {
  return { env, home: path, uid: 1000 };
}

function writeContext(folder: string, name: string, docker: unknown, tls = false): void {
  const id = createHash("sha256").update(name).digest("hex");
  mkdirSync(join(folder, "contexts", "meta", id), { recursive: true });
  writeFileSync(
    join(folder, "contexts", "meta", id, "meta.json"),
    JSON.stringify({ Name: name, Endpoints: { docker } }),
  );
  if (tls) mkdirSync(join(folder, "contexts", "tls", id, "docker"), { recursive: true });
}

Deno.test("dockerCandidates() takes option, environment, context, then the known sockets", () => {
  using folder = home();
  const config = join(folder.path, ".docker");
  const urls = (from: DockerEnvironment) => dockerCandidates(from).map(({ url }) => url);
  deepEqual(urls(environment(folder.path)), [
    "unix:///var/run/docker.sock",
    "unix:///run/user/1000/docker.sock",
    `unix://${folder.path}/.docker/run/docker.sock`,
    `unix://${folder.path}/.docker/desktop/docker.sock`,
  ]);
  equal(
    urls(environment(folder.path, { XDG_RUNTIME_DIR: "/elsewhere" }))[1],
    "unix:///elsewhere/docker.sock",
  );

  mkdirSync(config);
  writeContext(config, "far", { Host: "tcp://far:2376", SkipTLSVerify: false }, true);
  writeContext(config, "near", { Host: "unix:///near.sock" });
  writeFileSync(join(config, "config.json"), JSON.stringify({ currentContext: "far" }));
  const [far, ...others] = dockerCandidates(environment(folder.path));
  equal(others.length, 0);
  equal(far?.url, "tcp://far:2376");
  equal(far?.verify, true);
  ok(far?.certificates?.startsWith(config));
  deepEqual(urls(environment(folder.path, { DOCKER_CONTEXT: "near" })), ["unix:///near.sock"]);
  equal(urls(environment(folder.path, { DOCKER_CONTEXT: "default" })).length, 4);
  deepEqual(urls(environment(folder.path, { DOCKER_HOST: "unix:///env.sock" })), [
    "unix:///env.sock",
  ]);
  deepEqual(
    urls({ ...environment(folder.path, { DOCKER_HOST: "x" }), option: "unix:///option.sock" }),
    ["unix:///option.sock"],
  );

  const tls = { DOCKER_HOST: "tcp://h:1", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/certs" };
  deepEqual(dockerCandidates(environment(folder.path, tls)), [
    { url: "tcp://h:1", certificates: "/certs", verify: true, from: "DOCKER_HOST" },
  ]);
  for (
    const [env, message] of [
      [{ DOCKER_HOST: "ssh://me@there" }, /ssh is not supported; forward the socket/],
      [{ DOCKER_HOST: "there:2375" }, /"there:2375" of DOCKER_HOST: a Docker host is unix/],
      [{ DOCKER_CONTEXT: "gone" }, /context "gone": it is not in/],
    ] as const
  ) throws(() => dockerCandidates(environment(folder.path, env)), message);
});

Deno.test("findDocker() says in one sentence why there is no Docker", async () => {
  using folder = home();
  const at = (url: string) => findDocker({ ...environment(folder.path), option: url });
  match(String(await at("unix:///nowhere.sock")), /^there is no socket at \/nowhere\.sock \(--doc/);
  match(
    String(await at("tcp://127.0.0.1:1")),
    /^nothing listens on tcp:\/\/127\.0\.0\.1:1 \(--doc/,
  );
  const server = createServer((_, response) => response.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    match(String(await at(url)), /does not answer as Docker \(/);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

Deno.test("findDocker() says when this user may not use the socket", async (t) => {
  using folder = home();
  const socket = join(folder.path, "docker.sock");
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  try {
    Deno.chmodSync(socket, 0o600);
    Deno.chmodSync(folder.path, 0o755);
    if (Deno.uid() !== 0) {
      Deno.chmodSync(socket, 0);
      const env = { ...environment(folder.path), option: `unix://${socket}` };
      match(String(await findDocker(env)), /this user may not use .*; join the group docker/);
      return;
    }
    // Root may use any: another user asks, with copies of the module and of Deno that it can read.
    const deno = join(folder.path, "deno");
    Deno.copyFileSync(Deno.execPath(), deno);
    Deno.chmodSync(deno, 0o755);
    mkdirSync(join(folder.path, "hosts", "docker"), { recursive: true });
    for (const name of ["hosts/docker/daemon.ts", "errors.ts"]) {
      Deno.copyFileSync(new URL(`../../${name}`, import.meta.url), join(folder.path, name));
    }
    writeFileSync(
      join(folder.path, "ask.ts"),
      `import { dockerEnvironment, findDocker } from "./hosts/docker/daemon.ts";
       console.log(await findDocker(dockerEnvironment("unix://${socket}")));`,
    );
    mkdirSync(join(folder.path, "cache"));
    Deno.chownSync(join(folder.path, "cache"), 65_534, 65_534);
    const { stdout, stderr, success } = await new Deno.Command(deno, {
      args: ["run", "--no-config", "--no-lock", "--allow-all", "--quiet", "ask.ts"],
      cwd: folder.path,
      env: { DENO_DIR: join(folder.path, "cache"), HOME: folder.path },
      clearEnv: true,
      uid: 65_534,
      gid: 65_534,
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    equal(success, true, `${t.name}: ${text(stderr)}`);
    match(text(stdout), /^this user may not use .*docker\.sock \(--docker-host\); join the group/);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});
