// test lane: checkout
import { deepStrictEqual as equal, ok, rejects } from "node:assert/strict";
import { join } from "node:path";
import { isVersionFrom, OLDEST_PGBOUNCER } from "../settings.ts";
import { tryCommand } from "./command.ts";
import { ensurePgbouncer, parsePgbouncerVersion } from "./pgbouncer.ts";
import { serviceUser } from "./user.ts";

/** A stand-in for an installed PgBouncer that says its version. */
async function withProgram(
  version: string,
  work: (path: string, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.chmod(folder, 0o755);
    const path = join(folder, "pgbouncer");
    await Deno.writeTextFile(path, `#!/bin/sh\necho 'PgBouncer ${version}'\n`);
    await Deno.chmod(path, 0o755);
    await work(path, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("parsePgbouncerVersion() reads the first line", () => {
  equal(parsePgbouncerVersion("PgBouncer 1.24.1\nlibevent 2.1.12-stable\n"), "1.24.1");
  equal(parsePgbouncerVersion("PgBouncer version 1.9\n"), "1.9");
  equal(parsePgbouncerVersion("not found"), null);
});

Deno.test("the oldest PgBouncer that is taken is told by numbers, not by text", () => {
  const isRecent = (version: string) => isVersionFrom(version, OLDEST_PGBOUNCER);
  equal(["1.9.0", "1.18.0", "1.21.0", "1.24.1", "2.0"].map(isRecent), [
    false,
    false,
    true,
    true,
    true,
  ]);
});

Deno.test("ensurePgbouncer() takes an installed one that is recent enough", async () => {
  await withProgram("1.22.1", async (path, root) => {
    equal(await ensurePgbouncer({ root, installed: [path] }), {
      argv: [path],
      version: "1.22.1",
    });
  });
});

Deno.test("ensurePgbouncer() passes by an old one and unpacks one that the service user can run", async () => {
  await withProgram("1.18.0", async (path) => {
    const log: string[] = [];
    const found = await ensurePgbouncer({ installed: [path], log: (line) => log.push(line) });
    ok(log[0]?.includes("is PgBouncer 1.18.0, older than 1.21"), String(log[0]));
    ok(!found.argv.includes(path));
    const result = await tryCommand([...found.argv, "--version"], {
      user: serviceUser(),
      cwd: "/",
    });
    equal(parsePgbouncerVersion(result.stdout), found.version);
  });
});

Deno.test("ensurePgbouncer() says what to do where there is no apt", async () => {
  const root = await Deno.makeTempDir();
  const path = Deno.env.get("PATH")!;
  Deno.env.set("PATH", root);
  try {
    await rejects(ensurePgbouncer({ root, installed: [] }), {
      name: "PoolscopeError",
      message:
        "Cannot set up PgBouncer: apt-get is not on PATH, so it cannot be unpacked from Debian's packages; install PgBouncer 1.21 or later and put it on PATH",
    });
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("ensurePgbouncer() leaves nothing behind when the mirror has nothing", async () => {
  const root = await Deno.makeTempDir();
  Deno.env.set("POOLSCOPE_DEBIAN_MIRROR", `file:${root}/no-mirror`);
  try {
    await rejects(ensurePgbouncer({ root, installed: [] }), (error: Error) => {
      ok(error.message.includes("does not give Debian 13 (trixie)"), error.message);
      ok(!error.message.includes("\n"));
      return true;
    });
    equal([...Deno.readDirSync(join(root, ".poolscope"))].map(({ name }) => name), [
      "pgbouncer.lock",
    ]);
  } finally {
    Deno.env.delete("POOLSCOPE_DEBIAN_MIRROR");
    await Deno.remove(root, { recursive: true });
  }
});
