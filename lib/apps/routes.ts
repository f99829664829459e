/** The routes of an app: requests of the load, their answers, and what they ask of the database. */

import { z } from "zod";

const TEXT = z.string().min(1);
const IN = z.enum(["path", "query", "body"]).default("path");
const VALUE = z.union([z.string(), z.number(), z.boolean()]);

/** A parameter: a range of whole numbers, a list, a file with a value a line, or a query's column. */
const PARAMETER = z.union([
  z.strictObject({ in: IN, min: z.int(), max: z.int() }),
  z.strictObject({ in: IN, values: z.array(VALUE).min(1) }),
  z.strictObject({ in: IN, file: TEXT }),
  z.strictObject({ in: IN, query: TEXT }),
], "must have min and max, or values, or file, or query");

const METHOD = z.string().regex(/^[A-Z]+$/, "must be in capitals, such as GET");
const PATH = z.string().regex(/^\//, "must begin with /");

const ROUTE = z.strictObject({
  name: z.string().regex(/^[A-Z]+ \S/, "must be a method and a path, such as GET /posts")
    .optional(),
  method: METHOD.default("GET"),
  path: PATH,
  weight: z.number().min(0).default(1),
  parameters: z.record(TEXT, PARAMETER).default({}),
  headers: z.record(TEXT, z.string()).optional()
    .describe("Further headers; `${NAME}` stands for an environment variable of the start."),
  body: z.record(z.string(), z.unknown()).optional(),
  status: z.int().min(100).max(599).optional(),
  json: z.record(TEXT, z.unknown()).optional(),
  statements: z.array(z.strictObject({ kind: TEXT, rows: z.int().min(0) })).optional(),
}).transform((route) => ({ ...route, name: route.name ?? `${route.method} ${route.path}` }))
  .superRefine(({ path, parameters, body }, context) => {
    const fail = (key: string, message: string) =>
      context.addIssue({ code: "custom", path: ["parameters", key], message });
    for (const [name, parameter] of Object.entries(parameters)) {
      if (parameter.in === "path" && !path.includes(`{${name}}`)) {
        fail(name, `the path has no {${name}}`);
      }
      if (parameter.in === "body" && body === undefined) fail(name, "the route has no body");
    }
    for (const [, name] of path.matchAll(/\{(\w+)\}/g)) {
      if (parameters[name!]?.in !== "path") fail(name!, "is missing, and the path has it");
    }
  });

/** A list of routes, as in an `app.json`. */
export const ROUTES = z.array(ROUTE).min(1).refine(
  (routes) => routes.some(({ weight }) => weight > 0),
  "must have a route with a weight above 0",
).refine(
  (routes) => new Set(routes.map(({ name }) => name)).size === routes.length,
  "must have different names",
);

/** What stands where a value differs from answer to answer. */
const VARYING = z.enum(["integer", "timestamp", "app", "nonce"]);

/** One request and its answer, before any load. */
const CASE = z.strictObject({
  name: TEXT,
  method: METHOD,
  path: PATH,
  headers: z.record(TEXT, z.string()).optional(),
  body: z.unknown().optional(),
  rawBody: z.string().optional(),
  status: z.int(),
  expected: z.unknown(),
  varying: z.record(TEXT, VARYING).optional(),
});

/** A file of routes: `written` is a query that is true once the cases have changed the data. */
export const CONTRACT = z.strictObject({
  routes: ROUTES,
  cases: z.array(CASE).default([]),
  written: TEXT.optional(),
});

export type Route = z.infer<typeof ROUTE>;
export type Parameter = z.infer<typeof PARAMETER>;
export type Varying = z.infer<typeof VARYING>;
export type ContractCase = z.infer<typeof CASE>;
export type Contract = z.infer<typeof CONTRACT>;
