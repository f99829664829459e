/**
 * Headers of routes whose values have `${NAME}` in them: what a login needs, from an environment
 * variable of the reader's. Only the name is ever written to a file.
 *
 * @module
 */

import { UsageError } from "../errors.ts";

/** What may have headers: a route, or one request of a contract. */
interface WithHeaders {
  name: string;
  headers?: Record<string, string>;
}

const VARIABLE = /\$\{(\w+)\}/g;

function valueOf(variable: string, header: string, { name }: WithHeaders): string {
  const fail = (what: string): never => {
    throw new UsageError(
      `Cannot send header ${header} of ${name}: the environment variable ${variable} ${what}`,
    );
  };
  const value = Deno.env.get(variable);
  if (!value) return fail("is not set; export it before the start");
  // A line break would be another header; others are no text of HTTP.
  if (!/^[\x20-\x7e\xa0-\xff]+$/.test(value)) {
    return fail("has characters that a header cannot hold; look for a line break at its end");
  }
  return value;
}

/**
 * The headers of a request with the values of their variables.
 *
 * @throws {UsageError} If a variable is not set, or holds what a header cannot.
 *
 * @example
 * ```ts
 * import { fillHeaders } from "./headers.ts";
 *
 * Deno.env.set("SHOP_TOKEN", "abc");
 * const route = { name: "GET /cart", headers: { Authorization: "Bearer ${SHOP_TOKEN}" } };
 * console.assert(fillHeaders(route).Authorization === "Bearer abc");
 * ```
 */
export function fillHeaders(request: WithHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headers ?? {}).map(([header, text]) => [
      header,
      text.replaceAll(VARIABLE, (_, variable) => valueOf(variable, header, request)),
    ]),
  );
}

/**
 * What the load generator is given of the variables, by the names that routes.py reads.
 *
 * @throws {UsageError} If a variable is not set, or holds what a header cannot.
 */
export function headerEnvironment(routes: readonly WithHeaders[]): Record<string, string> {
  return Object.fromEntries(
    routes.flatMap((route) =>
      Object.entries(route.headers ?? {}).flatMap(([header, text]) =>
        [...text.matchAll(VARIABLE)].map(([, variable]) => [
          `POOLSCOPE_HEADER_${variable!}`,
          valueOf(variable!, header, route),
        ])
      )
    ),
  );
}
