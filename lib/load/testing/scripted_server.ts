/** An HTTP server that answers the n-th request as the n-th script says, byte by byte. */

import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * What to do next: send bytes, wait so many milliseconds, or until the client has read all that was sent,
 * or end the connection.
 */
export type Step = string | Uint8Array | number | "READ" | "CLOSE" | "RESET";

/** Answers one request with each script, and every request after them with the last. */
export class ScriptedServer implements AsyncDisposable {
  /** For each request the number of the connection that it came on, both from 0. */
  readonly connectionOf: number[] = [];
  #server: Server;
  #open = new Set<Socket>();
  #scripts: Step[][];

  private constructor(scripts: Step[][]) {
    this.#scripts = scripts;
    let number = 0;
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#open.add(socket);
      socket.on("close", () => this.#open.delete(socket));
      socket.on("error", () => {}); // the client went away
      this.#serve(socket, number++).catch(() => {}).finally(() => socket.destroy());
    });
  }

  /** Starts one on a free port of 127.0.0.1. */
  static async start(scripts: Step[][]): Promise<ScriptedServer> {
    const server = new ScriptedServer(scripts);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  /** Where it answers. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #serve(socket: Socket, number: number): Promise<void> {
    let text = "";
    for await (const chunk of socket) {
      text += (chunk as Uint8Array).toString();
      if (!text.endsWith("\r\n\r\n")) continue;
      text = "";
      const script = this.#scripts[this.connectionOf.length] ?? this.#scripts.at(-1)!;
      this.connectionOf.push(number);
      for (const step of script) {
        if (step === "CLOSE") return;
        if (step === "RESET") return void socket.resetAndDestroy();
        if (step === "READ") await haveRead(socket);
        else if (typeof step === "number") await sleep(step);
        else await write(socket, typeof step === "string" ? encode(step) : step);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** One byte for each character, so that a script may hold any byte. */
function encode(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function write(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) =>
    socket.write(bytes, (error) => error ? reject(error) : resolve())
  );
}

/** What of a connection has no acknowledgement yet, and what waits to be read, as the system counts. */
function queuesOf(local: number | undefined, remote: number | undefined): [number, number] {
  const end = (port = 0) => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const line = readFileSync("/proc/net/tcp", "utf8").split("\n")
    .find((line) => line.includes(` ${end(local)} ${end(remote)} `));
  // None of one that is closed.
  const [, sent, received] = /([0-9A-F]{8}):([0-9A-F]{8})/.exec(line?.split(/ +/)[5] ?? "") ?? [];
  return [parseInt(sent ?? "0", 16), parseInt(received ?? "0", 16)];
}

/** Waits until nothing is on its way to the client, and nothing lies there unread. */
async function haveRead({ localPort, remotePort }: Socket): Promise<void> {
  while (queuesOf(localPort, remotePort)[0] > 0 || queuesOf(remotePort, localPort)[1] > 0) {
    await sleep(1);
  }
}
