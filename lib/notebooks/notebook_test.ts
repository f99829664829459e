import { deepStrictEqual as equal, throws } from "node:assert/strict";
import { formatNotebook, listNotebooks, parseNotebook, toLines, toText } from "./notebook.ts";

Deno.test("toLines() and toText() undo each other", () => {
  for (const text of ["", "a", "a\n", "a\n\nb", "\n"]) equal(toText(toLines(text)), text);
  equal(toLines("a\nb"), ["a\n", "b"]);
});

Deno.test("parseNotebook() refuses what is no notebook, in one line", () => {
  throws(() => parseNotebook("{", "x.ipynb"), /^PoolscopeError: Cannot read notebook x\.ipynb: /);
  throws(
    () => parseNotebook('{"nbformat": 3}', "x.ipynb"),
    /not of notebook format 4; save it anew/,
  );
  throws(() => parseNotebook("null", "x.ipynb"), /not of notebook format 4/);
});

Deno.test("formatNotebook() writes as Jupyter does", () => {
  const notebook = {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {},
    cells: [{ source: "a\nb", metadata: {}, id: "x", cell_type: "markdown" }],
  };
  equal(
    formatNotebook(notebook),
    `{
 "cells": [
  {
   "cell_type": "markdown",
   "id": "x",
   "metadata": {},
   "source": [
    "a\\n",
    "b"
   ]
  }
 ],
 "metadata": {},
 "nbformat": 4,
 "nbformat_minor": 5
}
`,
  );
});

Deno.test("listNotebooks() of a folder that is not there is empty", () => {
  equal(listNotebooks("/poolscope-no-such-folder"), []);
});
