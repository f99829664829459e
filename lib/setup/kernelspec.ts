/**
 * The Deno kernel's description, in our own virtual environment and written anew at each start: npx
 * keeps Deno in a cache whose path can vanish, and `deno jupyter --install` would write such a path for
 * the whole user.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PythonEnvironment } from "./python.ts";

export const KERNEL_NAME = "deno";

/** Writes the kernel's description into a virtual environment, in the folder that is returned. */
export function writeKernelspec(environment: Pick<PythonEnvironment, "folder">): string {
  const folder = join(environment.folder, "share", "jupyter", "kernels", KERNEL_NAME);
  const path = join(folder, "kernel.json");
  const spec = {
    argv: [Deno.execPath(), "jupyter", "--kernel", "--conn", "{connection_file}"],
    display_name: "Deno",
    language: "typescript",
    // As a signal: the library listens for it and stops what runs.
    interrupt_mode: "signal",
  };
  const text = JSON.stringify(spec, null, 1) + "\n";
  if (existsSync(path) && readFileSync(path, "utf8") === text) return folder;
  mkdirSync(folder, { recursive: true });
  // Whole or not at all: another process may be reading it.
  const partial = `${path}.${Deno.pid}`;
  writeFileSync(partial, text);
  renameSync(partial, path);
  return folder;
}
