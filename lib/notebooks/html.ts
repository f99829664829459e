/**
 * Converts executed notebooks to HTML: one file each, without a script or any reference to the
 * network, so that it can be sent to a colleague.
 *
 * @module
 */

import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { PoolscopeError } from "../errors.ts";
import { runCommand } from "../setup/command.ts";
import { environmentPaths, type PythonEnvironment } from "../setup/python.ts";
import { jupyterEnvironment } from "./execute.ts";

/** Above this, a page is no longer something to send around. */
export const MAX_PAGE_BYTES: number = 2 * 1024 * 1024;

const TO_HTML_PY = fileURLToPath(new URL("./to_html.py", import.meta.url));
const TEMPLATE = fileURLToPath(new URL("./template", import.meta.url));

/** Options of {@linkcode convertToHtml}. */
export interface HtmlOptions {
  /** The folder of the pages. @default {the notebooks'} */
  outputFolder?: string;
  /** The environment that holds nbconvert. @default {the checkout's} */
  python?: Pick<PythonEnvironment, "folder" | "python">;
  /** Called with a notebook that has no page as it should be. @default the failure is thrown */
  onFailure?: (notebook: string, error: PoolscopeError) => void;
  /** Stops the conversion. */
  signal?: AbortSignal;
}

/**
 * Writes a page for each notebook; it keeps the notebook's name.
 *
 * @param notebooks The executed notebooks.
 * @param options Options for this call.
 * @returns The paths of the pages that were written, in order.
 * @throws {PoolscopeError} If a page cannot be written or is larger than {@linkcode MAX_PAGE_BYTES},
 * and there is no `onFailure`; all that can be are written first.
 */
export async function convertToHtml(
  notebooks: string[],
  options: HtmlOptions = {},
): Promise<string[]> {
  const first = notebooks[0];
  if (first === undefined) return [];
  const { outputFolder = dirname(first), python = environmentPaths(), signal } = options;
  await Deno.mkdir(outputFolder, { recursive: true });
  const { stdout } = await runCommand("write HTML", [
    python.python,
    TO_HTML_PY,
    String(Deno.pid),
    TEMPLATE,
    resolve(outputFolder),
    ...notebooks.map((path) => resolve(path)),
  ], { env: jupyterEnvironment(python), signal });
  const pages = stdout.split("\n").filter((line) => line !== "").map((line) =>
    JSON.parse(line) as { name: string; bytes: number; error?: string }
  );
  for (const [index, { name, bytes, error }] of pages.entries()) {
    const why = error !== undefined
      ? `Cannot write ${name}: ${error}`
      : bytes <= MAX_PAGE_BYTES
      ? null
      : `Cannot keep ${name} small enough to send: it is ${
        (bytes / 1024 ** 2).toFixed(1)
      } MiB, over 2 MiB; draw fewer marks in its figures or print less in its cells`;
    if (why === null) continue;
    if (options.onFailure === undefined) throw new PoolscopeError(why);
    options.onFailure(notebooks[index]!, new PoolscopeError(why));
  }
  return pages.filter(({ error }) => error === undefined).map(({ name }) =>
    join(outputFolder, name)
  );
}
