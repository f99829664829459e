/** A daemon as it is reached over the network: a TLS front before a local one's socket. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { type Daemon, socketPath } from "../hosts/docker/daemon.ts";

function openssl(folder: string, ...args: string[]): void {
  const { success, stderr } = new Deno.Command("openssl", { args, cwd: folder }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** A certificate of an authority that only this test knows. */
function makeCertificates(folder: string): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(folder, "req", "-x509", ...key, "-days", "2", "-subj", "/CN=test authority", ...[
    "-keyout",
    "ca-key.pem",
    "-out",
    "ca.pem",
  ]);
  for (const name of ["server", "client"]) {
    const file = name === "client" ? "" : "server-";
    openssl(folder, "req", ...key, "-subj", `/CN=${name}`, ...[
      "-keyout",
      `${file}key.pem`,
      "-out",
      `${name}.csr`,
    ]);
    writeFileSync(join(folder, `${name}.ext`), "subjectAltName=IP:127.0.0.1\n");
    openssl(folder, "x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", ...[
      "-CAkey",
      "ca-key.pem",
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      `${name}.ext`,
      "-out",
      `${file}cert.pem`,
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
      key: read("server-key.pem"),
      cert: read("server-cert.pem"),
      ca: read("ca.pem"),
      requestCert: true,
      rejectUnauthorized: true,
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
  static async open(daemon: Daemon): Promise<TlsFront> {
    const front = new TlsFront(socketPath(daemon)!);
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

  get daemon(): Daemon {
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
