/**
 * Notebooks: how far their execution has come, and where in them something was found.
 *
 * @module
 */

/** Lines and places. */
export const notebookWords = {
  cellOf: (notebook: string, cell: number, cells: number) =>
    `${notebook}: cell ${cell} of ${cells}`,
  line: (notebook: string, cell: number, line: number) => `${notebook}, cell ${cell}, line ${line}`,
  end: (notebook: string) => `${notebook}, end`,
  uncaught: (error: string) => `Uncaught, outside of any cell: ${error}`,
} as const;
