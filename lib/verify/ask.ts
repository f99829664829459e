/** Requests to an app of a run. */

import { request, type RequestOptions } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { PoolscopeError } from "../errors.ts";

export type AppRequest =
  & Pick<RequestOptions, "method" | "headers" | "signal">
  & { body?: string };

export interface AppAnswer {
  status: number;
  /** Its content type; empty where it has none. */
  type: string;
  text: string;
}

/** How long an app may take for one answer, in seconds. */
export const ANSWER_LIMIT_S = 15;

/**
 * Sends one request on a connection of its own, whatever proxy is set; follows no redirect.
 *
 * @throws {PoolscopeError} If there is no answer within {@linkcode ANSWER_LIMIT_S}.
 */
export function askApp(url: string, { body, ...asked }: AppRequest = {}): Promise<AppAnswer> {
  const { hostname, port } = new URL(url);
  // With a connection of ours there is no agent, which would heed a proxy of the environment's.
  const createConnection = () => connect(Number(port), hostname);
  const late = AbortSignal.timeout(ANSWER_LIMIT_S * 1000);
  const signal = AbortSignal.any([late, ...(asked.signal ? [asked.signal] : [])]);
  return new Promise((resolve, fail) => {
    const reject = (error: Error) => {
      if (!late.aborted) return fail(error);
      const what = `${asked.method ?? "GET"} ${new URL(url).pathname}`;
      fail(new PoolscopeError(`the app did not answer ${what} within ${ANSWER_LIMIT_S} s`));
    };
    request(url, { ...asked, signal, createConnection }, (response) => {
      const { statusCode, headers } = response;
      text(response).then(
        (text) => resolve({ status: statusCode!, type: headers["content-type"] ?? "", text }),
        reject,
      );
    }).on("error", reject).end(body);
  });
}
