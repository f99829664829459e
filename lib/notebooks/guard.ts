/**
 * Keeps a Deno kernel alive and honest. Without it an error thrown in a timer hangs the running cell
 * for ever, an unhandled rejection ends in silence, an interrupt kills the kernel, and JupyterLab loses
 * outputs.
 */

import { notebookWords } from "../wording/notebooks.ts";

/** The environment variable that names the file of recorded errors. */
export const KERNEL_ERRORS = "POOLSCOPE_KERNEL_ERRORS";

/** The environment variable that names the folder of the study whose export executes notebooks. */
export const EXPORTED_STUDY = "POOLSCOPE_EXPORTED_STUDY";

const INSTALLED = Symbol.for("poolscope.kernelGuards");
const interrupts = new Set<() => void>();

/** Whether this code runs in a `deno jupyter` kernel; elsewhere the property throws. */
export function isInKernel(): boolean {
  try {
    return typeof (Deno as unknown as { jupyter: unknown }).jupyter === "object";
  } catch {
    return false;
  }
}

function record(reason: unknown): void {
  const isError = reason instanceof Error;
  const message = isError ? `${reason.name}: ${reason.message}` : String(reason);
  console.error(notebookWords.uncaught((isError && reason.stack) || message));
  const path = Deno.env.get(KERNEL_ERRORS);
  if (!path) return;
  try {
    Deno.writeTextFileSync(path, JSON.stringify(message) + "\n", { append: true });
  } catch {
    // The message above is all that can be done.
  }
}

/** Calls `listener` when the user interrupts the kernel; returns what takes it off again. */
export function onKernelInterrupt(listener: () => void): () => void {
  interrupts.add(listener);
  return () => void interrupts.delete(listener);
}

/** The given signal; in a notebook also the kernel's Stop button. */
export function interruptible(
  given: AbortSignal | undefined,
  message: string,
): { signal: AbortSignal } & Disposable {
  const stop = new AbortController();
  const release = onKernelInterrupt(() => stop.abort(new DOMException(message, "AbortError")));
  const signal = given === undefined ? stop.signal : AbortSignal.any([given, stop.signal]);
  return { signal, [Symbol.dispose]: release };
}

/** Long enough for queued outputs to leave the kernel: 0 of 240 cells lost one, of up to 400 kB. */
const FLUSH_MS = 40;

/**
 * The kernel announces that a cell has ended while the cell's outputs may still be queued, and
 * JupyterLab drops what arrives after that. The announcement follows this call, so it waits here.
 */
function flushBeforeIdle(): void {
  const internal = (Deno as unknown as Record<symbol, unknown>)[
    (Deno as unknown as { internal: symbol }).internal
  ] as { jupyter?: { broadcastResult?: (...args: unknown[]) => Promise<unknown> } };
  const original = internal?.jupyter?.broadcastResult;
  if (original === undefined) return;
  internal.jupyter!.broadcastResult = async (...args) => {
    const result = await original(...args);
    await new Promise((resolve) => setTimeout(resolve, FLUSH_MS));
    return result;
  };
}

/** Installs the guards, once, if this is a kernel; returns whether it is. */
export function installKernelGuards(): boolean {
  if (!isInKernel()) return false;
  const marks = globalThis as unknown as Record<symbol, boolean>;
  if (marks[INSTALLED]) return true;
  marks[INSTALLED] = true;
  flushBeforeIdle();
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    record(event.error ?? event.message);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    record(event.reason);
  });
  Deno.addSignalListener("SIGINT", () => {
    for (const listener of [...interrupts]) listener();
  });
  return true;
}

/** Reads the file of recorded errors, a message each; empty when nothing was recorded. */
export async function readKernelErrors(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}
