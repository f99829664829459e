/**
 * Our end of the relay that runs in a container of the study's network (relay.py): local listeners
 * for services there, wherever Docker is, and files of its host's kernel.
 */

import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { PoolscopeError } from "../../errors.ts";

/** The relay's program, for `python -c`. */
export function relayProgram(): string {
  return readFileSync(fileURLToPath(new URL("./relay.py", import.meta.url)), "utf8");
}

const HEADER_BYTES = 9;
/** A file of the kernel is answered at once, if the relay works. */
const ANSWER_TIMEOUT_MS = 5000;

/** The relay's standard streams, put to use. */
export class Relay implements Disposable {
  #rest = Buffer.alloc(0);
  /** Connections through the relay, until both ends are closed. */
  #connections = new Map<number, Socket>();
  #questions = new Map<number, (text: string | null) => void>();
  #servers = new Map<string, Promise<Server>>();
  #next = 1;
  #closed = false;
  #onClose: () => void = () => {};
  /** Resolves when it works no more. */
  readonly closed: Promise<void> = new Promise((resolve) => this.#onClose = resolve);

  /** @param output What it writes, without Docker's frames. */
  constructor(private readonly input: Duplex, output: Readable) {
    output.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    input.on("close", () => this[Symbol.dispose]());
    input.on("error", () => this[Symbol.dispose]());
  }

  #send(kind: string, number: number, payload: string | Uint8Array = ""): void {
    if (this.#closed) return;
    const body = Buffer.from(payload);
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(kind);
    header.writeUInt32BE(number, 1);
    header.writeUInt32BE(body.length, 5);
    this.input.write(Buffer.concat([header, body]));
  }

  #receive(chunk: Uint8Array): void {
    const bytes = Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 5);
      if (bytes.length < end) break;
      const payload = bytes.subarray(at + HEADER_BYTES, end);
      this.#dispatch(String.fromCharCode(bytes[at]!), bytes.readUInt32BE(at + 1), payload);
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }

  #dispatch(kind: string, number: number, payload: Buffer): void {
    if (kind === "R") {
      this.#questions.get(number)?.(payload.toString());
    } else if (kind === "D") {
      this.#connections.get(number)?.write(payload);
    } else {
      this.#connections.get(number)?.end();
      this.#connections.delete(number);
    }
  }

  /** A local port that leads to `host:port` as the network knows it; each is opened once. */
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
    this.#connections.set(number, socket);
    this.#send("O", number, address);
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
      this.#send("R", number, path);
    });
    clearTimeout(timer);
    this.#questions.delete(number);
    if (text === null) throw new PoolscopeError("Docker's relay container does not answer");
    return text;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
    for (const server of this.#servers.values()) {
      server.then((made) => made.close()).catch(() => {});
    }
    for (const socket of this.#connections.values()) socket.end();
    for (const answer of this.#questions.values()) answer(null);
    this.#connections.clear();
    this.input.destroy();
  }
}
