/** An app's contract: requests with the answers that it must give before any load. */

import { isDeepStrictEqual } from "node:util";
import { fillHeaders } from "../apps/headers.ts";
import type { ContractCase, Varying } from "../apps/routes.ts";
import { PoolscopeError } from "../errors.ts";
import { ANSWER_LIMIT_S, type AppAnswer, type AppRequest, askApp } from "./ask.ts";
import { checkJson, firstRequest, type LoadRoute } from "./routes.ts";

/** Whether a case leaves a row behind, so that others would see it. */
function changesData({ method, status }: ContractCase): boolean {
  return method === "POST" && status === 201;
}

const KINDS: Record<Varying, (value: unknown, identity: Identity) => boolean> = {
  integer: (value) => Number.isInteger(value),
  timestamp: (value) =>
    typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$/.test(value),
  app: (value, { app }) => value === app,
  nonce: (value, { nonce }) => value === nonce,
};

export interface Identity {
  app: string;
  nonce: string;
}

/** What differs between an answer and its case, in a few words. */
export function compareAnswer(
  one: ContractCase,
  answer: AppAnswer,
  identity: Identity,
): string | null {
  if (answer.status !== one.status) return otherStatus(answer, one.status);
  if (!/^application\/json(;|$)/.test(answer.type)) {
    return `content type "${answer.type}" instead of application/json`;
  }
  let body: unknown;
  try {
    body = JSON.parse(answer.text);
  } catch {
    return `a body that is not JSON (${excerpt(answer)})`;
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
    : `another body than the contract's (${excerpt(answer)})`;
}

function compareWithRoute({ status, json }: LoadRoute, answer: AppAnswer): string | null {
  const isRight = status === undefined ? isSuccess(answer.status) : answer.status === status;
  if (!isRight) return otherStatus(answer, status ?? "2xx");
  const wrong = json === undefined ? null : checkJson(answer.text, json);
  return wrong && `${wrong} (${excerpt(answer)})`;
}

function otherStatus(answer: AppAnswer, asked: number | string): string {
  return `status ${answer.status} instead of ${asked} (${excerpt(answer)})`;
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

function excerpt({ text }: AppAnswer): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 120 ? `${line.slice(0, 117)}…` : line;
}

/** Sends a request and checks its answer; `what` is what the app breaks, and by which request. */
async function check(
  what: string,
  url: string,
  request: AppRequest,
  compare: (answer: AppAnswer) => string | null,
): Promise<void> {
  const fault = await askApp(url, request).then(compare, (error: Error) => {
    request.signal?.throwIfAborted();
    if (error instanceof PoolscopeError) return `no answer within ${ANSWER_LIMIT_S} s`;
    return `no answer (${error.message.split("\n")[0]})`;
  });
  if (fault !== null) throw new PoolscopeError(`the app broke ${what} gave ${fault}`);
}

/** Sends the contract's requests, of which it returns the number, and compares the answers. */
export async function checkContract(
  url: string,
  cases: readonly ContractCase[],
  identity: Identity,
  signal?: AbortSignal,
): Promise<number> {
  const checkCase = (one: ContractCase) => {
    const { name, method, path, rawBody = JSON.stringify(one.body) } = one;
    const request = { method, headers: fillHeaders(one), body: rawBody, signal };
    const compare = (answer: AppAnswer) => compareAnswer(one, answer, identity);
    return check(`the contract: ${name}`, url + path, request, compare);
  };
  // Reads go side by side; writes follow one by one, since later reads would see them.
  const reads = cases.filter((one) => !changesData(one)).values();
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (const one of reads) await checkCase(one);
  }));
  for (const one of cases.filter(changesData)) await checkCase(one);
  return cases.length;
}

/** Sends one request of each route that has a weight, as the load will, and checks status and JSON. */
export async function checkRoutes(
  url: string,
  routes: readonly LoadRoute[],
  signal?: AbortSignal,
): Promise<number> {
  const loaded = routes.filter(({ weight }) => weight > 0);
  // One after another: a write may need what an earlier one has made.
  for (const route of loaded) {
    const { path, ...request } = firstRequest(route);
    const compare = (answer: AppAnswer) => compareWithRoute(route, answer);
    await check(`its routes: ${route.name}`, url + path, { ...request, signal }, compare);
  }
  return loaded.length;
}
