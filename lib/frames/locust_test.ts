// test lane: checkout
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DataFrame } from "nodejs-polars";
import { FileError, UsageError } from "../errors.ts";
import { ROOT } from "../store/layout.ts";
import { loadLocust, readLocustFile, readLocustTotals } from "./locust.ts";

/** Files of real runs of Locust 1.0 to 2.47, by version. */
const SAMPLES = join(ROOT, "data", "published", "locust-csv");

class Folder implements Disposable {
  path = mkdtempSync(join(tmpdir(), "poolscope-test-"));
  constructor(files: Record<string, string | Uint8Array>) {
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(this.path, name), content);
    }
  }
  [Symbol.dispose]() {
    rmSync(this.path, { recursive: true });
  }
}

/** What Python's csv module makes of files: header and rows of each. */
async function readByPython(files: string[]): Promise<string[][][]> {
  const { stdout, success } = await new Deno.Command("python3", {
    args: [
      "-c",
      "import csv, json, sys\n" +
      "read = lambda f: [r for r in csv.reader(open(f, newline='', encoding='utf-8-sig')) if r]\n" +
      "print(json.dumps([read(f) for f in sys.argv[1:]]))",
      ...files,
    ],
  }).output();
  assert.ok(success);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Holds each cell of a dataframe against its text. */
function assertSame(frame: DataFrame, [header, ...rows]: string[][], file: string) {
  assert.equal(frame.height, rows.length, file);
  assert.equal(frame.width, header!.length, file);
  for (const [i, column] of frame.columns.entries()) {
    const isText = String(frame.schema[column]).includes("Utf8") ||
      String(frame.schema[column]).includes("String");
    const values = frame.getColumn(column).toArray();
    for (const [j, row] of rows.entries()) {
      const text = row[i]!;
      const expected = text === "" || (!isText && text === "N/A")
        ? null
        : isText
        ? text
        : Number(text);
      const value = typeof values[j] === "bigint" ? Number(values[j]) : values[j];
      assert.equal(value, expected, `${file}, ${header![i]}, row ${j + 1}`);
    }
  }
}

/** Files as other programs and versions may write them. */
const MADE_UP: Record<string, string> = {
  "quoted_stats.csv": '"Type","Name","Request Count","Failure Count","50%","99.999%"\n' +
    '"GET","/a, ""b""\r\nc","3","1","12","N/A"\n"None","Aggregated","3","1","12","13.5"',
  "bom_stats.csv": "\ufeffType,Name,Request Count,Failure Count,42.5%\r\nGET,N/A,1,0,7\r\n",
  "newer_stats.csv": "Type,Name,Request Count,Failure Count,Apdex\nGET,/用户,1,0,0.94\n\n",
  "unescaped_failures.csv": 'Method,Name,Error,Occurrences\n"GET","/a "b" c","it\'s "so"",4\n',
  "idle_stats_history.csv": '"Timestamp","User Count","Type","Name","Requests/s","Failures/s",' +
    '"50%","Total Request Count"\n"1600000000","0","","Aggregated",0.00,0.00,"N/A",0\n',
  "mac_exceptions.csv": 'Count,Message,Traceback,Nodes\r2,boom,"  File ""x""\r    y",local\r',
};

Deno.test("loadLocust() reads every file as Python's csv does, whatever version of Locust wrote it", async () => {
  using folder = new Folder(MADE_UP);
  const files = [
    ...readdirSync(SAMPLES, { recursive: true }).map((name) => join(SAMPLES, String(name))),
    ...Object.keys(MADE_UP).map((name) => join(folder.path, name)),
  ].filter((file) => file.endsWith(".csv"));
  assert.ok(files.length >= 40, `${files.length} files`);
  const expected = await readByPython(files);
  for (const [i, file] of files.entries()) {
    assertSame(await readLocustFile(file), expected[i]!, file);
  }
});

Deno.test("loadLocust() gives typed columns, with their units in their names", async () => {
  const { stats, history, failures, exceptions } = await loadLocust(
    join(SAMPLES, "2.47.0", "names"),
  );
  const type = (frame: DataFrame | null, name: string) => String(frame!.schema[name]);
  assert.match(type(stats, "request_count"), /Int64/);
  assert.match(type(stats, "p99_9_ms"), /Float64/);
  assert.match(type(history, "timestamp_s"), /Int64/);
  assert.match(type(failures, "occurrences"), /Int64/);
  assert.match(type(exceptions, "count"), /Int64/);
  const names = stats!.getColumn("name").toArray();
  for (
    const name of ["/a, and b", '/say "hi"', "/two\nlines", "N/A", "/用户/пользователь/사용자"]
  ) {
    assert.ok(names.includes(name), name);
  }
});

Deno.test("loadLocust() takes the path of one of the files, and null stands for one that is not there", async () => {
  using folder = new Folder({ "run_stats.csv": MADE_UP["bom_stats.csv"]! });
  const run = await loadLocust(join(folder.path, "run_stats.csv"));
  assert.equal(run.stats!.height, 1);
  assert.deepEqual([run.history, run.failures, run.exceptions], [null, null, null]);
});

Deno.test("loadLocust() says what it looked for when there is no file", async () => {
  using folder = new Folder({});
  await assert.rejects(loadLocust(join(folder.path, "run")), (error: Error) => {
    assert.match(
      error.message,
      /none of run_stats\.csv, run_stats_history\.csv, run_failures\.csv/,
    );
    return error instanceof UsageError;
  });
});

Deno.test("loadLocust() refuses a wrong or damaged file with what stands there", async () => {
  const header = "Type,Name,Request Count,Failure Count";
  const cases: [Record<string, string | Uint8Array>, RegExp][] = [
    [
      { "run_stats.csv": "Method,Name,Error,Occurrences\nGET,/,no,1\n" },
      /run_stats\.csv, line 1: .*Type, Name, Request Count, Failure Count.*"Method,Name,Error,Occurrences"/,
    ],
    [{ "run_stats.csv": `${header},Name\n` }, /column "Name" stands twice/],
    [{ "run_stats.csv": `${header}\nGET,"a\nb",1,0\nGET,/,2\n` }, /line 4: 3 fields where 4/],
    [{ "run_stats.csv": `${header}\nGET,/,soon,0\n` }, /line 2: Request Count is "soon"/],
    [{ "run_stats.csv": `${header}\nGET,/,1.5,0\n` }, /Request Count is "1\.5", must be a whole/],
    [{ "run_stats.csv": "" }, /the file is empty/],
    [{ "run_failures.csv": new Uint8Array([0xff, 0xfe, 0x41]) }, /not UTF-8/],
  ];
  for (const [files, message] of cases) {
    using folder = new Folder(files);
    await assert.rejects(loadLocust(join(folder.path, "run")), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  }
});

Deno.test("readLocustTotals() reads Locust's total and counts exceptions", () => {
  using folder = new Folder({
    "locust_stats.csv": "Type,Name,Request Count,Failure Count\r\n" +
      "GET,/posts,7,1\r\n,Aggregated,12,3\r\n",
    "locust_exceptions.csv": "Count,Message,Traceback,Nodes\r\n" +
      '2,boom,"  File ""a.py"", line 1\n    x\n",local\r\n3,bang,"",local\r\n',
  });
  const expected = { requests: 12, failures: 3, exceptions: 5 };
  assert.deepEqual(readLocustTotals(folder.path), expected);
});

Deno.test("readLocustTotals() throws when there is no total, or a file is missing", () => {
  using folder = new Folder({
    "locust_stats.csv": "Type,Name,Request Count,Failure Count\r\n",
    "locust_exceptions.csv": "Count,Message,Traceback,Nodes\r\n",
  });
  assert.throws(() => readLocustTotals(folder.path), /no row "Aggregated"/);
  rmSync(join(folder.path, "locust_exceptions.csv"));
  assert.throws(() => readLocustTotals(folder.path), FileError);
});
