/**
 * Our end of the relay that runs in a container of the study's network (relay.py): local listeners
 * for services there, wherever Docker is, and files of its host's kernel.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { PoolscopeError } from "../errors.ts";

/** The relay's program, for `python -c`. */
export function relayProgram(): string {
  return readFileSync(fileURLToPath(new URL("./relay.py", import.meta.url)), "utf8");
}

const HEADER_BYTES = 9;
/** A file of the kernel is answered at once, if the relay works. */
const ANSWER_TIMEOUT_MS = 5000;

/** A connection through the relay, until both ends are closed. */
interface Connection {
  receive(payload: Uint8Array): void;
  end(): void;
}

/** The relay's standard streams, put to use. */
export class Relay implements Disposable {
  #input: Duplex;
  #rest = new Uint8Array(0);
  #connections = new Map<number, Connection>();
  #questions = new Map<number, (text: string | null) => void>();
  #servers = new Map<string, Promise<Server>>();
  #next = 1;
  #closed = false;

  /**
   * @param input What the relay reads.
   * @param output What it writes, without Docker's frames.
   */
  constructor(input: Duplex, output: Readable) {
    this.#input = input;
    output.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    input.on("close", () => this[Symbol.dispose]());
    input.on("error", () => this[Symbol.dispose]());
  }

  #send(kind: string, number: number, payload: Uint8Array = new Uint8Array(0)): void {
    if (this.#closed) return;
    const frame = new Uint8Array(HEADER_BYTES + payload.length);
    const view = new DataView(frame.buffer);
    frame[0] = kind.charCodeAt(0);
    view.setUint32(1, number);
    view.setUint32(5, payload.length);
    frame.set(payload, HEADER_BYTES);
    this.#input.write(frame);
  }

  #receive(chunk: Uint8Array): void {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at);
      const end = at + HEADER_BYTES + view.getUint32(5);
      if (bytes.length < end) break;
      const payload = bytes.slice(at + HEADER_BYTES, end);
      this.#dispatch(String.fromCharCode(bytes[at]!), view.getUint32(1), payload);
      at = end;
    }
    this.#rest = bytes.slice(at);
  }

  #dispatch(kind: string, number: number, payload: Uint8Array): void {
    if (kind === "R") {
      this.#questions.get(number)?.(new TextDecoder().decode(payload));
    } else if (kind === "D") {
      this.#connections.get(number)?.receive(payload);
    } else {
      this.#connections.get(number)?.end();
      this.#connections.delete(number);
    }
  }

  /**
   * A local port that leads to a service of the network; each is opened once.
   *
   * @param address `host:port` as the network knows it.
   */
  async listen(address: string): Promise<number> {
    let server = this.#servers.get(address);
    if (server === undefined) {
      server = new Promise((resolve, reject) => {
        const made = createServer((socket) => this.#forward(socket, address));
        made.on("error", reject);
        made.listen(0, "127.0.0.1", () => resolve(made));
      });
      this.#servers.set(address, server);
    }
    return ((await server).address() as AddressInfo).port;
  }

  #forward(socket: Socket, address: string): void {
    if (this.#closed) return void socket.destroy();
    const number = this.#next++;
    this.#connections.set(number, {
      receive: (payload) => socket.write(payload),
      end: () => socket.end(),
    });
    this.#send("O", number, new TextEncoder().encode(address));
    socket.on("data", (payload: Uint8Array) => this.#send("D", number, payload));
    socket.on("error", () => {});
    socket.on("close", () => this.#send("C", number));
  }

  /**
   * Reads a file where the relay runs, as in `/proc/stat`, which there is the host's.
   *
   * @throws {PoolscopeError} If the relay does not answer.
   */
  async readFile(path: string): Promise<string> {
    const number = this.#next++;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const text = this.#closed ? null : await new Promise<string | null>((resolve) => {
      timer = setTimeout(() => resolve(null), ANSWER_TIMEOUT_MS);
      this.#questions.set(number, resolve);
      this.#send("R", number, new TextEncoder().encode(path));
    });
    clearTimeout(timer);
    this.#questions.delete(number);
    if (text === null) throw new PoolscopeError("Docker's relay container does not answer");
    return text;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const server of this.#servers.values()) {
      server.then((made) => made.close()).catch(() => {});
    }
    for (const connection of this.#connections.values()) connection.end();
    for (const answer of this.#questions.values()) answer(null);
    this.#connections.clear();
    this.#input.destroy();
  }
}
