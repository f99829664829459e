// test lane: checkout
import { equal } from "node:assert/strict";
import { createScenario } from "../scenario.ts";
import { type Comparable, differingInputs } from "./manifest.ts";

const FILES = {
  "apps/flask_app": { "apps/flask_app/app.json": "1", "apps/flask_app/blog/db.py": "2" },
  locust: { "locust/locustfile.py": "3" },
};
const POSTGRES = { max_connections: "100" };

function run(changes: Comparable["inputs"], scenarioId = "a"): Comparable {
  return { scenarioId, inputs: changes };
}

Deno.test("differingInputs() names files, settings with both values, versions and engines", () => {
  const pgbouncer = { pool_mode: "transaction" };
  const base = run({ files: FILES, settings: { postgres: POSTGRES, pgbouncer } });
  const withFile = (part: keyof typeof FILES, file: string, hash: string) =>
    run({ files: { ...FILES, [part]: { ...FILES[part], [file]: hash } }, settings: null });
  const withSettings = (settings: Record<string, Record<string, string>>, scenarioId?: string) =>
    run({ files: FILES, settings }, scenarioId);
  const cases: [Comparable, string | null][] = [
    [withFile("locust", "locust/locustfile.py", "3"), null],
    [withFile("locust", "locust/locustfile.py", "4"), "locust/locustfile.py"],
    // Added, or gone.
    [withFile("apps/flask_app", "apps/flask_app/new.py", "5"), "apps/flask_app/new.py"],
    [run({ files: { locust: {} }, settings: null }), "locust/locustfile.py"],
    // An app that the other run has nothing to do with.
    [run({ files: { "apps/django_app": { "apps/django_app/x.py": "9" } }, settings: null }), null],
    [
      withSettings({ postgres: POSTGRES, pgbouncer: { ...pgbouncer, reserve_pool_size: "5" } }),
      "PgBouncer's reserve_pool_size (5, default)",
    ],
    [
      withSettings({ postgres: { max_connections: "50" } }),
      "PostgreSQL's max_connections (100, 50)",
    ],
    // That is what another scenario may be about.
    [withSettings({ postgres: { max_connections: "50" } }, "b"), null],
    [{ engine: "docker" }, null],
    [{ versions: { pgbouncer: "1.25.0" } }, null],
    // Runs of earlier versions say nothing of their inputs.
    [{ scenarioId: "a" }, null],
  ];
  for (const [other, expected] of cases) equal(differingInputs([base, other]), expected);
  equal(
    differingInputs([{ engine: "local", versions: { python: "3.11" } }, {
      engine: "docker",
      versions: { python: "3.12", deno: "2" },
    }]),
    "engine (docker, local) and Python (3.11, 3.12)",
  );
  const asked = (path: "direct" | "pooled", pgbouncerVersion: string, runs: string) => ({
    scenario: createScenario({ framework: "flask", path, users: 1, pgbouncerVersion }),
    versions: { pgbouncer: runs },
  });
  equal(
    differingInputs([asked("pooled", "default", "1.24.1"), asked("pooled", "1.26", "1.26.1")]),
    null,
  );
  equal(
    differingInputs([asked("pooled", "1.26", "1.26.0"), asked("pooled", "1.26", "1.26.1")]),
    "PgBouncer (1.26.0, 1.26.1)",
  );
  // Where it does not run, it is that of the set-up.
  equal(
    differingInputs([asked("direct", "1.26", "1.24.1"), asked("pooled", "1.26", "1.26.1")]),
    null,
  );
  const many = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`locust/${n}.py`, "1"]));
  equal(
    differingInputs([
      base,
      run({ files: { locust: { ...FILES.locust, ...many } }, settings: null }),
    ]),
    "locust/1.py, locust/2.py, locust/3.py and 2 more",
  );
});
