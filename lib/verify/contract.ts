/**
 * An app's contract: requests with the answers that it must give before any load.
 *
 * @module
 */

import { isDeepStrictEqual } from "node:util";
import type { App } from "../apps/app.ts";
import { fillHeaders } from "../apps/headers.ts";
import type { ContractCase, Varying } from "../apps/routes.ts";
import { PoolscopeError } from "../errors.ts";
import { type AppAnswer, askApp } from "./ask.ts";
import { checkJson, firstRequest, type LoadRoute } from "./routes.ts";

/** The cases of an app's contract, those that change data last. */
export function readContract({ contract: { cases } }: App): ContractCase[] {
  return [...cases.filter((one) => !changesData(one)), ...cases.filter(changesData)];
}

/** Whether a case leaves a row behind, so that others would see it. */
export function changesData({ method, status }: ContractCase): boolean {
  return method === "POST" && status === 201;
}

const KINDS: Record<Varying, (value: unknown, identity: Identity) => boolean> = {
  integer: (value) => Number.isInteger(value),
  timestamp: (value) =>
    typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$/.test(value),
  app: (value, { app }) => value === app,
  nonce: (value, { nonce }) => value === nonce,
};

/** Who the app must say that it is. */
export interface Identity {
  app: string;
  nonce: string;
}

/**
 * Compares an answer with its case.
 *
 * @returns What differs, in a few words, or null.
 */
export function compareAnswer(
  one: ContractCase,
  answer: AppAnswer,
  identity: Identity,
): string | null {
  if (answer.status !== one.status) {
    return `status ${answer.status} instead of ${one.status} (${excerpt(answer.text)})`;
  }
  if (!/^application\/json(;|$)/.test(answer.type)) {
    return `content type "${answer.type}" instead of application/json`;
  }
  let body: unknown;
  try {
    body = JSON.parse(answer.text);
  } catch {
    return `a body that is not JSON (${excerpt(answer.text)})`;
  }
  const varying = Object.entries(one.varying ?? {});
  if (varying.length > 0 && typeof body === "object" && body !== null) {
    const fixed = { ...body } as Record<string, unknown>;
    for (const [field, kind] of varying) {
      if (!KINDS[kind](fixed[field], identity)) {
        return `${field} ${JSON.stringify(fixed[field])}, which is not the ${kind} expected`;
      }
      delete fixed[field];
    }
    body = fixed;
  }
  return isDeepStrictEqual(body, one.expected)
    ? null
    : `another body than the contract's (${excerpt(answer.text)})`;
}

/** How long the app may take for one answer. */
const ANSWER_TIMEOUT_S = 15;

/** Sends a case's request; a text says why there is no answer. */
async function ask(
  url: string,
  one: Pick<ContractCase, "method" | "path" | "headers" | "body" | "rawBody">,
  signal?: AbortSignal,
): Promise<AppAnswer | string> {
  const late = AbortSignal.timeout(ANSWER_TIMEOUT_S * 1000);
  try {
    return await askApp(url + one.path, {
      method: one.method,
      headers: one.headers,
      body: one.rawBody ?? (one.body === undefined ? undefined : JSON.stringify(one.body)),
      signal: AbortSignal.any([late, ...(signal ? [signal] : [])]),
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted) return `no answer within ${ANSWER_TIMEOUT_S} s`;
    return `no answer (${(error as Error).message.split("\n")[0]})`;
  }
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 120 ? `${line.slice(0, 117)}…` : line;
}

/**
 * Sends the contract's requests and compares the answers.
 *
 * @param url Where the app answers.
 * @param cases What to send; see {@linkcode readContract}.
 * @returns The number of requests.
 * @throws {PoolscopeError} At the first answer that differs, naming request and difference.
 */
export async function checkContract(
  url: string,
  cases: ContractCase[],
  identity: Identity,
  signal?: AbortSignal,
): Promise<number> {
  const check = async (one: ContractCase) => {
    const answer = await ask(url, { ...one, headers: fillHeaders(one) }, signal);
    const difference = typeof answer === "string" ? answer : compareAnswer(one, answer, identity);
    if (difference !== null) {
      throw new PoolscopeError(`the app broke the contract: ${one.name} gave ${difference}`);
    }
  };
  // Reads go side by side; writes follow one by one, since later reads would see them.
  const reads = cases.filter((one) => !changesData(one));
  const next = reads.values();
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (const one of next) await check(one);
  }));
  for (const one of cases.filter(changesData)) await check(one);
  return cases.length;
}

/**
 * Sends one request of each route that has a weight, as the load will, and checks status and JSON.
 *
 * @param url Where the app answers.
 * @returns The number of requests.
 * @throws {PoolscopeError} At the first answer that is not the route's, naming route and difference.
 */
export async function checkRoutes(
  url: string,
  routes: readonly LoadRoute[],
  signal?: AbortSignal,
): Promise<number> {
  const loaded = routes.filter(({ weight }) => weight > 0);
  // One after another: a write may need what an earlier one has made.
  for (const route of loaded) {
    const { body: rawBody, ...request } = firstRequest(route);
    const answer = await ask(url, { ...request, rawBody }, signal);
    const difference = typeof answer === "string" ? answer : compareWithRoute(route, answer);
    if (difference !== null) {
      throw new PoolscopeError(`the app broke its routes: ${route.name} gave ${difference}`);
    }
  }
  return loaded.length;
}

function compareWithRoute({ status, json }: LoadRoute, answer: AppAnswer): string | null {
  const right = status === undefined
    ? answer.status >= 200 && answer.status < 300
    : answer.status === status;
  if (!right) {
    return `status ${answer.status} instead of ${status ?? "2xx"} (${excerpt(answer.text)})`;
  }
  if (json === undefined) return null;
  const wrong = checkJson(answer.text, json);
  return wrong === null ? null : `${wrong} (${excerpt(answer.text)})`;
}
