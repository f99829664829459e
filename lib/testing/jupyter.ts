// deno-lint-ignore-file no-explicit-any -- JSON of other programs, read field by field
/**
 * JupyterLab's own server, driven over its API as the JupyterLab page does: what arrives for a
 * cell after its reply and the kernel's `idle` is not shown any more.
 */

import { waitUntil } from "../hosts/wait.ts";
import { jupyterEnvironment } from "../notebooks/execute.ts";
import type { Notebook } from "../notebooks/notebook.ts";
import { toText } from "../notebooks/notebook.ts";
import { freePort } from "../hosts/local/local_host.ts";
import { toolEnvironment } from "../setup/environment.ts";
import type { PythonEnvironment } from "../setup/python.ts";
import { ROOT } from "../store/layout.ts";

/** One output of a cell: its kind and, of displayed data, the content by media type. */
export interface CellOutput {
  type: string;
  data: Record<string, unknown>;
  /** What a cell that failed said. */
  error?: string;
}

/** A running server. */
export class JupyterServer implements AsyncDisposable {
  #process: Deno.ChildProcess;
  #base: string;
  #token: string;

  private constructor(process: Deno.ChildProcess, base: string, token: string) {
    this.#process = process;
    this.#base = base;
    this.#token = token;
  }

  /** Starts the server on the checkout and waits until it answers. */
  static async start(python: PythonEnvironment): Promise<JupyterServer> {
    const port = freePort();
    const token = crypto.randomUUID();
    const process = new Deno.Command(python.python, {
      args: [
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        `--port=${port}`,
        `--IdentityProvider.token=${token}`,
        `--ServerApp.root_dir=${ROOT}`,
      ],
      clearEnv: true,
      env: toolEnvironment(jupyterEnvironment(python)),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    return await JupyterServer.of(process, port, token);
  }

  /** Waits until a server that was started elsewhere answers. */
  static async of(
    process: Deno.ChildProcess,
    port: number,
    token: string,
  ): Promise<JupyterServer> {
    const server = new JupyterServer(process, `127.0.0.1:${port}`, token);
    await waitUntil(async () => (await server.#call("GET", "/api/status")) && true, {
      what: "JupyterLab to answer",
      timeoutS: 60,
      intervalMs: 200,
    });
    return server;
  }

  async #call(method: string, path: string, body?: unknown): Promise<any> {
    const response = await fetch(`http://${this.#base}${path}`, {
      method,
      headers: { authorization: `token ${this.#token}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  }

  /** Opens a notebook with a kernel of its own. */
  async open(path: string): Promise<JupyterSession> {
    const { content } = await this.#call("GET", `/api/contents/${path}`);
    const session = await this.#call("POST", "/api/sessions", {
      path,
      name: path,
      type: "notebook",
      kernel: { name: content.metadata.kernelspec.name },
    });
    const kernel = `/api/kernels/${session.kernel.id}`;
    return new JupyterSession(content, {
      restart: () => this.#call("POST", `${kernel}/restart`),
      interrupt: () => this.#call("POST", `${kernel}/interrupt`),
      end: () => this.#call("DELETE", `/api/sessions/${session.id}`),
      connect: () => new WebSocket(`ws://${this.#base}${kernel}/channels?token=${this.#token}`),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#call("POST", "/api/shutdown");
    await this.#process.status;
  }
}

interface KernelCalls {
  restart(): Promise<unknown>;
  interrupt(): Promise<unknown>;
  end(): Promise<unknown>;
  connect(): WebSocket;
}

/** An open notebook. */
export class JupyterSession {
  #notebook: Notebook;
  #kernel: KernelCalls;

  constructor(notebook: Notebook, kernel: KernelCalls) {
    this.#notebook = notebook;
    this.#kernel = kernel;
  }

  /** "Restart & Run All": the outputs of each code cell, in order. */
  async restartAndRunAll(): Promise<CellOutput[][]> {
    await this.#kernel.restart();
    const sources = this.#notebook.cells.filter((cell) => cell.cell_type === "code")
      .map((cell) => toText(cell.source));
    return await this.run(...sources);
  }

  /**
   * Runs cells in the kernel as it is.
   *
   * @returns The outputs of each cell, in order.
   */
  async run(...sources: string[]): Promise<CellOutput[][]> {
    const socket = this.#kernel.connect();
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const outputs: CellOutput[][] = [];
    try {
      for (const source of sources) outputs.push(await this.#execute(socket, source));
    } finally {
      const closed = new Promise((resolve) => socket.onclose = resolve);
      socket.close();
      await closed;
    }
    return outputs;
  }

  /** Presses the Stop button. */
  async interrupt(): Promise<void> {
    await this.#kernel.interrupt();
  }

  #execute(socket: WebSocket, code: string): Promise<CellOutput[]> {
    const id = crypto.randomUUID();
    const outputs: CellOutput[] = [];
    let idle = false;
    let replied = false;
    const done = Promise.withResolvers<CellOutput[]>();
    const timer = setTimeout(() => done.reject(new Error(`No end after 120 s: ${code}`)), 120_000);
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      const { msg_type: type } = message.header;
      // The server's own word, which belongs to no cell.
      if (type === "status" && ["restarting", "dead"].includes(message.content.execution_state)) {
        done.reject(new Error("The kernel died"));
      }
      if (message.parent_header?.msg_id !== id) return;
      if (type === "status") idle ||= message.content.execution_state === "idle";
      else if (type === "execute_reply") replied = true;
      else if (["execute_result", "display_data", "stream", "error"].includes(type)) {
        outputs.push({
          type,
          data: message.content.data ?? {},
          ...(type === "error" && { error: `${message.content.ename}: ${message.content.evalue}` }),
        });
      }
      if (idle && replied) done.resolve(outputs);
    };
    socket.send(JSON.stringify({
      channel: "shell",
      header: {
        msg_id: id,
        msg_type: "execute_request",
        version: "5.3",
        username: "",
        session: id,
        date: new Date().toISOString(),
      },
      parent_header: {},
      metadata: {},
      content: {
        code,
        silent: false,
        store_history: true,
        allow_stdin: false,
        stop_on_error: true,
      },
      buffers: [],
    }));
    return done.promise.finally(() => {
      clearTimeout(timer);
      socket.onmessage = null;
    });
  }

  /** Ends the kernel. */
  async end(): Promise<void> {
    await this.#kernel.end();
  }
}
