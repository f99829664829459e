/** `deno task lab`: the notebooks in JupyterLab; further arguments are Jupyter's own. */

import { join } from "node:path";
import { jupyterEnvironment } from "../notebooks/execute.ts";
import { toolEnvironment } from "../setup/environment.ts";
import { setUp } from "../setup/mod.ts";
import { ROOT } from "../store/layout.ts";
import { EXIT } from "./exit_status.ts";
import { runTaskCommand, taskCommand } from "./options.ts";

const command = taskCommand("lab", "Opens the notebooks in JupyterLab.")
  .argument("[jupyter...]", "JupyterLab's own, such as --no-browser --port=8899")
  .allowUnknownOption();

/** How long JupyterLab has to shut its kernels down. */
const STOP_GRACE_MS = 15_000;

/** Starts JupyterLab so that it ends, kernels and all, even if we are killed (Linux only). */
const START = [
  "import ctypes, signal, sys",
  "getattr(ctypes.CDLL(None), 'prctl', lambda *_: 0)(1, signal.SIGTERM)",
  "from jupyterlab.labapp import main",
  "sys.exit(main())",
].join("\n");

await runTaskCommand(command, async ({ signal }) => {
  const { python } = await setUp({ lab: true, log: console.log, signal });
  console.log(`VS Code: choose the Jupyter kernel "Deno" of the environment ${python.folder}`);
  console.log("Kernels run with all permissions, as your own user\n");
  const child = new Deno.Command(python.python, {
    cwd: join(ROOT, "notebooks"),
    clearEnv: true,
    env: toolEnvironment(jupyterEnvironment(python)),
    args: [
      "-c",
      START,
      "--ServerApp.ip=127.0.0.1",
      `--ServerApp.root_dir=${ROOT}`,
      "--LabApp.default_url=/lab/tree/notebooks",
      "--LabApp.extension_manager=readonly",
      "--MultiKernelManager.default_kernel_name=deno",
      // Jupyter refuses to run as root unless told; in a container that is who one is.
      ...(Deno.uid() === 0 ? ["--ServerApp.allow_root=True"] : []),
      // Last, so that they win.
      ...Deno.args,
    ],
    // In a session of its own: of a Ctrl-C that reaches it too, Jupyter asks whether it was meant,
    // and without a terminal it ends before its kernels have.
    detached: true,
  }).spawn();
  const stop = () => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
  };
  signal.addEventListener("abort", stop, { once: true });
  const { code, signal: endedBy } = await child.status;
  signal.removeEventListener("abort", stop);
  return endedBy === null && code === 0 ? EXIT.ok : EXIT.fault;
});
