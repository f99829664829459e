// test lane: checkout
import { deepStrictEqual as equal, ok, rejects, throws } from "node:assert/strict";
import { join } from "node:path";
import { setUpNotebooks } from "../setup/mod.ts";
import {
  executeNotebooks,
  type ExecuteOptions,
  type ParameterValues,
  parametrize,
} from "./execute.ts";
import { convertToHtml } from "./html.ts";
import {
  type Cell,
  formatNotebook,
  type MultilineText,
  type Notebook,
  readNotebook,
  toText,
} from "./notebook.ts";

function code(source: string, tags: string[] = []): Cell {
  return { cell_type: "code", metadata: { tags }, source, outputs: [], execution_count: null };
}

function text(source: string): Cell {
  return { cell_type: "markdown", metadata: {}, source };
}

/** A cell that goes where its section shows nothing. */
function optional(cell: Cell): Cell {
  return { ...cell, metadata: { tags: ["optional"] } };
}

function notebook(...cells: Cell[]): Notebook {
  const named = cells.map((cell, index) => ({ ...cell, id: `cell-${index}` }));
  return { nbformat: 4, nbformat_minor: 5, metadata: {}, cells: named };
}

const GUARD = new URL("./guard.ts", import.meta.url).href;
const INSTALL_GUARDS = code(
  `import { installKernelGuards } from "${GUARD}";\ninstallKernelGuards();`,
);

/** A folder with an import map and notebooks, and how to execute them. */
async function withNotebooks(
  notebooks: Record<string, Notebook>,
  work: (options: ExecuteOptions & { notebooks: string[] }) => Promise<void>,
): Promise<void> {
  const { python } = await setUpNotebooks();
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      join(folder, "deno.json"),
      JSON.stringify({ imports: { helper: "./helper.ts" } }),
    );
    await Deno.writeTextFile(
      join(folder, "helper.ts"),
      "export const twice = (x: number): number => 2 * x;\n",
    );
    const paths: string[] = [];
    for (const [name, content] of Object.entries(notebooks)) {
      const path = join(folder, name);
      await Deno.writeTextFile(path, formatNotebook(content));
      paths.push(path);
    }
    await work({ notebooks: paths, outputFolder: join(folder, "out"), python, cellTimeoutS: 60 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a cell shows, as plain text. */
function shown(cell: Cell | undefined): string[] {
  return (cell?.outputs ?? []).map((output) => {
    const data = output.data as Record<string, MultilineText> | undefined;
    return toText(data?.["text/plain"] ?? output.text as MultilineText | undefined);
  });
}

Deno.test("parametrize() inserts assignments after the cell that declares them", () => {
  const original = notebook(
    text("# Title"),
    code('let users = 100;\nlet plan: string = "quick";', ["parameters"]),
    code("users"),
  );
  throws(() => parametrize([original], { x: 1 }), /parameters are users, plan$/);
  const set = (notebook: Notebook, values: ParameterValues) => parametrize([notebook], values)[0]!;
  const changed = set(original, { plan: 'sm"oke', users: 7 });
  equal(
    toText(changed.cells[2]?.source),
    'plan = "sm\\"oke";\nusers = 7;\nvoid 0;',
  );
  equal(changed.cells[2]?.metadata.tags, ["injected-parameters"]);
  // Again, and the earlier ones are gone; without any, nothing is inserted.
  equal(set(changed, { users: 8 }).cells.length, 4);
  equal(set(changed, {}).cells.length, 3);
  equal(parametrize([original, notebook(text("a"))], { users: 8 })[1], notebook(text("a")));
});

Deno.test("parametrize() refuses unknown parameters and what JSON cannot hold", () => {
  const original = notebook(code("let users = 100;", ["parameters"]));
  throws(() => parametrize([original], { user: 1 }), {
    name: "UsageError",
    message:
      'Cannot set parameter "user": the notebooks\' parameters are users (did you mean "users"?)',
  });
  throws(() => parametrize([original], { users: NaN }), { name: "UsageError" });
  throws(
    () => parametrize([notebook(code("1"))], { users: 1 }),
    /these notebooks declare none/,
  );
});

Deno.test("executeNotebooks() checks parameters before it starts anything", async () => {
  await withNotebooks(
    { "a.ipynb": notebook(code("let a = 1;", ["parameters"])) },
    async (options) => {
      await rejects(executeNotebooks({ ...options, parameters: { b: 1 } }), {
        name: "UsageError",
        message: `Cannot set parameter "b": the notebooks' parameters are a`,
      });
      await rejects(Deno.stat(options.outputFolder));
    },
  );
});

Deno.test("executeNotebooks() runs cells with parameters and the folder's import map", async () => {
  const original = notebook(
    text("# Title"),
    code("let users = 100;", ["parameters"]),
    code('import { twice } from "helper";\nconsole.log(twice(users));'),
  );
  await withNotebooks(
    { "a.ipynb": original, "b.ipynb": notebook(code("1 + 1")) },
    async (options) => {
      const log: string[] = [];
      const outputs = await executeNotebooks({
        ...options,
        parameters: { users: 7 },
        status: (line) => log.push(line),
      });
      equal(outputs, ["a.ipynb", "b.ipynb"].map((name) => join(options.outputFolder, name)));
      const { cells } = await readNotebook(outputs[0]!);
      equal(shown(cells[2]), []);
      equal(shown(cells[3]), ["14\n"]);
      equal(cells[3]?.execution_count, 3);
      equal(log.filter((line) => line.startsWith("a")), [
        "a.ipynb: cell 1 of 3",
        "a.ipynb: cell 2 of 3",
        "a.ipynb: cell 3 of 3",
      ]);
      // The notebook itself stays as it was.
      equal(await Deno.readTextFile(options.notebooks[0]!), formatNotebook(original));
    },
  );
});

Deno.test("executeNotebooks() loses no output in ten executions with results of 400 kB", async () => {
  const size = 400_000;
  const large = (mark: string) =>
    code(`await Deno.jupyter.broadcast("display_data", {
  data: { "text/plain": "${mark} before" }, metadata: {},
});
console.log("${mark} said");
({ [Symbol.for("Jupyter.display")]: () => ({ "text/plain": "${mark}".repeat(${size}) }) })`);
  const marks = ["a", "b", "c"];
  await withNotebooks({ "large.ipynb": notebook(...marks.map(large)) }, async (options) => {
    for (let batch = 0; batch < 5; batch++) {
      const executions = Array.from({ length: 2 }, async (_, index) => {
        const outputFolder = `${options.outputFolder}-${batch}-${index}`;
        const [path] = await executeNotebooks({ ...options, outputFolder });
        const { cells } = await readNotebook(path!);
        for (const [at, mark] of marks.entries()) {
          const outputs = shown(cells[at]).map((output) => output.trim()).sort();
          equal(outputs.length, 3, `${mark}: ${outputs.map((output) => output.slice(0, 20))}`);
          ok(outputs.includes(`${mark} before`) && outputs.includes(`${mark} said`));
          ok(outputs.some((output) => output.length === size));
        }
      });
      await Promise.all(executions);
    }
  });
});

Deno.test("executeNotebooks() names the failed cell, saves what there is, goes on if told to", async () => {
  const failing = notebook(text("# Title"), code("1"), code("const a = 1;\nnull.x;"), code("2"));
  const notebooks = { "bad.ipynb": failing, "good.ipynb": notebook(code("1 + 1")) };
  await withNotebooks(notebooks, async (options) => {
    const [output, good] = ["bad.ipynb", "good.ipynb"].map((name) =>
      join(options.outputFolder, name)
    );
    const failure =
      `Cannot execute bad.ipynb: cell 3 failed: TypeError: Cannot read properties of null (reading 'x') (in: const a = 1; ⏎ null.x;); see ${output}`;
    const failures: string[] = [];
    const executed = await executeNotebooks({
      ...options,
      onFailure: (name, { message }) => failures.push(name, message),
    });
    equal(executed, [good]);
    equal(failures, [options.notebooks[0], failure]);
    await rejects(executeNotebooks({ ...options, notebooks: [options.notebooks[0]!] }), {
      name: "PoolscopeError",
      message: failure,
    });
    const { cells } = await readNotebook(output!);
    equal(cells[1]?.outputs?.length, 1);
    equal(cells[2]?.outputs?.[0]?.output_type, "error");
    equal(cells[3]?.execution_count, null);
  });
});

Deno.test("executeNotebooks() executes notebooks side by side, and all of them when one fails", async () => {
  // Each waits for the other one's file, so that neither could end alone.
  const waiting = (own: string, other: string) =>
    code(`Deno.writeTextFileSync("${own}", "");
for (let i = 0; i < 500; i++) {
  if (await Deno.stat("${other}").catch(() => null)) break;
  await new Promise((resolve) => setTimeout(resolve, 20));
}
(await Deno.stat("${other}")).isFile`);
  const one = notebook(waiting("one", "two"), code("null.x"));
  const two = notebook(waiting("two", "one"), code('console.log("the end")'));
  await withNotebooks({ "one.ipynb": one, "two.ipynb": two }, async (options) => {
    await rejects(executeNotebooks(options), /Cannot execute one\.ipynb: cell 2 failed: TypeError/);
    const { cells } = await readNotebook(join(options.outputFolder, "two.ipynb"));
    equal(shown(cells[1]), ["the end\n"]);
  });
});

Deno.test("executeNotebooks() reads a cell's last outputs without waiting for a silence", async () => {
  const display = (text: string) =>
    `({ [Symbol.for("Jupyter.display")]: () => ({ "text/plain": "${text}" }) })`;
  const cells = Array.from(
    { length: 40 },
    (_, i) => code(`console.log("said", ${i});\n${display(`shown ${i}`)}`),
  );
  const odd = code(`console.log = () => {};\n${display("still here")}`);
  const notebooks = { "one.ipynb": notebook(odd), "many.ipynb": notebook(...cells, odd) };
  await withNotebooks(notebooks, async ({ notebooks: [one, many], ...options }) => {
    const timed = async (path: string) => {
      const begun = performance.now();
      const executed = await executeNotebooks({ ...options, notebooks: [path] });
      return { path: executed[0]!, tookMs: performance.now() - begun };
    };
    const alone = await timed(one!);
    const { path, tookMs } = await timed(many!);
    // A quarter of a second of silence after each cell would be as long by itself.
    ok(tookMs - alone.tookMs < 250 * cells.length, `${tookMs} and ${alone.tookMs} ms`);
    const executed = (await readNotebook(path)).cells;
    for (const i of cells.keys()) equal(shown(executed[i]).sort(), [`said ${i}\n`, `shown ${i}`]);
    equal(shown(executed.at(-1)), ["still here"]);
  });
});

Deno.test("executeNotebooks() fails on errors outside of cells, which hang nothing", async () => {
  const lurking = notebook(
    INSTALL_GUARDS,
    code(
      'setTimeout(() => { throw new Error("late") }, 20);\nawait new Promise((r) => setTimeout(r, 200));',
    ),
    code(
      'Promise.reject(new TypeError("never awaited"));\nawait new Promise((r) => setTimeout(r, 50));\n"end"',
    ),
  );
  await withNotebooks({ "lurking.ipynb": lurking }, async (options) => {
    await rejects(
      executeNotebooks(options),
      /^PoolscopeError: Cannot trust lurking\.ipynb: 2 errors outside of any cell, the first: Error: late; see /,
    );
  });
});

Deno.test("executeNotebooks() ends a cell that takes too long", async () => {
  const guard = notebook(INSTALL_GUARDS);
  const slow = notebook(INSTALL_GUARDS, code("await new Promise((r) => setTimeout(r, 600_000));"));
  const notebooks = { "guard.ipynb": guard, "slow.ipynb": slow };
  await withNotebooks(notebooks, async ({ notebooks: [first, second], ...options }) => {
    const begun = performance.now();
    await executeNotebooks({ ...options, notebooks: [first!] });
    // The first cell, which compiles the guard, has no longer: twice what it took with its kernel.
    const cellTimeoutS = Math.ceil(2 * (performance.now() - begun) / 1000);
    await rejects(
      executeNotebooks({ ...options, notebooks: [second!], cellTimeoutS }),
      /cell 2 failed: took longer than the timeout/,
    );
  });
});

Deno.test("executeNotebooks() lets the running cell clean up when it is aborted, and leaves no process", async () => {
  const stoppable = notebook(
    code(
      `import { installKernelGuards, onKernelInterrupt } from "${GUARD}";\ninstallKernelGuards();`,
    ),
    code(`const child = new Deno.Command("sleep", { args: ["300"] }).spawn();
Deno.writeTextFileSync("pids", Deno.pid + " " + child.pid);
await new Promise<void>((resolve) => onKernelInterrupt(() => {
  Deno.writeTextFileSync("cleaned", "");
  resolve();
}));`),
    code("await new Promise((r) => setTimeout(r, 60_000));"),
  );
  await withNotebooks({ "stop.ipynb": stoppable }, async (options) => {
    const folder = join(options.outputFolder, "..");
    const controller = new AbortController();
    const running = executeNotebooks({ ...options, signal: controller.signal });
    let pids: number[] = [];
    while (pids.length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const found = await Deno.readTextFile(join(folder, "pids")).catch(() => "");
      pids = found.split(" ").filter(Boolean).map(Number);
    }
    controller.abort(new Error("stopped"));
    await rejects(running, new Error("stopped"));
    await Deno.stat(join(folder, "cleaned"));
    await Deno.stat(join(options.outputFolder, "stop.ipynb"));
    for (const pid of pids) {
      const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => null);
      ok(stat === null || / Z /.test(stat), `process ${pid} is still there: ${stat}`);
    }
  });
});

Deno.test("convertToHtml() writes one file that refers to nothing outside itself", async () => {
  const svg =
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10"><clipPath id="c"/><rect width="4" height="4"/></svg>';
  const page = notebook(
    text("# Does *pooling* help?\n\nWords with a [link](https://example.org/) and `code`."),
    code("// The figure\nfigure();"),
    code("console.log(1);"),
    optional(text("## Absent")),
    optional(code("undefined // absent")),
    text("## Present"),
    optional(text("### Optional")),
    optional(code("// this is shown")),
  );
  page.cells[1]!.outputs = [{
    output_type: "display_data",
    metadata: {},
    data: { "image/svg+xml": svg, "application/javascript": "alert(1)", "text/plain": "no" },
  }];
  page.cells[2]!.outputs = [
    { output_type: "stream", name: "stdout", text: "a < b\n" },
    {
      output_type: "execute_result",
      execution_count: 2,
      metadata: {},
      data: { "text/html": "<table><tr><td>7</td></tr></table>", "text/plain": "no" },
    },
    {
      output_type: "error",
      ename: "Error",
      evalue: "bad",
      traceback: ["\u001b[31mError: bad <b>\u001b[39m"],
    },
  ];
  page.cells.at(-1)!.outputs = page.cells[2]!.outputs;
  await withNotebooks({ "page.ipynb": page }, async ({ notebooks, outputFolder, python }) => {
    const [path] = await convertToHtml(notebooks, { outputFolder, python });
    equal(path, join(outputFolder, "page.html"));
    const html = await Deno.readTextFile(path!);
    ok(html.includes("<title>Does pooling help? · Poolscope</title>"));
    ok(html.includes(svg.slice(svg.indexOf("<svg"))), "the drawing is in the page as it was");
    ok(html.includes("<table><tr><td>7</td></tr></table>"));
    ok(html.includes("a &lt; b"));
    ok(html.includes("Present") && html.includes("Optional") && html.includes("this is shown"));
    ok(!/absent/i.test(html), "a section that shows nothing leaves its heading and its code out");
    ok(html.includes("Error: bad &lt;b&gt;"));
    ok(html.includes("<details"));
    equal(html.match(/<script|<link[^>]*href="(?!data:,)|@import|url\(|src="(?!data:)/g), null);
    ok(html.length < 40_000, `${html.length}`);
  });
});
