// test lane: checkout
import { equal } from "node:assert/strict";
import { connectionBudget, connectionsLeft, OWN_CONNECTIONS, serverLimits } from "./connections.ts";
import { createScenario } from "./scenario.ts";

const base = { framework: "django", path: "direct", users: 10 } as const;

Deno.test("serverLimits() leaves the app what the scenario asks for while all of ours are open", () => {
  const scenario = createScenario({ ...base, maxConnections: 67, maxClientConn: 64 });
  const limits = serverLimits(scenario);
  // PostgreSQL lets the app in while more than the reserved slots are free.
  const free = limits.max_connections - limits.superuser_reserved_connections;
  equal(free - OWN_CONNECTIONS.postgres, 64);
  equal(connectionsLeft(scenario), 64);
  // What is reserved holds all of ours beside PostgreSQL's own three.
  equal(limits.superuser_reserved_connections, OWN_CONNECTIONS.postgres + 3);
  equal(limits.max_client_conn - OWN_CONNECTIONS.pgbouncer, 64);
});

Deno.test("connectionBudget() counts what the app can open", () => {
  const budget = (values: Record<string, unknown>) =>
    connectionBudget(createScenario({ ...base, ...values } as typeof base));
  equal(budget({ framework: "fastapi", workers: 4, poolSize: 40 }), 160);
  equal(budget({ framework: "fastapi", reuse: "per_request" }), Infinity);
  equal(budget({ framework: "flask", threads: 32, poolSize: 5 }), 10);
  equal(budget({ reuse: "per_request", workers: 3, threads: 2 }), 6);
});
