/** Requests to an app of a run. */

import { request, type RequestOptions } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";

export type AppRequest =
  & Pick<RequestOptions, "method" | "headers" | "signal">
  & { body?: string };

export interface AppAnswer {
  status: number;
  /** Its content type; empty where it has none. */
  type: string;
  text: string;
}

/** Sends one request on a connection of its own, whatever proxy is set; follows no redirect. */
export function askApp(url: string, { body, ...options }: AppRequest = {}): Promise<AppAnswer> {
  const { hostname, port } = new URL(url);
  // With a connection of ours there is no agent, which would heed a proxy of the environment's.
  const createConnection = () => connect(Number(port), hostname);
  return new Promise((resolve, reject) => {
    request(url, { ...options, createConnection }, (response) => {
      const { statusCode, headers } = response;
      text(response).then(
        (text) => resolve({ status: statusCode!, type: headers["content-type"] ?? "", text }),
        reject,
      );
    }).on("error", reject).end(body);
  });
}
