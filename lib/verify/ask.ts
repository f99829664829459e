/**
 * Requests to an app of a run.
 *
 * @module
 */

/** An app's answer. */
export interface AppAnswer {
  status: number;
  /** Its content type; empty where it has none. */
  type: string;
  /** Its body. */
  text: string;
}

/**
 * Sends one request on a connection of its own, straight to the app whatever proxy is set.
 *
 * @param url The app's address and the path.
 * @param init As for `fetch`; a redirect is not followed.
 * @throws {TypeError} If there is no answer.
 */
export async function askApp(url: string, init: RequestInit = {}): Promise<AppAnswer> {
  const { hostname, port } = new URL(url);
  using client = Deno.createHttpClient({
    proxy: { transport: "tcp", hostname, port: Number(port) },
  });
  const request: RequestInit & { client: Deno.HttpClient } = {
    redirect: "manual",
    ...init,
    client,
  };
  const response = await fetch(url, request);
  const type = response.headers.get("content-type") ?? "";
  return { status: response.status, type, text: await response.text() };
}
