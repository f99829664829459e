// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { join } from "node:path";
import { findPython } from "../setup/python.ts";
import { runCommand } from "../setup/command.ts";
import { ROOT } from "../store/layout.ts";

const PROGRAM = `
import json, sys
from random import Random
from routes import Route
given = json.load(sys.stdin)
route = Route(given["route"], given.get("checks"))
random = Random(7)
make = route.prepare("/v1", "Host: shop\\r\\n")
print(json.dumps({
    "drawn": [route.draw(random) for _ in range(given.get("draws", 0))],
    "request": make(random)[1].decode(),
    "verdicts": [
        route.verdict(status, kind.encode(), body.encode()) for status, kind, body in given["answers"]
    ],
}))`;

/** What Locust's Python makes of a route. */
async function ask(
  route: unknown,
  answers: [number, string, string][],
  more: { draws?: number; checks?: object } = {},
): Promise<{ drawn: [string, string | null][]; request: string; verdicts: (string | null)[] }> {
  const { path } = await findPython();
  const { stdout } = await runCommand("ask routes.py", [path, "-c", PROGRAM], {
    env: {
      PYTHONPATH: join(ROOT, "locust"),
      PYTHONDONTWRITEBYTECODE: "1",
      POOLSCOPE_HEADER_TOKEN: "a b",
      POOLSCOPE_HEADER_TOKEN_2: "c",
    },
    input: JSON.stringify({ route, answers, ...more }),
  });
  return JSON.parse(stdout);
}

Deno.test("a route draws from ranges and lists, into path, query and body", async () => {
  const { drawn, request } = await ask(
    {
      name: "POST /carts/{cart}",
      path: "/carts/{cart}/{sku}?full=100%",
      weight: 1,
      parameters: {
        sku: { in: "path", values: ["A/1", "Ü 2"] },
        size: { in: "query", values: ["S&M", 7] },
        cart: { in: "path", min: 3, max: 5 },
        note: { in: "body", values: ['say "hi"', true, 2.5] },
        count: { in: "body", min: 10, max: 12 },
      },
      headers: { "X-Shop": "1", "Authorization": "Bearer ${TOKEN}:${TOKEN_2}" },
      body: { count: 0, fixed: "50%" },
    },
    [],
    { draws: 200 },
  );
  const paths = drawn.map(([path]) => path);
  const seen = (pattern: RegExp) =>
    [...new Set(paths.map((path) => pattern.exec(path)?.[1]))].sort();
  deepEqual(seen(/^\/carts\/(\d+)\//), ["3", "4", "5"]);
  deepEqual(seen(/^\/carts\/\d+\/([^?]+)\?full=100%&size=/), ["%C3%9C%202", "A%2F1"]);
  deepEqual(seen(/&size=(.+)$/), ["7", "S%26M"]);
  const bodies = drawn.map(([, body]) => JSON.parse(body!));
  const values = (key: string) => [...new Set(bodies.map((body) => body[key]))];
  deepEqual(new Set(values("note")), new Set(['say "hi"', true, 2.5]));
  deepEqual(values("count").sort(), [10, 11, 12]);
  deepEqual(values("fixed"), ["50%"]);
  equal(/^POST \/v1\/carts\/[345]\//.test(request), true);
  equal(request.includes("\r\nX-Shop: 1\r\nAuthorization: Bearer a b:c\r\n"), true);
});

Deno.test("a route's verdict knows status, any 2xx, and what stands at dotted paths", async () => {
  const json = { "items.0.id": { type: "integer" }, open: true };
  const route = { name: "GET /x", path: "/x", weight: 1, json };
  const answer = (value: unknown): [number, string, string] => [
    200,
    "application/json; charset=utf-8",
    JSON.stringify(value),
  ];
  const { verdicts } = await ask(route, [
    answer({ items: [{ id: 4 }], open: true }),
    [204, "application/json", '{"items": [{"id": 1}], "open": true}'],
    [500, "application/json", "{}"],
    [200, "text/html", "<p>"],
    answer({ items: [{ id: true }], open: true }),
    answer({ items: [], open: true }),
    answer({ items: [{ id: 4 }], open: 1.5 }),
  ]);
  deepEqual(verdicts, [
    null,
    null,
    "HTTP 500",
    "wrong body",
    "wrong body: items.0.id",
    "wrong body: no items.0.id",
    "wrong body: open",
  ]);
  const plain = { name: "GET /x", path: "/x", weight: 1, status: 200 };
  const other = await ask(plain, [[204, "", ""], [200, "text/html", "<p>"]]);
  deepEqual(other.verdicts, ["HTTP 204", null]);
});
