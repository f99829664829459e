// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setUp } from "../setup/mod.ts";
import { ROOT } from "../store/layout.ts";

/** Requests that all have a name of their own, and fail each in its own way. */
const PROGRAM = `
import sys
from pathlib import Path
from locust.exception import CatchResponseError
from request_log import RequestLog, row_of
log = RequestLog(Path(sys.argv[1]), "")
texts = ["", "unfinished", *(f"wrong {i}" for i in range(1500))]
log.add([
    row_of("GET", f"/items/{i}", None, 1, exception=CatchResponseError(text))
    for i, text in enumerate(texts)
])
log.close()`;

Deno.test("names beyond the first thousand share one, and a failure's text stands for no other state", async () => {
  const { python } = await setUp();
  const folder = Deno.makeTempDirSync();
  const { code, stderr } = await new Deno.Command(python.python, {
    args: ["-c", PROGRAM, folder],
    env: { PYTHONPATH: join(ROOT, "locust"), PYTHONDONTWRITEBYTECODE: "1" },
  }).output();
  equal(code, 0, new TextDecoder().decode(stderr));
  const { routes, errors, rowBytes } = JSON.parse(
    readFileSync(join(folder, "requests.tables.json"), "utf8"),
  );
  deepEqual([routes.length, routes.at(-1)], [
    1001,
    "OTHER routes beyond the first thousand; give requests a name",
  ]);
  const texts = errors.map(({ error }: { error: string }) => error);
  deepEqual(texts.slice(0, 4), ["", "failed: no text", "failed: unfinished", "wrong 0"]);
  deepEqual([texts.length, texts.at(-1)], [1001, "kinds of failure beyond the first thousand"]);
  equal(statSync(join(folder, "requests.bin")).size, 1502 * rowBytes);
  Deno.removeSync(folder, { recursive: true });
});
