// test lane: checkout
import { deepStrictEqual as equal, ok } from "node:assert/strict";
import { join } from "node:path";
import { tryCommand } from "./command.ts";
import { ensurePostgres, linkLibraries, parsePostgresVersion } from "./postgres.ts";
import { serviceUser } from "./user.ts";

Deno.test("parsePostgresVersion() reads releases, packages and betas", () => {
  equal(parsePostgresVersion("postgres (PostgreSQL) 16.14\n"), "16.14");
  equal(parsePostgresVersion("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), "15.18");
  equal(parsePostgresVersion("postgres (PostgreSQL) 17beta1\n"), "17beta1");
  equal(parsePostgresVersion("command not found"), null);
});

Deno.test("linkLibraries() makes relative links, and again does nothing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(folder, "native", "lib"), { recursive: true });
    await Deno.writeTextFile(join(folder, "native", "lib", "a.so.1"), "a");
    await Deno.writeTextFile(
      join(folder, "native", "pg-symlinks.json"),
      JSON.stringify([{ source: "native/lib/a.so.1", target: "native/lib/a.so" }]),
    );
    linkLibraries(folder);
    linkLibraries(folder);
    equal(await Deno.readLink(join(folder, "native", "lib", "a.so")), "a.so.1");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("ensurePostgres() finds programs of version 16 that the service user can run", async () => {
  const found = await ensurePostgres();
  ok(found.version.startsWith("16."));
  for (const program of [found.postgres, found.initdb, found.pgCtl]) {
    const result = await tryCommand([program, "--version"], { user: serviceUser(), cwd: "/" });
    equal(result.code, 0, result.stderr);
  }
});
