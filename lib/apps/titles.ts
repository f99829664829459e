/**
 * How the apps are called for people. Nothing is checked here, so that the report of a study needs
 * no app of it: whatever starts one reads its `app.json` with `readApp`.
 *
 * @module
 */

import { readFileSync } from "node:fs";

const texts = new Map<string, { title?: unknown; stack?: unknown }>();

/** What an app's `app.json` says of it; nothing where there is none, or none that can be read. */
function describe(app: string): { title?: unknown; stack?: unknown } {
  let text = texts.get(app);
  if (text === undefined) {
    try {
      const file = new URL(`../../apps/${app}_app/app.json`, import.meta.url);
      text = JSON.parse(readFileSync(file, "utf8")) as { title?: unknown; stack?: unknown } ?? {};
    } catch {
      text = {};
    }
    texts.set(app, text);
  }
  return text;
}

/**
 * The title of an app.
 *
 * @param app Its name in scenarios.
 * @returns The `title` of its `app.json`; its name where there is none.
 *
 * @example
 * ```ts
 * import { appTitle } from "./titles.ts";
 *
 * console.assert(appTitle("fastapi") === "FastAPI" && appTitle("unknown") === "unknown");
 * ```
 */
export function appTitle(app: string): string {
  const { title } = describe(app);
  return typeof title === "string" && title !== "" ? title : app;
}

/**
 * Driver, ORM and server of an app, in one line.
 *
 * @param app Its name in scenarios.
 * @returns The `stack` of its `app.json`; null where there is none.
 */
export function appStack(app: string): string | null {
  const { stack } = describe(app);
  return typeof stack === "string" && stack !== "" ? stack : null;
}
