/**
 * Takes out of a notebook what executing and editing leave in it, so that what is committed is what
 * somebody wrote.
 *
 * @module
 */

import { formatNotebook, type Notebook, parseNotebook } from "./notebook.ts";

/** What an author sets; everything else in a cell's metadata is an editor's. */
const KEPT_METADATA = ["tags"];

/**
 * Removes outputs, execution counts and all metadata that depends on who executed or edited it.
 *
 * @returns A new notebook; the same for every way of having executed the old one.
 */
export function stripNotebook(notebook: Notebook): Notebook {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: { display_name: "Deno", language: "typescript", name: "deno" },
      language_info: { file_extension: ".ts", name: "typescript" },
    },
    cells: notebook.cells.map((cell, index) => {
      const metadata = Object.fromEntries(
        Object.entries(cell.metadata).filter(([key, value]) =>
          KEPT_METADATA.includes(key) && !(Array.isArray(value) && value.length === 0)
        ),
      );
      const { cell_type, source, id = `cell-${index + 1}` } = cell;
      const kept = { cell_type, id, metadata, source };
      return cell_type === "code" ? { ...kept, execution_count: null, outputs: [] } : kept;
    }),
  };
}

/**
 * Strips the text of a notebook's file.
 *
 * @param text The file's content.
 * @param name What to call it in messages.
 *
 * @example
 * ```ts
 * import { stripText } from "./strip.ts";
 *
 * const text = JSON.stringify({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells: [] });
 * const stripped = stripText(text, "empty.ipynb");
 * console.assert(stripText(stripped, "empty.ipynb") === stripped);
 * ```
 */
export function stripText(text: string, name: string): string {
  return formatNotebook(stripNotebook(parseNotebook(text, name)));
}
