// test lane: checkout
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../store/layout.ts";
import { generatedPages } from "./docs.ts";

Deno.test("docs/ has what the code says; `deno task docs` writes it", () => {
  for (const [page, text] of generatedPages()) {
    assert.equal(readFileSync(join(ROOT, page), "utf8"), text, page);
  }
});

Deno.test("every relative link of README and docs/ leads to a file", () => {
  const pages = ["README.md", ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`)];
  for (const page of pages) {
    const text = readFileSync(join(ROOT, page), "utf8");
    for (const [, target] of text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
      assert.ok(existsSync(join(ROOT, dirname(page), target!)), `${page} links to ${target}`);
    }
  }
});

Deno.test("docs/events.md names the ends of each start", () => {
  const page = readFileSync(join(ROOT, "docs", "events.md"), "utf8");
  const rows = [...page.matchAll(/^\| `(\w+)` +\| `(\w+)` or `(\w+)` +\|$/gm)]
    .map((row) => row.slice(1));
  const names = [...page.matchAll(/^ {2}(\w+): /gm)].map((name) => name[1]!);
  assert.deepEqual(
    rows.map(([start]) => start),
    names.filter((name) => name.endsWith("_started")),
  );
  assert.ok(rows.flat().every((name) => names.includes(name!)));
});

Deno.test("README is short, and its figure is of a published study that finds something", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const words = (text: string) => text.split(/\s+/).filter((word) => word !== "").length;
  assert.ok(words(readme) <= 1200, `${words(readme)} words`);
  const firstScreen = readme.slice(0, readme.indexOf("\n## "));
  assert.ok(words(firstScreen) <= 150, `${words(firstScreen)} words`);
  const [, figure, study] = /!\[[^\]]+\]\((data\/published\/([\w-]+)\/[^)]+\.png)\)/.exec(
    firstScreen,
  )!;
  assert.ok(existsSync(join(ROOT, figure!)), figure);
  const report = readFileSync(join(ROOT, "data/published", study!, "summary_report.md"), "utf8");
  const answers = report.match(/^- \*\*[^*]+\*\*/gm)!;
  assert.match(answers.join("\n"), /: (yes|no), |: pooled answered at least \d+ times as much /);
});
