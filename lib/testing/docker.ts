/**
 * Docker for tests: the daemon that this machine has, tests that are skipped with a reason where there
 * is none, and a TLS front that makes a local daemon a remote one.
 *
 * @module
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
// @ts-types="@types/dockerode"
import Docker from "dockerode";
import {
  connectionOptions,
  type DockerHost,
  findDocker,
  type FoundDocker,
  socketPath,
} from "../engine/docker_host.ts";

const found = await findDocker();
/** `.ci/run` has Docker: there, a test that is skipped is one that has failed. */
const REQUIRED = Deno.env.get("POOLSCOPE_REQUIRE_DOCKER") === "1";
if (typeof found === "string" && !REQUIRED) {
  console.log(`Tests of the Docker engine are skipped: ${found}`);
}

/** A daemon and a connection to it. */
export interface TestDocker extends FoundDocker {
  docker: Docker;
}

/** A test that needs Docker: skipped without one, unless POOLSCOPE_REQUIRE_DOCKER is 1. */
export function dockerTest(
  name: string,
  body: (docker: TestDocker, t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: typeof found === "string" && !REQUIRED,
    // The daemon's client keeps connections open for its next request.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn(t) {
      if (typeof found === "string") throw new Error(`Docker is required here: ${found}`);
      await body({ ...found, docker: new Docker(connectionOptions(found.host)) }, t);
    },
  });
}

function openssl(folder: string, ...args: string[]): void {
  const { success, stderr } = new Deno.Command("openssl", { args, cwd: folder }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** A certificate of an authority that only this test knows. */
function makeCertificates(folder: string): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(folder, "req", "-x509", ...key, "-days", "2", "-subj", "/CN=test authority", ...[
    ...["-keyout", "ca-key.pem", "-out", "ca.pem"],
  ]);
  for (const name of ["server", "client"]) {
    const file = name === "client" ? "" : "server-";
    openssl(folder, "req", ...key, "-subj", `/CN=${name}`, ...[
      ...["-keyout", `${file}key.pem`, "-out", `${name}.csr`],
    ]);
    writeFileSync(join(folder, `${name}.ext`), "subjectAltName=IP:127.0.0.1\n");
    openssl(folder, "x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", ...[
      ...["-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2"],
      ...["-extfile", `${name}.ext`, "-out", `${file}cert.pem`],
    ]);
  }
}

/**
 * A daemon as it is reached over the network: TLS with certificates on both sides, in front of a
 * daemon's socket. Closing it is what a client sees of a daemon that dies.
 */
export class TlsFront implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), "poolscope-tls-"));
  #server: ReturnType<typeof createServer>;
  #sockets = new Set<Socket>();

  private constructor(path: string) {
    makeCertificates(this.folder);
    const read = (name: string) => readFileSync(join(this.folder, name));
    this.#server = createServer({
      ...{ key: read("server-key.pem"), cert: read("server-cert.pem"), ca: read("ca.pem") },
      ...{ requestCert: true, rejectUnauthorized: true },
    }, (client) => {
      const daemon = connect(path);
      for (const [from, to] of [[client, daemon], [daemon, client]] as [Socket, Socket][]) {
        this.#sockets.add(from);
        from.on("data", (bytes) => to.write(bytes));
        from.on("end", () => to.end());
        from.on("error", () => to.destroy());
        from.on("close", () => {
          this.#sockets.delete(from);
          to.end();
        });
      }
    });
    this.#server.on("tlsClientError", () => {});
  }

  /** Opens one before the daemon with this socket. */
  static async open(host: DockerHost): Promise<TlsFront> {
    const front = new TlsFront(socketPath(host)!);
    await new Promise<void>((resolve) => front.#server.listen(0, "127.0.0.1", resolve));
    return front;
  }

  get url(): string {
    return `tcp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What a client's environment must say. */
  get env(): Record<string, string> {
    return { DOCKER_HOST: this.url, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: this.folder };
  }

  get host(): DockerHost {
    return { url: this.url, certificates: this.folder, verify: true, from: "the test" };
  }

  /** Ends all connections and takes no new one. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    rmSync(this.folder, { recursive: true, force: true });
    return Promise.resolve();
  }
}
