// test lane: checkout
import { deepStrictEqual as equal } from "node:assert/strict";
import { checkCells, extractCells } from "./cells.ts";
import type { Notebook } from "./notebook.ts";

function notebook(...sources: (string | { text: string } | { parameters: string })[]): Notebook {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {},
    cells: sources.map((source) => {
      if (typeof source === "string") return { cell_type: "code", metadata: {}, source };
      if ("text" in source) return { cell_type: "markdown", metadata: {}, source: source.text };
      return { cell_type: "code", metadata: { tags: ["parameters"] }, source: source.parameters };
    }),
  };
}

Deno.test("extractCells() joins code cells and knows where each line is from", () => {
  const { code, origins } = extractCells(
    notebook({ text: "# Title" }, { parameters: "let a = 1;" }, "const b = a;\n\nb"),
  );
  equal(code, "// deno-lint-ignore prefer-const\nlet a = 1;\nconst b = a;\n\nb\nexport {};\n");
  equal(origins, [
    null,
    { cell: 2, line: 1 },
    { cell: 3, line: 1 },
    { cell: 3, line: 2 },
    { cell: 3, line: 3 },
    null,
  ]);
});

Deno.test("checkCells() finds type errors and lint by notebook, cell and line", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${root}/deno.json`,
      JSON.stringify({ imports: { helper: "./helper.ts" }, exclude: [".poolscope/"] }),
    );
    await Deno.writeTextFile(`${root}/helper.ts`, "export const name: string = 'x';\n");
    const good = notebook(
      { parameters: "let users = 10;\nlet plan = 'quick';" },
      { text: "words" },
      'import { name } from "helper";',
      "const shout = await Promise.resolve(name.toUpperCase() + users + plan);\nshout",
    );
    equal(await checkCells([{ name: "good.ipynb", notebook: good }], { root }), []);

    const bad = notebook(
      { text: "# Title" },
      'import { name } from "helper";\nconst length: number = name;',
      "var old = length;\nconsole.log(old);\nmissing();",
    );
    const found = await checkCells([
      { name: "good.ipynb", notebook: good },
      { name: "bad.ipynb", notebook: bad },
    ], { root });
    equal(found, [
      {
        where: "bad.ipynb, cell 2, line 2",
        message: "Type 'string' is not assignable to type 'number'. (TS2322)",
      },
      { where: "bad.ipynb, cell 3, line 3", message: "Cannot find name 'missing'. (TS2304)" },
      { where: "bad.ipynb, cell 3, line 1", message: "`var` keyword is not allowed. (no-var)" },
    ]);

    const broken = notebook({ text: "# Title" }, "1;", "const = 1;");
    equal(await checkCells([{ name: "broken.ipynb", notebook: broken }], { root }), [{
      where: "broken.ipynb, cell 3, line 1",
      message: "SyntaxError: Unexpected token `=`. Expected yield, an identifier, [ or {",
    }]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
