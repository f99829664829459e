// test lane: checkout
import { deepEqual, equal, match } from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readApp } from "../apps/app.ts";
import { examineApp } from "./doctor_app.ts";

/** A copy of an app, with its own SQL and routes, and a change of its description. */
function copyApp(name: string, change: Record<string, unknown>): string {
  const folder = join(Deno.makeTempDirSync(), name);
  cpSync(readApp("flask").folder, folder, { recursive: true });
  writeFileSync(join(folder, "schema.sql"), "CREATE TABLE t (i int);\n");
  writeFileSync(join(folder, "seed.sql"), "COPY t FROM stdin;\n1\n\\.\n");
  const file = join(folder, "app.json");
  const own = { routes: [{ path: "/items" }], schema: "schema.sql", seed: "seed.sql" };
  const description = { ...JSON.parse(readFileSync(file, "utf8")), ...own, ...change };
  writeFileSync(file, JSON.stringify(description));
  return folder;
}

Deno.test("examineApp() finds nothing wrong with an app that has all it names", () => {
  for (const folder of [readApp("flask").folder, copyApp("whole", {})]) {
    const checks = examineApp(folder);
    deepEqual(checks.filter(({ state }) => state !== "ok"), []);
    deepEqual(checks.map(({ name }) => name), [
      "app.json",
      "files",
      "database",
      "routes",
      "programs",
      "hooks",
    ]);
  }
  match(examineApp(copyApp("dumped", {}))[2]!.value, /rows of 1 tables by COPY$/);
});

Deno.test("examineApp() says in one line each what is missing, and what to do", () => {
  const wrong = (name: string, change: Record<string, unknown>) =>
    examineApp(copyApp(name, change)).filter(({ state }) => state === "missing")
      .map((check) => `${check.name}: ${check.value}; ${check.next}`);
  match(wrong("mistyped", { titel: 1 })[0]!, /app\.json: Cannot read .*unknown key "titel" \(did/);
  deepEqual(wrong("unlocked", { lock: "lock.txt" }), [
    "files: lock.txt is not there; add the file, or correct app.json",
  ]);
  match(
    wrong("unseeded", { seed: "rows.sql" })[0]!,
    /^database: Cannot read the seed of unseeded: rows/,
  );
  const command = { runtime: "command", command: ["no-such-program-here"] };
  deepEqual(wrong("unbuilt", command), [
    "programs: no-such-program-here not on PATH; install it, or use --engine docker",
  ]);
  equal(examineApp("/nowhere/at_all")[0]!.state, "missing");
});
