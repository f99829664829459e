// test lane: checkout
import { deepEqual, equal, rejects } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type App, parseApp, readApp } from "../apps/app.ts";
import type { Access } from "../services/database.ts";
import { checkJson, firstRequest, probeRoute, readWork, resolveRoutes } from "./routes.ts";

const nowhere: Access = { host: "", port: 0, database: "", username: "", password: "" };

/** An app in a folder of its own, with these routes and files. */
function makeApp(routes: unknown[], files: Record<string, string> = {}): App {
  const folder = Deno.makeTempDirSync();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const text = JSON.stringify({
    title: "Shop",
    stack: "none",
    runtime: "command",
    concurrency: "event_loop",
    command: ["./shop"],
    healthPath: "/healthz",
    reuse: ["app_pool"],
    settings: { poolSize: { default: 10 } },
    routes,
    schema: "schema.sql",
  });
  return parseApp(text, "app.json", { name: "shop", folder });
}

Deno.test("resolveRoutes() gives ranges and lists as they are, and the lines of a file", async () => {
  const app = makeApp([{
    method: "POST",
    path: "/carts/{cart}",
    parameters: {
      cart: { min: 3, max: 9 },
      sku: { in: "body", file: "skus.txt" },
      size: { in: "query", values: ["S", "M/L"] },
      count: { in: "body", file: "counts.txt" },
    },
    body: { note: "x" },
  }], { "skus.txt": "A-1\r\nB-2\n\n", "counts.txt": "5\n7\n" });
  const [route] = await resolveRoutes(app, nowhere);
  deepEqual(route!.parameters, {
    cart: { in: "path", min: 3, max: 9 },
    sku: { in: "body", values: ["A-1", "B-2"] },
    size: { in: "query", values: ["S", "M/L"] },
    count: { in: "body", values: [5, 7] },
  });
  deepEqual(firstRequest(route!), {
    method: "POST",
    path: "/carts/3?size=S",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ note: "x", sku: "A-1", count: 5 }),
  });
  equal(route!.json, undefined);
});

Deno.test("resolveRoutes() names route, parameter and file of what gives no value", async () => {
  const route = { path: "/items/{id}", parameters: { id: { file: "ids.txt" } } };
  await rejects(
    resolveRoutes(makeApp([route]), nowhere),
    /^PoolscopeError: Cannot read parameter id of GET \/items\/\{id\} from ids\.txt: ENOENT/,
  );
  await rejects(
    resolveRoutes(makeApp([route], { "ids.txt": "\n" }), nowhere),
    /parameter id of GET \/items\/\{id\} from ids\.txt: it gives no value$/,
  );
});

Deno.test("readWork() and probeRoute() go by what the routes say", async () => {
  const app = makeApp([
    { path: "/ping", statements: [] },
    { method: "POST", path: "/orders" },
    { path: "/items" },
  ]);
  deepEqual(readWork(app), { "GET /ping": { statements: 0, rows: 0 } });
  equal(probeRoute(await resolveRoutes(app, nowhere)).name, "GET /items");
  const flask = readApp("flask");
  equal(probeRoute(await resolveRoutes(flask, nowhere)).name, "GET /posts/{id}");
  deepEqual(readWork(flask)["POST /posts"], { statements: 2, rows: 2 });
});

Deno.test("checkJson() names the first path that differs", () => {
  const answer = JSON.stringify({ id: 7, open: true, items: [{ sku: "A" }], note: null });
  const check = (checks: Record<string, unknown>) => checkJson(answer, checks);
  equal(check({ id: 7, "items.0.sku": "A", note: null, items: { type: "array" } }), null);
  equal(check({ id: { type: "string" } }), "id is 7, which is no string");
  equal(check({ open: { type: "integer" } }), "open is true, which is no integer");
  equal(check({ "items.1.sku": "A" }), 'items.1.sku is missing instead of "A"');
  equal(check({ note: { type: "object" } }), "note is null, which is no object");
  equal(checkJson("<html>", {}), "a body that is not JSON");
});
