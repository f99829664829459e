// test lane: checkout
import { deepStrictEqual as equal, rejects, throws } from "node:assert/strict";
import { basename, join } from "node:path";
import { ROOT } from "../store/layout.ts";
import {
  chooseNotebooks,
  formatNotebook,
  NOTEBOOKS,
  parseNotebook,
  STUDY_NOTEBOOKS,
  toLines,
  toText,
} from "./notebook.ts";

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

Deno.test("Poolscope's own notebooks are those that the checkout tracks", async () => {
  const args = ["-C", ROOT, "ls-files", "notebooks/*.ipynb"];
  const { stdout } = await new Deno.Command("git", { args }).output();
  const tracked = new TextDecoder().decode(stdout).trim().split("\n").map((path) => basename(path));
  equal([...NOTEBOOKS].sort(), tracked);
});

Deno.test("chooseNotebooks() takes a reader's notebook only when it is asked for", async () => {
  const own = STUDY_NOTEBOOKS.map((name) => join(ROOT, "notebooks", name));
  const stray = join(ROOT, "notebooks", `Untitled-${Deno.pid}.ipynb`);
  await Deno.writeTextFile(stray, '{"nbformat": 4, "cells": []}');
  try {
    equal(await chooseNotebooks(), own);
    equal(await chooseNotebooks([stray]), [...own, stray]);
    await rejects(chooseNotebooks([stray, stray]), /^UsageError: .* has its name; rename it$/);
    await rejects(chooseNotebooks([own[0]!]), /^UsageError: .* has its name; rename it$/);
    await rejects(chooseNotebooks(["no.ipynb"]), /^UsageError: Cannot read notebook .*no\.ipynb/);
  } finally {
    await Deno.remove(stray);
  }
});
