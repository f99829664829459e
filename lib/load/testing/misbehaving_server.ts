/** An HTTP server that answers badly on purpose, and counts what it was asked. */

import { setTimeout as sleep } from "node:timers/promises";

/** What the server does with a request. */
export type Behaviour = "ok" | "error" | "close" | "cut" | "hang" | "html" | "redirect";

const JSON_BODY = '{"id":1,"name":"Ada"}';

function answer(status: string, type: string, body: string, length = body.length): Uint8Array {
  return new TextEncoder().encode(
    `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n${body}`,
  );
}

const ANSWERS: Record<Exclude<Behaviour, "ok" | "close" | "hang">, Uint8Array> = {
  // Longer than one read, so that body and connection are not lost with the status.
  error: answer("500 Internal Server Error", "application/json", `"${"e".repeat(9_000)}"`),
  cut: answer("200 OK", "application/json", JSON_BODY, 1_000),
  html: answer("200 OK", "text/html", "<p>It works!</p>"),
  redirect: answer("302 Found\r\nLocation: /elsewhere", "application/json", "{}"),
};
const OK = answer("200 OK", "application/json", JSON_BODY);
const CREATED = answer("201 Created", "application/json", JSON_BODY);

/** A server on a free port of 127.0.0.1. */
export class MisbehavingServer implements AsyncDisposable {
  /** Where it answers. */
  readonly url: string;
  /** Requests by behaviour, as the server counts them. */
  readonly seen: Record<Behaviour, number> = {
    ok: 0,
    error: 0,
    close: 0,
    cut: 0,
    hang: 0,
    html: 0,
    redirect: 0,
  };
  /** When each connection was accepted, in Unix time, microseconds. */
  readonly acceptedUs: number[] = [];
  #listener: Deno.Listener;
  #open = new Set<Deno.Conn>();
  #behave: (request: number, path: string) => Behaviour;
  #delayMs: number;
  #keepAliveMs: number;

  /**
   * @param behave What to do with the n-th request, from 1, by its path.
   * @param delayMs Time before each answer.
   * @param keepAliveMs A connection on which nothing is sent for so long is closed.
   */
  constructor(
    behave: (request: number, path: string) => Behaviour,
    delayMs = 0,
    keepAliveMs = Infinity,
  ) {
    this.#behave = behave;
    this.#delayMs = delayMs;
    this.#keepAliveMs = keepAliveMs;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
    this.#accept();
  }

  /** Connections accepted. */
  get connections(): number {
    return this.acceptedUs.length;
  }

  /** Requests of all behaviours. */
  get total(): number {
    return Object.values(this.seen).reduce((sum, count) => sum + count, 0);
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.acceptedUs.push((performance.timeOrigin + performance.now()) * 1000);
      this.#open.add(connection);
      this.#serve(connection)
        .catch(() => {}) // the client went away
        .finally(() => {
          this.#open.delete(connection);
          try {
            connection.close();
          } catch {
            // closed already
          }
        });
    }
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(16_384);
    let text = "";
    for (;;) {
      const head = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (head < 0 || text.length < head + 4 + length) {
        const idle = Number.isFinite(this.#keepAliveMs)
          ? setTimeout(() => connection.close(), this.#keepAliveMs)
          : undefined;
        const read = await connection.read(chunk).finally(() => clearTimeout(idle));
        if (read === null) return;
        text += decoder.decode(chunk.subarray(0, read));
        continue;
      }
      const [method, path] = text.split(" ", 2) as [string, string];
      text = text.slice(head + 4 + length);
      const behaviour = this.#behave(this.total + 1, path);
      this.seen[behaviour]++;
      if (behaviour === "close") return;
      if (behaviour === "hang") continue;
      if (this.#delayMs > 0) await sleep(this.#delayMs);
      await connection.write(
        behaviour === "ok" ? (method === "POST" ? CREATED : OK) : ANSWERS[behaviour],
      );
      if (behaviour === "cut") return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) connection.close();
    await Promise.resolve();
  }
}
