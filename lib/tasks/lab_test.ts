import { deepEqual, equal, match } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { freePort } from "../engine/cluster.ts";
import { waitUntil } from "../engine/wait.ts";
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
      ...["task", "--quiet", "lab", "--no-browser", `--port=${port}`],
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

Deno.test("Lab without a terminal ends with its kernels when its group is signalled", async (t) => {
  await setUp({ lab: true });
  using shell = new HostileShell();
  for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    await t.step(signal, async () => {
      const { lab, server } = await startLab(shell);
      const session = await server.open("notebooks/00_overview.ipynb");
      const [outputs] = await session.run("String(Deno.pid)");
      const kernel = Number(/\d{2,}/.exec(String(outputs![0]!.data["text/plain"]))![0]);
      match(readFileSync(`/proc/${kernel}/cmdline`, "utf8"), /jupyter\0--kernel/);
      Deno.kill(-lab.pid, signal);
      equal((await lab.status).code, status);
      await waitUntil(() => Promise.resolve(!existsSync(`/proc/${kernel}`) || null), {
        what: `kernel ${kernel} to end`,
        timeoutS: 5,
      });
    });
  }
  deepEqual(shell.homeFiles(), []);
});
