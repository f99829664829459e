/**
 * The apps' contract, `apps/contract.json`: requests with the answers that every app must give.
 *
 * @module
 */

import { isDeepStrictEqual } from "node:util";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { ROOT } from "../store/layout.ts";
import type { RouteWork } from "../store/manifest.ts";
import { type AppAnswer, askApp } from "./ask.ts";

/** What stands where a value differs from answer to answer. */
export type Varying = "integer" | "timestamp" | "app" | "nonce";

/** One request and its answer. */
export interface ContractCase {
  name: string;
  method: string;
  path: string;
  headers?: Record<string, string>;
  /** A body that is sent as JSON. */
  body?: unknown;
  /** A body that is sent as it is. */
  rawBody?: string;
  status: number;
  /** The answer's JSON, without the fields that vary. */
  expected: unknown;
  /** Fields of the answer whose value varies, and of which kind each is. */
  varying?: Record<string, Varying>;
}

/** The cases of the contract, those that change data last. */
export function readContract(): ContractCase[] {
  const { cases } = JSON.parse(readFileSync(join(ROOT, "apps", "contract.json"), "utf8")) as {
    cases: ContractCase[];
  };
  return [...cases.filter((one) => !changesData(one)), ...cases.filter(changesData)];
}

/** The work of a request of each route, by the route's name. */
export function readWork(): Record<string, RouteWork> {
  const { routes } = JSON.parse(readFileSync(join(ROOT, "apps", "contract.json"), "utf8")) as {
    routes: { name: string; statements: { rows: number }[] }[];
  };
  return Object.fromEntries(routes.map(({ name, statements }) => [name, {
    statements: statements.length,
    rows: statements.reduce((sum, { rows }) => sum + rows, 0),
  }]));
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
  one: ContractCase,
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
    const answer = await ask(url, one, signal);
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
