// test lane: checkout
import { deepStrictEqual as equal, ok, rejects } from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { tryCommand } from "./command.ts";
import { writeKernelspec } from "./kernelspec.ts";
import { ensurePython, environmentPaths, isRecentPython, PYTHON_PARTS } from "./python.ts";

const ROOT_LOCK = new URL("../../", import.meta.url);

/** One package's pin with its hashes, out of the real lock. */
function pin(name: string): string {
  const lock = Deno.readTextFileSync(new URL(PYTHON_PARTS.notebooks, ROOT_LOCK));
  const found = new RegExp(`^${name}==.*\\\\\\n(?:    --hash=.*\\n)+`, "m").exec(lock);
  ok(found, `${name} is not in ${PYTHON_PARTS.notebooks}`);
  return found[0];
}

/** A checkout of its own. The checkout's uv is used where it is there: pip alone takes its time. */
async function withRoot(work: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  const path = Deno.env.get("PATH")!;
  try {
    await Deno.mkdir(join(root, "notebooks"));
    const uv = join(environmentPaths().folder, "bin", "uv");
    if (existsSync(uv)) {
      await Deno.mkdir(join(root, "bin"));
      await Deno.symlink(uv, join(root, "bin", "uv"));
      Deno.env.set("PATH", `${join(root, "bin")}:${path}`);
    }
    await work(root);
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(root, { recursive: true });
  }
}

/** Runs `work` with a stand-in for Python that answers every question with `answer`. */
async function withFakePython(answer: unknown, work: () => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = Deno.env.get("PATH")!;
  try {
    const program = join(folder, "python3");
    await Deno.writeTextFile(program, `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`);
    await Deno.chmod(program, 0o755);
    Deno.env.set("PATH", answer === null ? join(folder, "empty") : folder);
    await work();
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("isRecentPython() compares numbers, not text", () => {
  equal(["2.7.18", "3.9.2", "3.11.0", "3.13.0rc1", "4.0"].map(isRecentPython), [
    false,
    false,
    true,
    true,
    true,
  ]);
});

Deno.test("ensurePython() says in one line what is wrong with the Python there is", async () => {
  await withRoot(async (root) => {
    await Deno.writeTextFile(join(root, PYTHON_PARTS.notebooks), pin("attrs"));
    const found = { path: "/opt/python3", version: "3.9.2", ensurepip: true, pip: true };
    const options = { root, parts: ["notebooks"] as const };
    await withFakePython(null, () => rejects(ensurePython(options), /no python3 on PATH; install/));
    await withFakePython(
      found,
      () => rejects(ensurePython(options), /\/opt\/python3 is Python 3\.9\.2, and 3\.11 or later/),
    );
    const bare = { ...found, version: "3.12.3", ensurepip: false, pip: false };
    await withFakePython(
      bare,
      () => rejects(ensurePython(options), /\(3\.12\.3\) has no ensurepip.*python3\.12-venv\)$/),
    );
    equal([...Deno.readDirSync(join(root, ".poolscope"))].map(({ name }) => name), ["venv.lock"]);
  });
});

Deno.test("ensurePython() names a lock that is missing", async () => {
  await withRoot(async (root) => {
    await rejects(
      ensurePython({ root, parts: ["notebooks"] }),
      /notebooks\/requirements\.txt cannot be read; restore it/,
    );
  });
});

Deno.test("ensurePython() installs, finds it again, repairs it and adds to it", async () => {
  await withRoot(async (root) => {
    await Deno.writeTextFile(join(root, PYTHON_PARTS.notebooks), pin("attrs"));
    await Deno.writeTextFile(join(root, PYTHON_PARTS.lab), pin("fastjsonschema"));
    const has = async (python: string, module: string) =>
      (await tryCommand([python, "-c", `import ${module}`])).code === 0;

    // Two at once: one installs, the other waits and finds it.
    const log: string[] = [];
    const options = { root, parts: ["notebooks"] as const, log: (line: string) => log.push(line) };
    const [first, second] = await Promise.all([ensurePython(options), ensurePython(options)]);
    equal(second, first);
    equal(log.filter((line) => line.startsWith("Installing Python packages")).length, 1);
    ok(log.includes("Waiting for another setup of the Python environment"));
    ok(await has(first.python, "attrs"));

    log.length = 0;
    const started = performance.now();
    equal(await ensurePython(options), first);
    ok(performance.now() - started < 1000);
    equal(log, []);

    // A part is added; what was there stays.
    const more = await ensurePython({ ...options, parts: ["lab"] });
    equal(more, first);
    ok(await has(first.python, "attrs"));
    ok(await has(first.python, "fastjsonschema"));

    // Half-made: it ended before it was whole.
    await Deno.remove(join(first.folder, "poolscope.json"));
    await Deno.writeTextFile(join(first.folder, "debris"), "");
    const again = await ensurePython(options);
    ok(await has(first.python, "attrs"));
    equal(await has(first.python, "fastjsonschema"), false);

    const kernels = writeKernelspec(again);
    const spec = JSON.parse(await Deno.readTextFile(join(kernels, "kernel.json")));
    equal(spec.argv[0], Deno.execPath());
  });
});

Deno.test("ensurePython() refuses a package whose hash differs, and leaves no whole environment", async () => {
  await withRoot(async (root) => {
    const wrong = pin("attrs").replaceAll(/sha256:[0-9a-f]+/g, `sha256:${"0".repeat(64)}`);
    await Deno.writeTextFile(join(root, PYTHON_PARTS.notebooks), wrong);
    await rejects(ensurePython({ root, parts: ["notebooks"] }), (error: Error) => {
      ok(error.message.startsWith("Cannot install the Python packages: "), error.message);
      ok(!error.message.includes("\n"));
      return true;
    });
    await rejects(Deno.stat(join(root, ".poolscope", "venv", "poolscope.json")));
  });
});
