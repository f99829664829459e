// test lane: checkout
import { deepEqual, equal } from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const LIB = fileURLToPath(new URL(".", import.meta.url));

/** What a layer may import besides itself; the order of the design, tasks first. */
const MEASURING = ["setup", "engine", "verify", "load", "telemetry"];
const RECORDS = [
  "scenario.ts",
  "connections.ts",
  "plan.ts",
  "nearest.ts",
  "errors.ts",
  "apps",
  "store",
];
const ANALYSIS = ["report", "figures", "diagnose", "stats", "frames"];
const MAY_IMPORT: Record<string, string[]> = {
  store: ["scenario.ts", "plan.ts", "nearest.ts", "errors.ts"],
  frames: RECORDS,
  stats: ["frames", ...RECORDS],
  diagnose: ["stats", "frames", ...RECORDS],
  figures: ["diagnose", "stats", "frames", ...RECORDS],
  report: ["figures", "diagnose", "stats", "frames", ...RECORDS],
  ...Object.fromEntries(MEASURING.map((layer) => [layer, [...MEASURING, ...RECORDS]])),
  views: RECORDS,
  notebooks: ["engine", "setup", "views", ...RECORDS],
  "run_scenario.ts": [...MEASURING, ...ANALYSIS, ...RECORDS],
  "run_load.ts": ["frames", ...MEASURING, ...RECORDS],
  "run_study.ts": ["run_scenario.ts", "notebooks", ...MEASURING, ...ANALYSIS, ...RECORDS],
  "export_study.ts": ["engine", "setup", "notebooks", "report", ...RECORDS],
  "scenario.ts": ["apps", "nearest.ts", "errors.ts"],
  "connections.ts": ["scenario.ts"],
  "plan.ts": ["scenario.ts", "nearest.ts", "errors.ts"],
  "nearest.ts": ["errors.ts"],
  apps: [],
  "errors.ts": [],
};

function sources(folder = LIB): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    // What only tests use may look at everything.
    if (statSync(path).isDirectory()) return name === "testing" ? [] : sources(path);
    return /(?<!_test)\.ts$/.test(name) && name !== "testing.ts" ? [path] : [];
  });
}

/** Relative imports of a file, the dynamic ones and those of types too. */
function imports(file: string): string[] {
  const text = readFileSync(file, "utf8").replace(/^\s*(\*|\/\/).*$/gm, "");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)]
    .map((match) => join(dirname(file), match[1]!));
}

/** A file's layer: its folder below lib/, or its own name. */
function layerOf(file: string): string {
  return relative(LIB, file).split("/")[0]!;
}

Deno.test("every import goes down the layers, and analysis never reaches what measures", () => {
  const files = sources();
  equal(files.length > 40, true);
  const wrong = files.flatMap((file) => {
    const layer = layerOf(file);
    if (["tasks", "bench", "mod.ts"].includes(layer)) return [];
    const allowed = MAY_IMPORT[layer];
    if (allowed === undefined) return [`${layer} has no place in the order of layers`];
    return imports(file)
      .filter((target) => layerOf(target) !== layer && !allowed.includes(layerOf(target)))
      .map((target) => `${relative(LIB, file)} imports ${relative(LIB, target)}`);
  });
  deepEqual(wrong, []);
});

Deno.test("analysis is reached by nothing that starts a service, through any chain of imports", () => {
  const reached = new Set<string>();
  const visit = (file: string) => {
    if (reached.has(file)) return;
    reached.add(file);
    imports(file).forEach(visit);
  };
  for (const file of sources()) if (ANALYSIS.includes(layerOf(file))) visit(file);
  const measuring = [...reached].filter((file) => MEASURING.includes(layerOf(file)));
  deepEqual(measuring.map((file) => relative(LIB, file)), []);
});

Deno.test("every exported function, class and constant is used by more than its tests", () => {
  const code = (file: string) => readFileSync(file, "utf8").replace(/^\s*(\/?\*|\/\/).*$/gm, "");
  const files = sources();
  const texts = files.map(code);
  const words = new Map<string, number>();
  for (const [word] of texts.join("\n").matchAll(/[\w$]+/g)) {
    words.set(word, (words.get(word) ?? 0) + 1);
  }
  const unused = files.flatMap((file, i) =>
    [...texts[i]!.matchAll(/^export (?:async )?(?:function|class|const) ([\w$]+)/gm)]
      .filter(([, name]) => words.get(name!) === 1)
      .map(([, name]) => `${relative(LIB, file)} exports ${name}`)
  );
  deepEqual(unused, []);
});
