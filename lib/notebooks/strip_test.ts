// test lane: checkout
import { deepStrictEqual as equal } from "node:assert/strict";
import { formatNotebook, type Notebook, parseNotebook, stripText } from "./notebook.ts";

/** One notebook as somebody executed it: who and when differ, what was written does not. */
function executed(count: number, version: string): Notebook {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: { name: "deno", display_name: `Deno ${version}`, language: "typescript" },
      language_info: { name: "typescript", version },
      widgets: {},
    },
    cells: [
      { cell_type: "markdown", id: "a", metadata: { editable: true }, source: "# Title" },
      {
        cell_type: "code",
        id: "b",
        metadata: { tags: ["parameters"], execution: { iopub: `${count}` }, collapsed: true },
        source: ["let a = 1;\n", "let b = 2;"],
        execution_count: count,
        outputs: [{ output_type: "stream", name: "stdout", text: `${count}` }],
      },
    ],
  };
}

Deno.test("stripText() gives the same for every execution, and again the same", () => {
  const first = stripText(formatNotebook(executed(1, "2.9.6")), "x");
  equal(stripText(formatNotebook(executed(7, "2.9.7")), "x"), first);
  equal(stripText(JSON.stringify(executed(7, "2.9.7")), "x"), first);
  equal(stripText(first, "x"), first);
});

Deno.test("stripText() keeps what was written, and tags", () => {
  const { cells } = parseNotebook(stripText(formatNotebook(executed(1, "2")), "x"), "x");
  equal(cells, [
    { cell_type: "markdown", id: "a", metadata: {}, source: ["# Title"] },
    {
      cell_type: "code",
      execution_count: null,
      id: "b",
      metadata: { tags: ["parameters"] },
      outputs: [],
      source: ["let a = 1;\n", "let b = 2;"],
    },
  ]);
});
