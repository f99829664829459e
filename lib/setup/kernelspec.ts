/**
 * The Deno kernel's description, in our own virtual environment and written anew at each start: npx
 * keeps Deno in a cache whose path can vanish, and `deno jupyter --install` would write such a path for
 * the whole user.
 *
 * @module
 */

import { join } from "node:path";
import type { PythonEnvironment } from "./python.ts";

/** The kernel's name in notebooks and in Jupyter. */
export const KERNEL_NAME = "deno";

/** What Jupyter must know to start the kernel. */
export function kernelSpec(deno: string = Deno.execPath()): Record<string, unknown> {
  return {
    argv: [deno, "jupyter", "--kernel", "--conn", "{connection_file}"],
    display_name: "Deno",
    language: "typescript",
    // As a signal: the library listens for it and stops what runs.
    interrupt_mode: "signal",
  };
}

/**
 * Writes the kernel's description into a virtual environment.
 *
 * @returns The folder that Jupyter finds it in.
 */
export async function writeKernelspec(
  environment: Pick<PythonEnvironment, "folder">,
): Promise<string> {
  const folder = join(environment.folder, "share", "jupyter", "kernels", KERNEL_NAME);
  await Deno.mkdir(folder, { recursive: true });
  const path = join(folder, "kernel.json");
  const text = JSON.stringify(kernelSpec(), null, 1) + "\n";
  if (await Deno.readTextFile(path).catch(() => "") !== text) {
    // Whole or not at all: another process may be reading it.
    const partial = `${path}.${Deno.pid}`;
    await Deno.writeTextFile(partial, text);
    await Deno.rename(partial, path);
  }
  return folder;
}
