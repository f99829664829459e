/** An HTTP server that answers the n-th request as the n-th script says, byte by byte. */

import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** In the system's table of connections. */
const ESTABLISHED = "01";
const NOTHING = "00000000";

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

/** A connection as one of its ends sees it: its state, and what is not acknowledged and not read yet. */
function endOf(table: string, local: number, remote: number): string[] | undefined {
  const hex = (port: number) => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return RegExp(` ${hex(local)} ${hex(remote)} (..) (.{8}):(.{8}) `).exec(table)?.slice(1);
}

/** Waits until nothing is on its way to the client, and nothing lies there unread; or it has closed. */
async function haveRead(socket: Socket): Promise<void> {
  const { localPort, remotePort } = socket;
  while (!socket.destroyed) {
    const table = readFileSync("/proc/net/tcp", "utf8");
    const own = endOf(table, localPort!, remotePort!);
    const client = endOf(table, remotePort!, localPort!);
    if (own !== undefined && own[0] !== ESTABLISHED) return;
    if (own?.[1] === NOTHING && client?.[2] === NOTHING) return;
    await sleep(1);
  }
}
