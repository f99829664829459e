/**
 * Keeps a Deno kernel alive and honest. Without it an error thrown in a timer hangs the running cell
 * for ever, an unhandled rejection ends in silence, and an interrupt kills the kernel.
 *
 * @module
 */

/** The environment variable that names the file of recorded errors. */
export const KERNEL_ERRORS = "POOLSCOPE_KERNEL_ERRORS";

/** One error that no cell could report. */
export interface KernelError {
  /** `error` or `unhandledrejection`. */
  type: string;
  /** Its first line. */
  message: string;
  /** Where it came from, if it was an Error. */
  stack?: string;
}

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

function record(type: string, reason: unknown): void {
  const error: KernelError = {
    type,
    message: reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason),
    ...(reason instanceof Error && reason.stack ? { stack: reason.stack } : {}),
  };
  console.error(`Uncaught, outside of any cell: ${error.stack ?? error.message}`);
  const path = Deno.env.get(KERNEL_ERRORS);
  if (!path) return;
  try {
    Deno.writeTextFileSync(path, JSON.stringify(error) + "\n", { append: true });
  } catch {
    // The message above is all that can be done.
  }
}

/**
 * Calls `listener` when the user interrupts the kernel, so that what runs can stop.
 *
 * @returns Takes the listener off again.
 */
export function onKernelInterrupt(listener: () => void): () => void {
  interrupts.add(listener);
  return () => interrupts.delete(listener);
}

/**
 * Installs the guards, once, if this is a kernel: errors outside of cells are recorded and no longer
 * hang the running cell, and the kernel survives an interrupt.
 *
 * @returns Whether this is a kernel.
 */
export function installKernelGuards(): boolean {
  if (!isInKernel()) return false;
  const marks = globalThis as unknown as Record<symbol, boolean>;
  if (marks[INSTALLED]) return true;
  marks[INSTALLED] = true;
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    record("error", event.error ?? event.message);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    record("unhandledrejection", event.reason);
  });
  Deno.addSignalListener("SIGINT", () => {
    for (const listener of [...interrupts]) listener();
  });
  return true;
}

/** Reads the file of recorded errors; empty when nothing was recorded. */
export async function readKernelErrors(path: string): Promise<KernelError[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}
