/**
 * Finds Docker: the daemon that `--docker-host`, the environment, the current context or a socket in
 * a known place names. No npm package is imported here, as the doctor and the keeper look as well.
 */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { type Agent, request as httpsRequest } from "node:https";
import { homedir } from "node:os";
import { join } from "node:path";
import { PoolscopeError, UsageError } from "../../errors.ts";

/** Where a daemon listens, and how to speak to it. Holds paths of keys, never keys. */
export interface Daemon {
  /** As Docker writes it: `unix:///var/run/docker.sock` or `tcp://host:2376`. */
  url: string;
  /** Folder with `ca.pem`, `cert.pem` and `key.pem`; null for no TLS. */
  certificates: string | null;
  /** Whether the daemon's certificate is checked. */
  verify: boolean;
  /** What named it, for messages: `DOCKER_HOST`, `the context desktop-linux`. */
  from: string;
}

/** The parts of the environment that name a daemon. */
export interface DockerEnvironment {
  /** The value of `--docker-host`. */
  option?: string;
  env: Record<string, string | undefined>;
  home: string;
  uid: number | null;
}

/** This process's environment. */
export function dockerEnvironment(option?: string): DockerEnvironment {
  return { option, env: Deno.env.toObject(), home: homedir(), uid: Deno.uid() };
}

/**
 * The daemons to try, best first. Who names one means that one; else the sockets of a system-wide,
 * a rootless and a Desktop installation are tried.
 *
 * @throws {UsageError} If a name is no address, or the context is not there.
 */
export function dockerCandidates(from: DockerEnvironment = dockerEnvironment()): Daemon[] {
  const { option, env, home, uid } = from;
  const config = env.DOCKER_CONFIG || join(home, ".docker");
  const fromEnv = (url: string, name: string): Daemon => {
    const tls = Boolean(env.DOCKER_TLS_VERIFY || env.DOCKER_TLS);
    return checked({
      url,
      certificates: tls && !url.startsWith("unix:") ? env.DOCKER_CERT_PATH || config : null,
      verify: Boolean(env.DOCKER_TLS_VERIFY),
      from: name,
    });
  };
  if (option) return [fromEnv(option, "--docker-host")];
  if (env.DOCKER_HOST) return [fromEnv(env.DOCKER_HOST, "DOCKER_HOST")];
  const context = env.DOCKER_CONTEXT || currentContext(config);
  if (context !== null && context !== "default") return [checked(readContext(config, context))];
  const runtime = env.XDG_RUNTIME_DIR || (uid === null ? null : `/run/user/${uid}`);
  const socket = (from: string, folder: string): Daemon => ({
    url: `unix://${join(folder, "docker.sock")}`,
    certificates: null,
    verify: false,
    from,
  });
  return [
    socket("the system's socket", "/var/run"),
    ...(runtime === null ? [] : [socket("the rootless socket", runtime)]),
    socket("Docker Desktop's socket", join(home, ".docker/run")),
    socket("Docker Desktop's socket", join(home, ".docker/desktop")),
  ];
}

function checked(host: Daemon): Daemon {
  const { protocol } = URL.parse(host.url) ?? { protocol: "" };
  if (protocol === "ssh:") {
    throw new UsageError(
      `Cannot use ${host.url} of ${host.from}: ssh is not supported; forward the socket (ssh -L) and use --docker-host unix:///PATH`,
    );
  }
  if (!["unix:", "tcp:", "http:", "https:"].includes(protocol)) {
    throw new UsageError(
      `Cannot use "${host.url}" of ${host.from}: a Docker host is unix:///PATH or tcp://HOST:PORT`,
    );
  }
  return host;
}

function readJson(file: string): Record<string, unknown> | null {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null; // Not there, or half written by Docker: as good as none.
  }
}

function currentContext(config: string): string | null {
  const name = readJson(join(config, "config.json"))?.currentContext;
  return typeof name === "string" && name !== "" ? name : null;
}

/** A context of Docker's own tool: its folders are named by the hash of its name. */
function readContext(config: string, name: string): Daemon {
  const id = createHash("sha256").update(name).digest("hex");
  const meta = readJson(join(config, "contexts", "meta", id, "meta.json"));
  const endpoint = (meta?.Endpoints as Record<string, Record<string, unknown>> | undefined)?.docker;
  if (typeof endpoint?.Host !== "string") {
    throw new UsageError(
      `Cannot use Docker's context "${name}": it is not in ${config}; choose another by \`docker context use\`, or use --docker-host`,
    );
  }
  const certificates = join(config, "contexts", "tls", id, "docker");
  return {
    url: endpoint.Host,
    certificates: existsSync(certificates) ? certificates : null,
    verify: endpoint.SkipTLSVerify !== true,
    from: `the context ${name}`,
  };
}

/** The path of a daemon's socket; null when it is reached over the network. */
export function socketPath({ url }: Daemon): string | null {
  return url.startsWith("unix://") ? url.slice("unix://".length) : null;
}

/** What a client of Node's `http` and `https`, dockerode's too, needs to reach a daemon. */
export function connectionOptions(host: Daemon) {
  const path = socketPath(host);
  if (path !== null) return { socketPath: path };
  const { hostname, port, protocol } = new URL(host.url);
  const { certificates } = host;
  const tls = certificates !== null || protocol === "https:";
  const read = (name: string) => {
    if (certificates === null) return undefined;
    try {
      return readFileSync(join(certificates, name), "utf8");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new PoolscopeError(
        `Cannot use Docker at ${host.url}: ${name} in ${certificates} cannot be read (${code}); set DOCKER_CERT_PATH`,
        { cause: error },
      );
    }
  };
  return {
    protocol: tls ? "https" as const : "http" as const,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port) || (tls ? 2376 : 2375),
    ...(tls && {
      rejectUnauthorized: host.verify,
      ca: read("ca.pem"),
      cert: read("cert.pem"),
      key: read("key.pem"),
    }),
  };
}

/**
 * One request to a daemon, in full.
 *
 * @param path Path and query, without a version: the daemon's own is used.
 * @param timeoutS Give up after this many seconds. @default 10
 * @throws {Error} If the daemon cannot be reached.
 */
export function askDocker(
  host: Daemon,
  method: "GET" | "DELETE",
  path: string,
  timeoutS = 10,
): Promise<{ status: number; text: string }> {
  const { protocol, ...options } = { protocol: "http", ...connectionOptions(host) };
  const request = protocol === "https" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const agent = false as unknown as Agent;
    const sent = request({ ...options, method, path, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => text += chunk);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    sent.setTimeout(timeoutS * 1000, () => {
      sent.destroy(new Error(`no answer within ${timeoutS} s`));
    });
    sent.on("error", reject);
    sent.end();
  });
}

/**
 * The first daemon that answers.
 *
 * @returns It and its version, or one sentence that says why there is none and what to do.
 * @throws {UsageError} If what was named is no address.
 */
export async function findDocker(
  from?: DockerEnvironment,
): Promise<{ daemon: Daemon; version: string } | string> {
  const problems: string[] = [];
  for (const daemon of dockerCandidates(from)) {
    try {
      const { status, text } = await askDocker(daemon, "GET", "/version", 5);
      if (status !== 200) throw new Error(`it answers with status ${status}`);
      const version = JSON.parse(text).Version;
      if (typeof version !== "string") throw new Error("what answers is not Docker");
      return { daemon, version };
    } catch (error) {
      const reason = explain(daemon, error);
      if (reason !== null) problems.push(reason);
    }
  }
  return problems[0] ??
    "there is no socket of Docker in its usual places; start Docker, or use --docker-host";
}

/** Why a daemon does not answer; null for a usual place where simply none is. */
function explain(host: Daemon, error: unknown): string | null {
  const path = socketPath(host);
  const where = `${path ?? host.url} (${host.from})`;
  const { code, message } = error as NodeJS.ErrnoException;
  const guessed = / socket$/.test(host.from);
  if (code === "ENOENT" || (path !== null && !existsSync(path))) {
    return guessed ? null : `there is no socket at ${where}; start Docker`;
  }
  if (code === "EACCES" || code === "EPERM") {
    return `this user may not use ${where}; join the group docker and log in again`;
  }
  if (code === "ECONNREFUSED") return `nothing listens on ${where}; start Docker`;
  return `${where} does not answer as Docker (${message.split("\n")[0]})`;
}
