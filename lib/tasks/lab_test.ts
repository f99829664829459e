// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { freePort } from "../hosts/local/local_host.ts";
import { listProcesses } from "../hosts/linux/proc.ts";
import { waitUntil } from "../hosts/wait.ts";
import { setUp } from "../setup/mod.ts";
import { ROOT } from "../store/layout.ts";
import { HostileShell } from "../testing/hostile.ts";
import { JupyterServer } from "../testing/jupyter.ts";

/** Starts `deno task lab` without a terminal, as the leader of a process group. */
async function startLab(shell: HostileShell) {
  const port = freePort();
  const token = crypto.randomUUID();
  const lab = new Deno.Command(Deno.execPath(), {
    args: [
      "task",
      "--quiet",
      "lab",
      "--no-browser",
      `--port=${port}`,
      `--IdentityProvider.token=${token}`,
    ],
    cwd: ROOT,
    clearEnv: true,
    env: shell.env,
    detached: true,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  return { lab, server: await JupyterServer.of(lab, port, token) };
}

/** What was started from this shell and still runs. */
function startedFrom(shell: HostileShell): { pid: number; command: string }[] {
  return listProcesses().flatMap(({ pid }) => {
    const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, "utf8").split("\0");
    try {
      if (!read("environ").includes(`HOME=${shell.home}`)) return [];
      return [{ pid, command: read("cmdline").join(" ") }];
    } catch {
      return []; // Ended meanwhile, or another user's.
    }
  });
}

Deno.test("Lab without a terminal ends with its kernels when its group is signalled", async (t) => {
  await setUp({ lab: true });
  using shell = new HostileShell();
  // Whatever fails, nothing of it meets the next test.
  using _rest = {
    [Symbol.dispose]: () => startedFrom(shell).forEach(({ pid }) => Deno.kill(pid, "SIGKILL")),
  };
  for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    await t.step(signal, async () => {
      const { lab, server } = await startLab(shell);
      const session = await server.open("notebooks/00_overview.ipynb");
      await session.run("void 0;");
      const running = startedFrom(shell);
      ok(running.some(({ command }) => command.includes("jupyter --kernel")));
      Deno.kill(-lab.pid, signal);
      equal((await lab.status).code, status);
      await waitUntil(() => Promise.resolve(startedFrom(shell).length === 0 || null), {
        what: "everything to end that Lab had started",
        // Lab gives its kernels as long.
        timeoutS: 15,
      });
    });
  }
  deepEqual(shell.homeFiles(), []);
});
