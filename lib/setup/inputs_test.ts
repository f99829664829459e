// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createScenario } from "../scenario.ts";
import { hashFile } from "../store/files.ts";
import { ROOT } from "../store/layout.ts";
import { AlteredApps } from "../testing/altered_apps.ts";
import { hashInputs } from "./inputs.ts";

const flask = createScenario({ framework: "flask", path: "direct", users: 1 });

Deno.test("hashInputs() has the files that a run is made of, and no others", async () => {
  const parts = (scenario = flask, name = "local") => Object.keys(hashInputs(scenario, { name }));
  deepEqual(parts(), ["apps/flask_app", "apps", "locust", "data"]);
  const far = createScenario({ framework: "flask", path: "pooled", users: 1, rttAppDbMs: 2 });
  deepEqual(parts(far).slice(4), ["pgbouncer", "network"]);
  deepEqual(parts(flask, "docker").slice(4), ["compose"]);
  const { pgbouncer, data, apps } = hashInputs(far, { name: "local" });
  deepEqual(Object.keys(pgbouncer!), ["pgbouncer/pgbouncer.ini", "pgbouncer/userlist.txt"]);
  const seed = "data/seed.sql";
  equal(data![seed], await hashFile(join(ROOT, seed)));
  ok("apps/timings/wsgi.py" in apps! && "apps/contract.json" in apps!);
  const images = hashInputs(far, { name: "docker" });
  ok("pgbouncer/Dockerfile" in images.pgbouncer! && "compose/compose.yml" in images.compose!);
});

Deno.test("hashInputs() sees an edited and an added file, and nothing that git ignores", () => {
  using copy = new AlteredApps();
  const read = () => hashInputs(flask, { name: "local", root: copy.root })["apps/flask_app"]!;
  const before = read();
  for (const name of [".app.json.swp", "app.json~", ".#app.json", "x.pyc", ".DS_Store"]) {
    writeFileSync(copy.path(`apps/flask_app/${name}`), "");
  }
  deepEqual(read(), before);
  copy.alter({ file: "apps/flask_app/blog/db.py", from: "import", to: "import " });
  writeFileSync(copy.path("apps/flask_app/blog/new.py"), "");
  const after = read();
  const changed = Object.keys(after).filter((file) => after[file] !== before[file]);
  deepEqual(changed, ["apps/flask_app/blog/db.py", "apps/flask_app/blog/new.py"]);
});
