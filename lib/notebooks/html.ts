/** Converts executed notebooks to HTML: one file each, without a script or a network reference. */

import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { PoolscopeError } from "../errors.ts";
import { runCommand } from "../setup/command.ts";
import { environmentPaths } from "../setup/python.ts";
import { type ExecuteOptions, jupyterEnvironment } from "./execute.ts";

const MIB = 2 ** 20;
/** Above this, a page is no longer something to send around. */
export const MAX_PAGE_BYTES: number = 2 * MIB;

const TO_HTML_PY = fileURLToPath(new URL("./to_html.py", import.meta.url));
const TEMPLATE = fileURLToPath(new URL("./template", import.meta.url));

/** Options of {@linkcode convertToHtml}; the folder is the notebooks' own by default. */
export type HtmlOptions = Partial<
  Pick<ExecuteOptions, "outputFolder" | "python" | "onFailure" | "signal">
>;

/**
 * Writes a page for each notebook, of its name, and returns the paths of those that were written.
 *
 * @throws {PoolscopeError} If one cannot be written or is too large, and there is no `onFailure`.
 */
export async function convertToHtml(
  notebooks: string[],
  options: HtmlOptions = {},
): Promise<string[]> {
  if (notebooks.length === 0) return [];
  const { outputFolder = dirname(notebooks[0]!), python = environmentPaths(), signal } = options;
  await Deno.mkdir(outputFolder, { recursive: true });
  const { stdout } = await runCommand("write HTML", [
    python.python,
    TO_HTML_PY,
    String(Deno.pid),
    TEMPLATE,
    ...[outputFolder, ...notebooks].map((path) => resolve(path)),
  ], { env: jupyterEnvironment(python), signal });
  const written: string[] = [];
  for (const [index, line] of stdout.split("\n").filter(Boolean).entries()) {
    const page: { name: string; bytes: number; error?: string } = JSON.parse(line);
    const { name, bytes, error } = page;
    if (error === undefined) {
      written.push(join(outputFolder, name));
      if (bytes <= MAX_PAGE_BYTES) continue;
    }
    const why = error === undefined
      ? `Cannot keep ${name} small enough to send: it is ${
        (bytes / MIB).toFixed(1)
      } MiB, over 2 MiB; draw fewer marks in its figures or print less in its cells`
      : `Cannot write ${name}: ${error}`;
    if (options.onFailure === undefined) throw new PoolscopeError(why);
    options.onFailure(notebooks[index]!, new PoolscopeError(why));
  }
  return written;
}
