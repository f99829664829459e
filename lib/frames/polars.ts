/**
 * Loads Polars on first use: its native library would slow the start of every command that only
 * checks its arguments.
 */

type Polars = typeof import("nodejs-polars").default;

let loaded: Polars | undefined;

/** Loads Polars; every reader of a file does so first. */
export async function loadPolars(): Promise<Polars> {
  return loaded ??= (await import("nodejs-polars")).default;
}

/** Polars for code that works on a dataframe, whose reader has loaded it. */
export function polars(): Polars {
  if (loaded === undefined) {
    throw new Error("Polars is not loaded: await loadPolars() or a reader of lib/frames first");
  }
  return loaded;
}
