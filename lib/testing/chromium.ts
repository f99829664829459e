// deno-lint-ignore-file no-explicit-any -- JSON of other programs, read field by field
/**
 * A headless Chromium for tests, driven over its DevTools protocol, with every name and address but
 * local files out of reach.
 */

import { waitUntil } from "../hosts/wait.ts";
import { findOnPath } from "../setup/command.ts";

/** The browser's program, or null where there is none. */
export function findChromium(): string | null {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    const found = findOnPath(name);
    if (found !== null) return found;
  }
  return null;
}

/** What a page did while it was open. */
export interface PageReport<T> {
  /** Console errors and uncaught exceptions. */
  errors: string[];
  /** Requests that were not for the file itself or data within it. */
  requests: string[];
  /** What the given expression evaluated to in the page. */
  value: T;
}

type Message = {
  id?: number;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
};

/** A started browser. */
export class Chromium implements AsyncDisposable {
  #process: Deno.ChildProcess;
  #profile: string;
  #endpoint: string;

  private constructor(process: Deno.ChildProcess, profile: string, endpoint: string) {
    this.#process = process;
    this.#profile = profile;
    this.#endpoint = endpoint;
  }

  /** Starts the browser and waits for its debugging port. */
  static async start(program: string): Promise<Chromium> {
    const profile = Deno.makeTempDirSync({ prefix: "poolscope-chromium-" });
    const process = new Deno.Command(program, {
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--proxy-server=127.0.0.1:9",
        "--remote-debugging-port=0",
        `--user-data-dir=${profile}`,
        "about:blank",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const endpoint = await waitUntil(() => {
      const [port] = Deno.readTextFileSync(`${profile}/DevToolsActivePort`).split("\n");
      return port ? `http://127.0.0.1:${port}` : null;
    }, { what: "Chromium's debugging port" });
    return new Chromium(process, profile, endpoint);
  }

  /** Opens a local page and evaluates an expression in it when it has loaded. */
  async visit<T>(file: string, expression: string): Promise<PageReport<T>> {
    const url = `file://${file}`;
    const response = await fetch(`${this.#endpoint}/json/new?about:blank`, { method: "PUT" });
    const { webSocketDebuggerUrl, id } = await response.json();
    const socket = new WebSocket(webSocketDebuggerUrl);
    await new Promise((resolve) => socket.onopen = resolve);
    const errors: string[] = [];
    const requests: string[] = [];
    const pending = new Map<number, (result: Record<string, unknown>) => void>();
    const loaded = Promise.withResolvers<void>();
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data) as Message;
      const params = message.params as any;
      if (message.id !== undefined) pending.get(message.id)?.(message.result ?? {});
      if (message.method === "Page.loadEventFired") loaded.resolve();
      if (message.method === "Runtime.exceptionThrown") errors.push(params.exceptionDetails.text);
      if (message.method === "Log.entryAdded" && params.entry.level === "error") {
        errors.push(params.entry.text);
      }
      if (message.method === "Runtime.consoleAPICalled" && params.type === "error") {
        errors.push(String(params.args[0]?.value));
      }
      if (message.method === "Network.requestWillBeSent") requests.push(params.request.url);
    };
    let last = 0;
    const send = (method: string, params: Record<string, unknown> = {}) => {
      const reply = Promise.withResolvers<Record<string, unknown>>();
      pending.set(++last, reply.resolve);
      socket.send(JSON.stringify({ id: last, method, params }));
      return reply.promise;
    };
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await send(`${domain}.enable`);
    await send("Page.navigate", { url });
    await loaded.promise;
    const evaluated = await send("Runtime.evaluate", { expression, returnByValue: true });
    const value = (evaluated as { result: { value: T } }).result.value;
    const closed = Promise.withResolvers<void>();
    socket.onclose = () => closed.resolve();
    await (await fetch(`${this.#endpoint}/json/close/${id}`)).body?.cancel();
    socket.close();
    await closed.promise;
    const other = requests.filter((request) => request !== url && !request.startsWith("data:"));
    return { errors, requests: other, value };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    // Its helpers write into the profile for a moment longer.
    await waitUntil(() => {
      Deno.removeSync(this.#profile, { recursive: true });
      return true;
    }, { what: "Chromium's profile to be removed" });
  }
}
