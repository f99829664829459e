/**
 * Requests to an app of a run.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { request } from "node:http";
import { connect } from "node:net";

/** A request to an app. */
export interface AppRequest {
  /** @default "GET" */
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** Ends it. */
  signal?: AbortSignal;
}

/** An app's answer. */
export interface AppAnswer {
  status: number;
  /** Its content type; empty where it has none. */
  type: string;
  /** Its body. */
  text: string;
}

/**
 * Sends one request on a connection of its own, straight to the app whatever proxy is set; a redirect
 * is not followed.
 *
 * @param url The app's address and the path.
 * @param options The request.
 * @throws {Error} If there is no answer.
 */
export function askApp(url: string, options: AppRequest = {}): Promise<AppAnswer> {
  const { body, ...rest } = options;
  const { hostname, port } = new URL(url);
  // With a connection of ours there is no agent, which would heed a proxy of the environment's.
  const createConnection = () => connect(Number(port), hostname);
  return new Promise((resolve, reject) => {
    const sent = request(url, { ...rest, createConnection }, async (response) => {
      try {
        const chunks: Uint8Array[] = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve({
          status: response.statusCode!,
          type: response.headers["content-type"] ?? "",
          text: new TextDecoder().decode(Buffer.concat(chunks)),
        });
      } catch (error) {
        reject(error);
      }
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
