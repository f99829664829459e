/**
 * Headers of routes whose values have `${NAME}` in them: what a login needs, from an environment
 * variable of the reader's. Only the name is ever written to a file.
 */

import { UsageError } from "../errors.ts";

/** What may have headers: a route, or one request of a contract. */
interface WithHeaders {
  name: string;
  headers?: Record<string, string>;
}

const VARIABLE = /\$\{(\w+)\}/g;

function valueOf(variable: string, header: string, { name }: WithHeaders): string {
  const value = Deno.env.get(variable);
  // A line break would be another header; others are no text of HTTP.
  if (value && /^[\x20-\x7e\xa0-\xff]+$/.test(value)) return value;
  const fault = value
    ? "has characters that a header cannot hold; look for a line break at its end"
    : "is not set; export it before the start";
  throw new UsageError(
    `Cannot send header ${header} of ${name}: the environment variable ${variable} ${fault}`,
  );
}

/** The headers of a request with the values of their variables. */
export function fillHeaders(request: WithHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headers ?? {}).map(([header, text]) => [
      header,
      text.replaceAll(VARIABLE, (_, variable) => valueOf(variable, header, request)),
    ]),
  );
}

/** What the load generator is given of the variables, by the names that routes.py reads. */
export function headerEnvironment(routes: readonly WithHeaders[]): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const route of routes) {
    for (const [header, text] of Object.entries(route.headers ?? {})) {
      for (const [, variable] of text.matchAll(VARIABLE)) {
        environment[`POOLSCOPE_HEADER_${variable}`] = valueOf(variable!, header, route);
      }
    }
  }
  return environment;
}
