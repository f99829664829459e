/**
 * What notebooks say while they run. Nothing is imported here: a notebook's guard has these words,
 * whatever the import map of its folder.
 */

export const notebookWords = {
  cellOf: (notebook: string, cell: number, cells: number) =>
    `${notebook}: cell ${cell} of ${cells}`,
  line: (notebook: string, cell: number, line: number) => `${notebook}, cell ${cell}, line ${line}`,
  end: (notebook: string) => `${notebook}, end`,
  announce: (study: string, plan: string, load: string) =>
    `Running study ${study} of plan ${plan}: ${load}. Stop ends it and keeps complete runs; with start: false this call only opens studies.`,
  uncaught: (error: string) => `Uncaught, outside of any cell: ${error}`,
} as const;
