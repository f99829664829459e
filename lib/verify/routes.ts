/** The routes of an app as the load is given them, and requests made from them. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { App } from "../apps/app.ts";
import { fillHeaders } from "../apps/headers.ts";
import type { Parameter, Route } from "../apps/routes.ts";
import { type Access, withConnection } from "../services/database.ts";
import { firstLine, PoolscopeError } from "../errors.ts";
import type { RouteWork } from "../store/manifest.ts";

/** More values than these of a file or a query are not used. */
const MAX_VALUES = 10_000;

type LoadParameter = Extract<Parameter, { min: number } | { values: unknown[] }>;

export type LoadRoute = Omit<Route, "parameters"> & { parameters: Record<string, LoadParameter> };

/** Reads the values of those parameters that come from a file or from the run's database. */
export async function resolveRoutes(app: App, database: Access): Promise<LoadRoute[]> {
  // Of an app with cases each answer must be JSON.
  const anyJson = app.contract.cases.length > 0 ? {} : undefined;
  return await Promise.all(app.contract.routes.map(async (route): Promise<LoadRoute> => {
    const parameters: LoadRoute["parameters"] = {};
    for (const [name, parameter] of Object.entries(route.parameters)) {
      if ("min" in parameter || "values" in parameter) {
        parameters[name] = parameter;
        continue;
      }
      try {
        const texts = "file" in parameter
          ? readFileSync(join(app.folder, parameter.file), "utf8").split(/\r?\n/)
          : await firstColumn(database, parameter.query);
        const values = toValues(texts.filter((text) => text !== ""));
        if (values.length === 0) throw new Error("it gives no value");
        parameters[name] = { in: parameter.in, values };
      } catch (error) {
        const source = "file" in parameter ? parameter.file : "its query";
        const why = firstLine(error);
        throw new PoolscopeError(
          `Cannot read parameter ${name} of ${route.name} from ${source}: ${why}`,
          { cause: error },
        );
      }
    }
    return { ...route, json: route.json ?? anyJson, parameters };
  }));
}

/** The same on every clone of the seeded database, whatever the order of its rows. */
async function firstColumn(database: Access, query: string): Promise<string[]> {
  const rows = await withConnection(database, (sql) => sql.unsafe(query).values());
  return rows.map(([value]) => String(value ?? "")).sort();
}

/** Numbers where all are whole numbers that JSON holds, else texts. */
function toValues(texts: string[]): string[] | number[] {
  const used = texts.slice(0, MAX_VALUES);
  return used.every((text) => /^(0|-?[1-9]\d{0,14})$/.test(text)) ? used.map(Number) : used;
}

/** The work of a request of each route that says it; what an app's own locustfile sends is unknown. */
export function readWork({ contract, locustfile }: App): Record<string, RouteWork> {
  if (locustfile !== undefined) return {};
  return Object.fromEntries(
    contract.routes.flatMap(({ name, statements }) =>
      statements === undefined ? [] : [[name, {
        statements: statements.length,
        rows: statements.reduce((sum, { rows }) => sum + rows, 0),
      }]]
    ),
  );
}

/** One request of a route, with the first value of each parameter. */
export function firstRequest(
  route: LoadRoute,
): { method: string; path: string; headers: Record<string, string>; body?: string } {
  let path = route.path;
  const body = route.body && { ...route.body };
  for (const [name, parameter] of Object.entries(route.parameters)) {
    const value = "values" in parameter ? parameter.values[0]! : parameter.min;
    const encoded = encodeURIComponent(value);
    if (parameter.in === "path") path = path.replaceAll(`{${name}}`, encoded);
    else if (parameter.in === "body") body![name] = value;
    else path += `${path.includes("?") ? "&" : "?"}${encodeURIComponent(name)}=${encoded}`;
  }
  return {
    method: route.method,
    path,
    headers: { ...(body && { "content-type": "application/json" }), ...fillHeaders(route) },
    ...(body && { body: JSON.stringify(body) }),
  };
}

/** The route by which an app is seen to use its database: a read where there is one. */
export function probeRoute(routes: readonly LoadRoute[]): LoadRoute {
  const loaded = routes.filter(({ weight, statements }) => weight > 0 && statements?.length !== 0);
  return loaded.find(({ method }) => method === "GET") ?? loaded[0] ?? routes[0]!;
}

/**
 * What is wrong with the JSON of an answer, in words.
 *
 * @param checks Dotted paths with the value that must be there, or `{ type }` for its type.
 */
export function checkJson(text: string, checks: Record<string, unknown>): string | null {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return "a body that is not JSON";
  }
  for (const [path, asked] of Object.entries(checks)) {
    const found = path.split(".").reduce<unknown>(
      (value, key) => (value as Record<string, unknown> | null | undefined)?.[key],
      answer,
    );
    const type = (asked as { type?: unknown } | null)?.type;
    if (typeof type === "string") {
      if (!isOfType(found, type)) return `${path} is ${show(found)}, which is no ${type}`;
    } else if (JSON.stringify(found) !== JSON.stringify(asked)) {
      return `${path} is ${show(found)} instead of ${show(asked)}`;
    }
  }
  return null;
}

/** The type of a value as JSON's, and as an integer where it is one. */
function isOfType(value: unknown, type: string): boolean {
  const kind = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  return kind === type || type === "integer" && Number.isInteger(value);
}

function show(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value);
}
